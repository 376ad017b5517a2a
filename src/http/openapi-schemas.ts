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
  code: text('Stable code, for programs.'),
  message: text('Text for people.'),
});
const notReady = orNull(ref('Reason'));
const degraded = listOf(ref('Reason'), 'Reasons why the node is degraded.');
const role = oneOf('standalone', 'primary', 'backup');
const state = text('State of the node in its pair; `active` on a standalone node.');
const epoch = count();

const columns = listOf(
  text(),
  'Names of the values in a sample. `at` is in milliseconds since 1970.',
);
const samples = listOf(listOf(orNull({ type: 'number' }), 'The values; null: nothing to measure.'));
const next = count('Number of the next sample, for `since`.');

export const SCHEMAS: Readonly<Record<string, Json>> = {
  Error: object({ error: errorFields }),
  Reason: object({ code: text('Stable code, for programs.'), text: text('Text for people.') }),
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
        number: count('Sequence number since the start of the process.'),
        firstAt: moment(),
        lastAt: moment('Time of the last of the repeated refusals.'),
        count: count('Number of repeated refusals in this item.'),
        what: oneOf('request', 'worker', 'connection'),
        key: orNull(text('Name of the key, or the beginning of a key without a name.')),
        address: orNull(text('Source address.')),
        service: orNull(
          text('Name of the service. Bytes that are not printable ASCII are percent-escaped.'),
        ),
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
    publicUrl: orNull(text('`http.publicUrl`: URL of the page of this node.')),
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
      pairHeartbeatMs: count('Heartbeat interval of the pair; 0 on a standalone node.'),
      http: orNull(
        text('HTTP address of the node. A host of `*` or `[::]` means every address of the node.'),
      ),
      publicUrl: orNull(text('`http.publicUrl`: URL of the page of this node.')),
      endpoints: listOf(
        object({
          endpoint: text(
            'Endpoint that the broker listens on. A host of `*` or `[::]` as in `http`.',
          ),
          client: { type: 'boolean', description: 'Whether clients may send requests there.' },
          worker: { type: 'boolean', description: 'Whether workers may register there.' },
          curve: { type: 'boolean', description: 'Whether the listener requires CURVE keys.' },
        }),
      ),
    },
    'The JSON of mmi.broker, with the endpoints of the broker.',
  ),
  Service: object(
    {
      service: text('Name of the service. Bytes that are not printable ASCII are percent-escaped.'),
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
          'Rates of plain requests in the last seconds; null: the service has no metrics label of its own.',
        ),
      ),
      durable: orNull(
        object(
          {
            pending: count('Requests that wait for a worker or for a retry.'),
            dispatched: count('Requests at a worker.'),
            delayed: orNull(
              count('Pending requests that are not due yet; null on a node that is not active.'),
            ),
            retrying: count('Requests whose last attempt failed.'),
            replied: count(),
            dead: count(),
            oldestMs: orNull(count('How long the oldest pending request has waited.')),
            acceptedPerSecond: orNull(rate),
            repliesPerSecond: orNull(rate),
            failedAttemptsPerSecond: orNull(rate),
            deathsPerSecond: orNull(rate),
            p50Ms: orNull(rate),
            p99Ms: orNull(rate),
          },
          'Counts of stored requests, and rates in the last seconds; null: there are none. p50Ms and p99Ms are times from acceptance to reply.',
        ),
      ),
    },
    'A service, as in mmi.services.',
  ),
  Worker: object(
    {
      service: text(),
      state: oneOf('waiting', 'busy'),
      version: oneOf('0.1', '0.2'),
      inFlight: count(),
      credit: count(),
      sinceMs: count('Milliseconds since the worker registered.'),
      key: orNull(text('Name of the CURVE key of the worker.')),
      name: orNull(text('Name that the worker gives itself, percent-escaped; null: none.')),
      address: orNull(text('Source address; null without a token.')),
    },
    'A worker, as in mmi.workers, with its address.',
  ),
  HaChange: object({ at: moment(), from: text(), to: text(), reason: text() }),
  Ha: object(
    {
      node: text(),
      role,
      state,
      epoch,
      inSync: {
        type: 'boolean',
        description: 'Whether the peer has everything that this node acknowledged.',
      },
      replication: oneOf('off', 'async', 'sync', 'strict'),
      lagMs: orNull({ type: 'number', minimum: 0 }),
      keysDiffer: orNull({
        type: 'boolean',
        description: 'Whether the keys files of the two nodes differ in keys or rights.',
      }),
      peer: orNull(
        object({
          up: flag,
          state: orNull(text()),
          epoch: orNull(count()),
          heardMsAgo: orNull({ type: 'number', minimum: 0 }),
          publicUrl: orNull(text('`http.publicUrl` of the peer; null until it is known.')),
        }),
      ),
      lastChange: orNull(ref('HaChange')),
      history: listOf(ref('HaChange'), 'Changes of state, newest first.'),
    },
    'The pair, as this node sees it.',
  ),
  Overview: object(
    {
      node: text(),
      version: text(),
      startedAt: moment('Start of the process; a new value means a restart.'),
      uptimeMs: count(),
      role,
      state,
      epoch,
      ready: flag,
      reason: notReady,
      degraded,
      peer: orNull(
        object({
          endpoint: orNull(text('Endpoint of the peer: `bstar.peer`.')),
          up: flag,
          state: orNull(text()),
          publicUrl: orNull(text('`http.publicUrl` of the peer; null until it is known.')),
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
          bytes: count('Size of the store, in bytes.'),
        }),
      ),
      columns,
      samples,
      next,
    },
    'Data of the overview page. Rates are per second.',
  ),
  ServiceHistory: object(
    {
      startedAt: moment('Start of the process; a new value means a restart.'),
      columns,
      samples,
      next,
    },
    'Rates are per second, since the previous sample. `failed`, p50Ms and p99Ms are about plain requests; ' +
      '`accepted` and all columns after it are about stored requests, and null if there were none.',
  ),
  ServiceFigures: object({
    items: listOf(
      object({
        service: text(
          'Name of the service; `__other__`: all services without a metrics label of their own.',
        ),
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
