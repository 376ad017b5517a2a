/** What the answers hold, as JSON Schema. Every answer in the tests is held against it. */

import {
  count,
  type Json,
  listOf,
  moment,
  object,
  oneOf,
  orNull,
  ref,
  text,
} from './openapi-words.js';

const rate: Json = { type: 'number', minimum: 0 };
const flag: Json = { type: 'boolean' };
const errorFields = object({
  code: text('Stable, for programs.'),
  message: text('For people.'),
});
const notReady = orNull(ref('Reason'));
const degraded = listOf(ref('Reason'), 'What is hurt although clients are served.');
const role = oneOf('standalone', 'primary', 'backup');
const state = text('`active` on a standalone node.');
const epoch = count();

const columns = listOf(text(), 'What the numbers of a sample are. `at`: milliseconds since 1970.');
const samples = listOf(listOf(orNull({ type: 'number' }), 'null: there was nothing to measure.'));
const next = count('The number of the sample that is taken next.');

export const SCHEMAS: Readonly<Record<string, Json>> = {
  Error: object({ error: errorFields }),
  Reason: object({ code: text('Stable, for programs.'), text: text('For people.') }),
  Ready: object({ ready: { const: true }, reason: { type: 'null' }, degraded }),
  NotReady: object({
    ready: { const: false },
    reason: ref('Reason'),
    degraded,
    error: errorFields,
  }),
  Refusals: object({
    items: listOf(
      object({
        number: count('Counted from the start of the process.'),
        firstAt: moment(),
        lastAt: moment('Of equal ones the last.'),
        count: count('Equal ones.'),
        what: oneOf('request', 'worker', 'connection'),
        key: orNull(text('The name of the key, or the beginning of one that has no name.')),
        address: orNull(text('Where it came from.')),
        service: orNull(text('Percent-escaped where it is not printable ASCII.')),
        reason: text(),
      }),
    ),
  }),
  Health: object({
    health: oneOf('ok', 'degraded', 'not_ready'),
    ready: flag,
    reason: notReady,
    degraded,
    node: text(),
    version: text(),
    uptimeMs: count(),
    role,
    state,
    epoch,
    publicUrl: orNull(text('`http.publicUrl`: where people reach its page.')),
  }),
  Status: object(
    {
      version: text(),
      uptimeMs: count(),
      node: text(),
      role,
      state,
      epoch,
      limits: { type: 'object', additionalProperties: { type: 'integer' } },
      extensions: listOf(text()),
      pairHeartbeatMs: count('0 on a standalone node.'),
      http: orNull(
        text('Where the node answers HTTP. A host of `*` or `[::]` is every address of the node.'),
      ),
      publicUrl: orNull(text('`http.publicUrl`: where people reach its page.')),
      endpoints: listOf(
        object({
          endpoint: text('Where the broker listens. A host of `*` or `[::]` is as in `http`.'),
          client: { type: 'boolean', description: 'Clients may ask there.' },
          worker: { type: 'boolean', description: 'Workers may serve there.' },
          curve: { type: 'boolean', description: 'It wants CURVE keys.' },
        }),
      ),
    },
    'The JSON of mmi.broker, and the endpoints of the broker.',
  ),
  Service: object(
    {
      service: text('Percent-escaped where it is not printable ASCII.'),
      workersWaiting: count(),
      workersBusy: count(),
      queued: count(),
      plain: orNull(
        object(
          {
            requestsPerSecond: rate,
            repliesPerSecond: rate,
            failuresPerSecond: rate,
            redeliveriesPerSecond: rate,
            p50Ms: orNull(rate),
            p99Ms: orNull(rate),
          },
          'Plain requests in the last seconds; null: it shares its label of metrics.',
        ),
      ),
      durable: orNull(
        object(
          {
            pending: count('Not with a worker.'),
            dispatched: count('With a worker.'),
            delayed: orNull(count('Of the pending: not due yet. Only the active node knows.')),
            retrying: count('Their last attempt failed.'),
            replied: count(),
            dead: count(),
            oldestMs: orNull(count('How long the oldest pending one has waited.')),
            acceptedPerSecond: orNull(rate),
            repliesPerSecond: orNull(rate),
            failedAttemptsPerSecond: orNull(rate),
            deathsPerSecond: orNull(rate),
            p50Ms: orNull(rate),
            p99Ms: orNull(rate),
          },
          'Stored requests, now and in the last seconds; null: there are none. p50Ms and p99Ms: from acceptance to reply.',
        ),
      ),
    },
    'An item of mmi.services.',
  ),
  Worker: object(
    {
      service: text(),
      state: oneOf('waiting', 'busy'),
      version: oneOf('0.1', '0.2'),
      inFlight: count(),
      credit: count(),
      sinceMs: count('Since it registered.'),
      key: orNull(text('The name of its CURVE key.')),
      name: orNull(text('What it calls itself, percent-escaped; null: nothing.')),
      address: orNull(text('Where it came from; null without a token.')),
    },
    'An item of mmi.workers, and its address.',
  ),
  HaChange: object({ at: moment(), from: text(), to: text(), reason: text() }),
  Ha: object(
    {
      node: text(),
      role,
      state,
      epoch,
      inSync: { type: 'boolean', description: 'The peer holds all that was acknowledged here.' },
      replication: oneOf('off', 'async', 'sync', 'strict'),
      lagMs: orNull({ type: 'number', minimum: 0 }),
      keysDiffer: orNull({
        type: 'boolean',
        description: 'The keys files of the two nodes differ in keys or rights.',
      }),
      peer: orNull(
        object({
          up: flag,
          state: orNull(text()),
          epoch: orNull(count()),
          heardMsAgo: orNull({ type: 'number', minimum: 0 }),
          publicUrl: orNull(text('Its `http.publicUrl`, once it has said it.')),
        }),
      ),
      lastChange: orNull(ref('HaChange')),
      history: listOf(ref('HaChange'), 'The newest first.'),
    },
    'The pair, as this node knows it.',
  ),
  Overview: object(
    {
      node: text(),
      version: text(),
      startedAt: moment('Differs between one process and the next.'),
      uptimeMs: count(),
      role,
      state,
      epoch,
      ready: flag,
      reason: notReady,
      degraded,
      peer: orNull(
        object({
          endpoint: orNull(text('bstar.peer')),
          up: flag,
          state: orNull(text()),
          publicUrl: orNull(text('Its `http.publicUrl`, once it has said it.')),
          inSync: flag,
        }),
      ),
      services: count(),
      stored: orNull(
        object({
          pending: count(),
          dispatched: count(),
          replied: count(),
          dead: count(),
          bytes: count('Size of the store.'),
        }),
      ),
      columns,
      samples,
      next,
    },
    'What the page shows. Rates are per second.',
  ),
  ServiceHistory: object(
    {
      startedAt: moment('Differs between one process and the next.'),
      columns,
      samples,
      next,
    },
    'Rates are per second, since the sample before. `failed`, p50Ms and p99Ms are of plain requests; ' +
      '`accepted` and what follows are of stored ones: null where there were none.',
  ),
  ServiceFigures: object({
    items: listOf(
      object({
        service: text('`__other__`: all that have no label of metrics of their own.'),
        receivedPerSecond: rate,
        repliedPerSecond: rate,
        failedPerSecond: rate,
        p50Ms: orNull(rate),
        p99Ms: orNull(rate),
        inFlight: { type: 'number' },
      }),
    ),
  }),
};
