/** Why a pending request is not at a worker, from what the machine knows of it. */
import { DELAYED, isBeingDecided, READY } from '../machine/requests/fsm.js';
import {
  ATTEMPTS,
  GENERATION,
  NO_SLOT,
  NOT_BEFORE,
  type Slot,
  STATE,
} from '../machine/requests/open-index.js';
import type { OperatorHost } from '../machine/operator-host.js';
import { isDueWebhook } from '../machine/requests/webhooks.js';
import { isWork, knownKind } from '../../store/record-kind.js';
import type { StoredRequest } from '../../store/store.js';
import type { Waiting } from './operator-api.js';

/** More requests ahead of one are not counted. */
const AHEAD_MAX = 10_000;

const NO_MORE = { until: null, since: null, ahead: null } as const;

/**
 * The first reason that holds: without those before it, the request would still wait for the ones after it.
 * @returns `null`: it has gone to a worker or ended since it was read; schedules and pauses wait for nothing
 */
export function waitingOf(
  host: OperatorHost,
  { uuid, kind }: Pick<StoredRequest, 'uuid' | 'kind'>,
): Waiting | null {
  if (knownKind(kind) === null) {
    return because('unknown_kind', 'only a later version of the broker knows what it is');
  }
  if (!isWork(kind)) return null;
  const { context, requests } = host;
  if (!context.isActive) return because('not_active', 'this node is not active');
  const trouble = requests.trouble?.message ?? context.replica.refusal;
  if (trouble !== null) return because('store', `the store takes no changes: ${trouble}`);
  const slot = requests.dispatcher.index.find(uuid);
  if (slot === NO_SLOT) {
    if (context.claims === null) return null;
    return because('not_claimed', 'another broker has claimed it, or none has yet');
  }
  return requests.dispatcher.deliveryOf(slot) === null ? waitingHere(host, slot) : null;
}

function waitingHere(host: OperatorHost, slot: Slot): Waiting {
  const { context, requests } = host;
  const { dispatcher } = requests;
  const { index } = dispatcher;
  const state = index.get(slot, STATE);
  if (isBeingDecided(state)) {
    const whose = context.replica.isPaired ? 'on both disks' : 'on disk';
    return because('commit', `what became of it is being written ${whose}`);
  }
  const notBefore = index.getDouble(slot, NOT_BEFORE);
  const isWebhook = dispatcher.partners.requestOf(index.uuid(slot)) !== null;
  if (isWebhook && state === DELAYED && !isDueWebhook(index.get(slot, GENERATION))) {
    return because('request', 'its request has not ended');
  }
  if (isWebhook && state === DELAYED && notBefore === Infinity) {
    return because('receiver', 'its receiver takes no more of them now');
  }
  if (state === DELAYED && notBefore > context.now) {
    const until = notBefore < Infinity ? wallAt(host, notBefore) : null;
    return index.get(slot, ATTEMPTS) > 0
      ? { ...because('retry', 'its last attempt failed'), until }
      : { ...because('delay', 'it is to run later'), until };
  }
  const { name, lack } = dispatcher.serviceOf(slot);
  if (host.isPaused({ kind: 'service', of: name })) {
    return because('paused', 'an operator has paused its service');
  }
  const { isServed, unservedSince } = host.workersOf(name);
  if (!isServed) {
    const since = unservedSince === null ? null : wallAt(host, unservedSince);
    return { ...because('no_worker', 'no worker serves its service'), since };
  }
  const { ready } = dispatcher.serviceOf(slot);
  const group = ready.groupOf(slot);
  const holder = host.groupRule(name)?.holds === true ? ready.holderOf(slot) : NO_SLOT;
  if (holder !== NO_SLOT && holder !== slot) {
    const uuid = index.uuid(holder).toString('hex').toUpperCase();
    return because('group', `its group waits for the next attempt of ${uuid}`);
  }
  const held = host.whyHeld(name, group);
  if (held !== null) return because('limit', held);
  const ahead = state === READY ? dispatcher.aheadOfReady(slot, AHEAD_MAX) : 0;
  if (ahead === 0 && state === READY && lack !== null) {
    return because('in_flight', `it is next, and titanic.${lack} is reached`);
  }
  if (ahead === 0) return because('worker', 'it is next, and all workers are busy');
  const count = ahead >= AHEAD_MAX ? `${AHEAD_MAX} or more` : String(ahead);
  const text = `${count} ${ahead === 1 ? 'request is' : 'requests are'} ahead of it`;
  return { ...because('queue', text), ahead };
}

function because(reason: Waiting['reason'], text: string): Waiting {
  return { reason, text, ...NO_MORE };
}

/** A time of the monotonic clock in wall milliseconds. */
function wallAt({ context: { now, wall } }: OperatorHost, at: number): number {
  return Math.round(wall + at - now);
}
