import type { Broker } from '../../../src/broker/broker.js';
import type { BrokerCounters } from '../../../src/broker/counters.js';
import { hold, violated } from '../world/failure.js';
import type { Model } from './model.js';

const NAMES = [
  'requestsReceived',
  'requestsReplied',
  'requestsRequeued',
  'requestsExpired',
  'requestsAbandoned',
  'requestsUnknown',
  'requestsDropped',
  'requestsCancelled',
  'cancels',
  'unexpected',
] as const;

const GROUPS = [
  'requestsFailed',
  'requestsRefused',
  'workersLost',
  'workersRefused',
  'malformed',
  'repliesDropped',
] as const;

const LOADS = [
  'peers',
  'clients',
  'services',
  'workers',
  'requests',
  'requestsOut',
  'bytes',
] as const;

/** The broker's own numbers equal the model's, and add up. */
export function checkAgreement(broker: Broker, model: Model, after: string): void {
  const counters = broker.counters;
  for (const name of NAMES) same(name, counters[name], model.counters[name], after);
  for (const name of GROUPS) {
    const group: Readonly<Record<string, number>> = model.counters[name];
    const own: Readonly<Record<string, number>> = counters[name];
    for (const key in group) same(`${name} ${key}`, own[key], group[key], after);
  }
  const { load } = broker;
  const known = model.load;
  for (const name of LOADS) {
    // A name whose queue became empty within a turn may be kept until its end.
    if (name === 'services' && !after.startsWith('run')) continue;
    same(`load ${name}`, load[name], known[name], after);
  }
  hold(isBalanced(counters, load.requests), `${after}: the counters do not add up`);
}

function same(
  what: string,
  is: number | undefined,
  should: number | undefined,
  after: string,
): void {
  if (is !== should) violated(`${after}: ${what} is ${is ?? '-'}, should be ${should ?? '-'}`);
}

/** Every request received has ended in exactly one way, or is still held. */
function isBalanced(counters: BrokerCounters, held: number): boolean {
  const { requestsRefused: refused, repliesDropped: dropped, requestsFailed: failed } = counters;
  const ended =
    counters.requestsReplied +
    failed.error +
    failed.final +
    counters.requestsExpired +
    counters.requestsAbandoned +
    counters.requestsUnknown +
    counters.requestsDropped +
    counters.requestsCancelled +
    refused.limit +
    refused.rights +
    refused.no_worker +
    refused.draining +
    refused.not_active +
    dropped.client_gone +
    dropped.slow_client;
  // A request answered or given up early is still held until its second worker has finished.
  return ended <= counters.requestsReceived && ended + held >= counters.requestsReceived;
}
