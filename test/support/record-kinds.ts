/**
 * Records of every kind as the machine makes them, and the changes of one decision about several of them: a request
 * and what tells its webhook, a due time and the request that it stores.
 */
import {
  isWork,
  type KnownKind,
  knownKind,
  RECORD_KINDS,
  type RecordKind,
} from '../../src/store/record-kind.js';
import { packOwn } from '../../src/store/own-fields.js';
import type { Change, StoredRequest } from '../../src/store/store.js';
import {
  acceptWebhook,
  dueGeneration,
  dueWebhook,
  rearmed,
  type WebhookOutcome,
} from '../../src/titanic/machine/requests/webhooks.js';
import { scheduleKey, TITANIC_SCHEDULE } from '../../src/wire/tsp.js';
import {
  accept,
  advance,
  attempt,
  type ChangeOf,
  DAY_MS,
  NOON,
  retry,
  uuidOf,
} from './store-changes.js';
import { packed } from './store-pair.js';

/** The kinds whose records are not sent to workers. */
export const KEPT_KINDS = RECORD_KINDS.filter(
  (kind): kind is Exclude<KnownKind, 'request' | 'webhook'> => !isWork(kind),
);

/** A kind that only a later version knows. */
export const LATER_KIND = 'kind-9';

const NEVER = NOON + 2 ** 40 - 1;
const URL = 'https://hooks.shop.example/done';
const REPLY_TTL_MS = DAY_MS;
/** See `GENERATIONS` in titanic/machine/requests/webhooks.ts. */
const WEBHOOK_GENERATIONS = 1000;

const LINE = {
  name: 'nightly',
  cron: '* * * * * *',
  timeZone: 'UTC',
  service: Buffer.from('echo'),
};

const LIMIT = {
  ...{ service: Buffer.from('echo'), by: 'alice', running: '2', perSecond: '0.5', burst: '3' },
  ...{ groupRunning: '1', groupPerSecond: '', groupBurst: '', onFailure: 'hold' },
};

/** What tells a record of each kind from a request. The compiler asks for each kind. */
const FIELDS: Readonly<Record<Exclude<KnownKind, 'webhook'>, Partial<StoredRequest>>> = {
  request: {},
  schedule: {
    ...{ service: Buffer.from(TITANIC_SCHEDULE), maxAttempts: 1, own: packOwn('schedule', LINE) },
    ...{ notBefore: NOON + 1000, expiresAt: NEVER },
  },
  pause: {
    ...{ service: Buffer.from(TITANIC_SCHEDULE), owner: 'anonymous', isShared: false },
    own: packOwn('pause', { service: Buffer.from('echo'), schedule: Buffer.alloc(0) }),
    ...{ maxAttempts: 1, notBefore: NEVER, expiresAt: NEVER },
  },
  limit: {
    ...{ service: Buffer.from(TITANIC_SCHEDULE), owner: 'anonymous', isShared: false },
    own: packOwn('limit', LIMIT),
    ...{ maxAttempts: 1, notBefore: NEVER, expiresAt: NEVER },
  },
};

type Accepting = Parameters<typeof accept>[1];

/** The acceptance of the n-th record, of this kind. A webhook is accepted with its request. */
export function acceptKind(
  kind: Exclude<RecordKind, 'webhook'>,
  n: number,
  more: Accepting = {},
): ChangeOf<'accept'> {
  const known = knownKind(kind);
  const fields = known === null || known === 'webhook' ? {} : FIELDS[known];
  return accept(n, { body: packed(`${kind} ${n}`), ...more, ...fields, kind });
}

/** Changes of one decision. */
export function unitOf(...changes: readonly Change[]): Change[] {
  const last = changes.length - 1;
  return changes.map((change, at) => (at < last ? { ...change, withNext: true } : change));
}

/** The n-th record is a request, and the one of that number its webhook. */
export function acceptWithWebhook(n: number, webhook: number, more: Accepting = {}): Change[] {
  const request = acceptKind('request', n, { ...more, partner: uuidOf(webhook) });
  const telling = acceptWebhook(request.request, URL, REPLY_TTL_MS);
  return unitOf({ ...telling, request: { ...telling.request, number: webhook } }, request);
}

/** The end of a request, with what makes its webhook due. @param generation of the request */
export function endWithWebhook(
  end: Change,
  webhook: number,
  outcome: WebhookOutcome,
  generation = 0,
): Change[] {
  return unitOf(dueWebhook(uuidOf(webhook), generation, outcome, NOON + 5), end);
}

/** An operator's retry of a dead request, whose webhook waits again. */
export function retryWithWebhook(n: number, webhook: number, generation: number): Change[] {
  const again = { ...retry(n, generation), expiresAt: NOON + 7 * DAY_MS };
  const options = { replyTtlMs: REPLY_TTL_MS };
  return unitOf(rearmed(uuidOf(webhook), generation, again.expiresAt, options), again);
}

/** A failed delivery of a webhook. @param generation of its request */
export function webhookFailed(
  webhook: number,
  attempts: number,
  generation: number,
): ChangeOf<'attempt'> {
  return attempt(webhook, attempts, dueGeneration(generation * WEBHOOK_GENERATIONS));
}

/** A due time of a schedule, and the changes that store its request. */
export function scheduleDue(schedule: number, time: number, request: readonly Change[]): Change[] {
  const due = new Date(NOON + time * 1000).toISOString();
  const step = advance(schedule, time, { notBefore: NOON + (time + 1) * 1000 });
  const keyed = request.map((change): Change =>
    change.kind === 'accept' && change.request.kind === 'request'
      ? { ...change, key: scheduleKey('nightly', due) }
      : change,
  );
  return unitOf(step, ...keyed);
}
