/** What `mmi.*` and HTTP answer about a broker, its services and its workers: fields, their types and their meaning. */
import { z } from 'zod';
import {
  amount,
  count,
  flag,
  type Json,
  listOf,
  object,
  orNull,
  text,
} from '../core/schema-words.js';

export const SERVICE_NAME =
  'Name of the service. Bytes that are not printable ASCII are percent-escaped.';

/** What a node is in its pair. */
export const inPair = {
  role: z.enum(['standalone', 'primary', 'backup', 'fleet']),
  state: text('State of the node in its pair; `active` on a standalone node.'),
  epoch: count(),
};
export const publicUrl = orNull(text(), '`http.publicUrl`: URL of the page of this node.');

/** The JSON of `mmi.broker`. */
export const BrokerStatus = object({
  version: text(),
  uptimeMs: count(),
  node: text(),
  ...inPair,
  limits: z.record(z.string(), z.int()),
  extensions: listOf(text(), 'The extensions that a peer may use (docs/protocol.md).'),
  instance: text('Random: another one at each start. Absent: a broker of 0.1.').optional(),
  pairHeartbeatMs: count('Heartbeat interval of the pair; 0 on a standalone node.'),
  http: orNull(
    text(),
    'HTTP address of the node. A host of `*` or `[::]` means every address of the node.',
  ),
  publicUrl,
  events: orNull(
    text(),
    'Endpoint where the node publishes its events (`events.listen`). A host of `*` or `[::]` as in `http`.',
  ),
  map: orNull(
    text(),
    'Endpoint where the map serves snapshots (`map.listen`); its other two ports follow it. A host of `*` or `[::]` as in `http`.',
  ),
});
export type BrokerStatus = Json<typeof BrokerStatus>;

/**
 * The answer for listeners on which peers are strangers (D74). It shows no other ways to reach the
 * node.
 */
export type MinimalStatus = Omit<BrokerStatus, 'http' | 'publicUrl' | 'events' | 'map'>;

/** Latencies of the requests that were answered in the last seconds. */
const latencies = {
  p50Ms: orNull(amount(), 'Null: no replies in the last 4 to 8 seconds.'),
  p99Ms: orNull(amount(), 'Null: fewer than 100 replies in the last 4 to 8 seconds; see `maxMs`.'),
  maxMs: orNull(
    amount(),
    'The longest in the last 4 to 8 seconds, to the accuracy of the buckets in the metrics. Null: no replies.',
  ),
};

const plain = object({
  requestsPerSecond: amount(),
  repliesPerSecond: amount(),
  failuresPerSecond: amount(
    'Requests that failed as reported by their worker, expired, or were refused, abandoned or dropped (given up by their clients, but for those that had a part of the answer).',
  ),
  redeliveriesPerSecond: amount(
    'Requests given back by their worker or lost with it, and queued again.',
  ),
  ...latencies,
});

/** Durable requests of a service now. */
const counts = {
  pending: count('Requests that wait for a worker or for a retry.'),
  dispatched: count('Requests at a worker.'),
  delayed: orNull(
    count(),
    'Pending requests that are not due yet, or are webhooks whose receivers have no place; null on a node that is not active.',
  ),
  retrying: count('Requests whose last attempt failed.'),
  replied: count(),
  dead: count(),
  oldestMs: orNull(
    count(),
    'How long the oldest pending request has waited since it was accepted, its delay ended, or an operator retried it; null on a node that is not active.',
  ),
};

/** What happened to durable requests of a service in the last seconds; all is null if the service is not counted separately. */
const rates = {
  acceptedPerSecond: orNull(amount()),
  repliesPerSecond: orNull(amount()),
  failedAttemptsPerSecond: orNull(amount()),
  deathsPerSecond: orNull(amount()),
  ...latencies,
};

/** An item of the JSON of `mmi.services`. */
export const ServiceStatus = object({
  service: text(SERVICE_NAME),
  paused: flag('Whether an operator paused it: its requests wait, also if it has workers.'),
  contracts: count('How many different contracts its workers announced; above 1, they differ.'),
  workersWaiting: count(),
  workersBusy: count(),
  free: count('How many more requests its workers take now, beside those that they have.'),
  queued: count(),
  inFlight: count('Requests of clients that are at workers.'),
  plain: orNull(plain, 'Rates of plain requests in the last seconds; null: they are not measured.'),
  durable: orNull(
    object({ ...counts, ...rates }),
    'Counts of durable requests, and rates in the last seconds; null: there are none. p50Ms, p99Ms and maxMs are times from acceptance to reply.',
  ),
});
export type ServiceStatus = Json<typeof ServiceStatus>;

/** A service as shown to operators. */
export const ServiceSeen = ServiceStatus.extend({
  oldestQueuedMs: orNull(
    count(),
    'How long the first of the queued requests has waited since it arrived; null: none is queued.',
  ),
  clientsAway: orNull(
    count(),
    'How many of its requests, queued or in flight, wait for clients that have lost their connections and may come back (`broker.resumeMs`); null: too many to count.',
  ),
  limits: orNull(
    object({
      running: orNull(count()),
      perSecond: orNull(amount()),
      burst: count(),
      runs: count('How many of its requests are at workers.'),
      held: orNull(text(), 'Why none of its requests starts now; null: they may.'),
    }),
    'The limit of the service; null: it has none.',
  ),
  groupLimits: orNull(
    object({
      running: orNull(count()),
      perSecond: orNull(amount()),
      burst: count(),
      onFailure: z.enum(['hold', 'pass']),
      held: listOf(
        object({ group: text(), queued: count(), why: text() }),
        'Up to ten groups of which most requests wait here for a limit.',
      ),
    }),
    'The limit of each of its groups; null: they have none.',
  ),
  limitsSet: orNull(
    object({
      by: orNull(text(), 'Null over HTTP without a token.'),
      at: text('ISO 8601.'),
    }),
    'Which operator set these limits, and when; null: they are those of `broker.services`, or there are none.',
  ),
  failedMsAgo: orNull(
    count(),
    'How long ago one of its requests failed, or an attempt of a durable one, to about four seconds; null: none did since the node started.',
  ),
});
export type ServiceSeen = Json<typeof ServiceSeen>;

/** Figures about a service besides its workers and queue. */
export type ServiceFigures = Pick<ServiceStatus, 'plain' | 'durable'>;
export type PlainFigures = NonNullable<ServiceStatus['plain']>;
export type DurableFigures = NonNullable<ServiceStatus['durable']>;
export type Latencies = Pick<PlainFigures, keyof typeof latencies>;
export type DurableCounts = Pick<DurableFigures, keyof typeof counts>;
export type DurableRates = Pick<DurableFigures, keyof typeof rates>;

/** An item of the JSON of `mmi.workers`. */
export const WorkerStatus = object({
  service: text(),
  state: z.enum(['waiting', 'busy']),
  version: z.enum(['0.1', '0.2', 'spp', 'ppp']),
  inFlight: count(),
  credit: count(),
  sinceMs: count('Milliseconds since the worker registered.'),
  key: orNull(
    text(),
    'Name of the CURVE key of the worker; null: none, unknown (libzmq), or read over HTTP without a token.',
  ),
  name: orNull(text(), 'Name that the worker gives itself, percent-escaped; null: none.'),
  number: count('Number of the worker, as in the log; it is another one after each registration.'),
});
export type WorkerStatus = Json<typeof WorkerStatus>;

/** A worker as shown to operators. */
export const WorkerSeen = WorkerStatus.extend({
  address: orNull(text(), 'Source address; null over HTTP without a token.'),
});
export type WorkerSeen = Json<typeof WorkerSeen>;
