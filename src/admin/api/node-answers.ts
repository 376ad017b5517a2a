/** The JSON about a node: its health, its broker, its pair, its last minutes. */
import { z } from 'zod';

import {
  amount,
  count,
  flag,
  type Json,
  listOf,
  moment,
  object,
  orNull,
  text,
} from '../../core/schema-words.js';
import {
  BrokerStatus,
  inPair,
  publicUrl,
  SERVICE_NAME,
  ServiceSeen,
  WorkerSeen,
} from '../../wire/mmi-answers.js';

const errorFields = object({
  code: text('Stable code, for programs.'),
  message: text('Text for people.'),
});

export const Failure = object({ error: errorFields });

/** What the worker of a program's request reports. */
export const ServiceFailure = object({
  error: object({
    code: z.literal('ERR_HTTP_FAILED'),
    message: text('Error message of the worker.'),
    serviceCode: text('Error code of the worker.'),
    detail: listOf(
      object({ encoding: z.enum(['utf8', 'base64']), data: text() }),
      'The detail frames of the failure.',
    ),
  }),
});

/** A request that a worker failed, or that was not stored because its key was used for another one. */
export const RequestFailure = z.union([ServiceFailure, Failure]);

export const Reason = object({
  code: text('Stable code, for programs.'),
  text: text('Text for people.'),
});
export type Reason = Json<typeof Reason>;

const DEGRADED = 'Reasons why the node is degraded.';
const degraded = listOf(Reason, DEGRADED);
const named = listOf(
  object({
    code: Reason.shape.code,
    text: orNull(text(), 'Text for people; null for those who may not read the node.'),
  }),
  DEGRADED,
);

export const Ready = object({ ready: z.literal(true), reason: z.null(), degraded: named });

export const NotReady = object({
  ready: z.literal(false),
  reason: Reason,
  degraded: named,
  error: errorFields,
});

const peerUrl = orNull(text(), '`http.publicUrl` of the peer; null until it is known.');

export const Health = object({
  health: z.enum(['ok', 'degraded', 'not_ready']),
  ready: flag(),
  reason: orNull(Reason),
  degraded,
  node: text(),
  version: text(),
  uptimeMs: count(),
  ...inPair,
  publicUrl,
});

// ---------------------------------------------------------------- the broker

export const Status = BrokerStatus.extend({
  endpoints: listOf(
    object({
      endpoint: text('Endpoint that the broker listens on. A host of `*` or `[::]` as in `http`.'),
      client: flag('Whether clients may send requests there.'),
      worker: flag('Whether workers may register there.'),
      curve: flag('Whether the listener requires CURVE keys.'),
    }),
  ),
  store: orNull(
    object({
      database: text('Servers and name of the database, without the user.'),
      server: text('The server that the node was connected to last.'),
      up: flag('Whether the database can be reached.'),
      since: moment('Since when it can, or cannot, be reached.'),
    }),
    'The database of durable requests (`titanic.store`). Null: they are kept in a file or not at all, or the node starts.',
  ),
}).describe('The JSON of mmi.broker, with the endpoints of the broker and its database.');
export type Status = Json<typeof Status>;

export const Service = ServiceSeen.describe(
  'A service, as in mmi.services, with `oldestQueuedMs`, `clientsAway` and `failedMsAgo`.',
);
export type Service = ServiceSeen;

export const Worker = WorkerSeen.describe('A worker, as in mmi.workers, with its address.');
export type Worker = WorkerSeen;

/** The broker does not look inside: it is told as the workers sent it. */
const schema = z
  .union([z.looseObject({}), z.boolean()])
  .optional()
  .describe('A JSON Schema.');

export const Contracts = object(
  {
    service: text(SERVICE_NAME),
    workersWithout: count('Workers that announced no contract.'),
    workersNotKept: count(
      'Workers whose contract is not kept: there are too many different ones, or no memory.',
    ),
    contracts: listOf(
      object({
        workers: count('How many workers announced it.'),
        names: listOf(text(), 'Names of at most ten of them, percent-escaped.'),
        contract: z
          .looseObject({
            version: z.string().optional(),
            description: z.string().optional(),
            contentType: z.string().optional().describe('Absent: `application/json`.'),
            input: schema,
            output: schema,
            progress: schema,
            errors: z.record(z.string(), z.unknown()).optional().describe('JSON Schemas by code.'),
          })
          .describe('As its workers sent it: escape its texts before display.'),
      }),
      'The different contracts, in the order in which they came.',
    ),
  },
  'What the workers of a service announced of it, as in mmi.contract.',
);
export type Contracts = Json<typeof Contracts>;

export const ClientLoad = object(
  {
    kind: z
      .enum(['key', 'token', 'address', 'anonymous'])
      .describe(
        'A CURVE key, a token of `http.tokens`, a source address without a key, or all durable requests that were stored without a key, which belong to nobody.',
      ),
    name: orNull(
      text(),
      'Name of the key or of the token, or the address: of IPv6 its /64, `ipc` for local sockets, `other brokers` for those of a fleet. Null for `anonymous`.',
    ),
    connections: count(),
    workers: count('Workers among the connections.'),
    requestsPerSecond: amount(
      'Requests that arrived in the last 4 to 8 seconds, refused ones and those for `titanic.*` included.',
    ),
    refusedPerSecond: amount('Requests that were refused in that time.'),
    outstanding: count('Requests held for it that are not answered: waiting or at workers.'),
    heldBytes: count('Memory that this node holds for it, of `limits.memoryBytes`.'),
    heldBy: listOf(
      object({
        worker: text('Number of the worker, as in the log.'),
        workerName: orNull(text(), 'The name that the worker gave itself; null: none.'),
      }),
      'Workers that have plain requests of it: at most eight, found among 10,000 requests.',
    ),
    stored: orNull(
      count(),
      'Durable requests and schedules in the store; null: an address, whose durable requests belong to `anonymous`.',
    ),
    storedBytes: orNull(count(), 'Bytes of these. Null as `stored`.'),
    quota: orNull(text(), 'Name of its quotas; null: the default ones.'),
  },
  'What one key, token or address uses of this node.',
);
export type ClientLoad = Json<typeof ClientLoad>;

export const Clients = object({
  items: listOf(ClientLoad),
  total: count(
    'How many clients this node knows: those that are connected or have requests here, the owners of durable requests, and at most 1,000 that have left and sent requests in the last 4 to 8 seconds.',
  ),
});
export type Clients = Json<typeof Clients>;

export const Refusals = object({
  items: listOf(
    object({
      number: count('Sequence number since the start of the process.'),
      firstAt: moment(),
      lastAt: moment('Time of the last of the repeated refusals.'),
      count: count('Number of repeated refusals in this item.'),
      what: z.enum(['request', 'worker', 'connection']),
      key: orNull(text(), 'Name of the key, or the beginning of a key without a name.'),
      address: orNull(text(), 'Source address.'),
      service: orNull(text(), SERVICE_NAME),
      reason: text(),
    }),
  ),
});

// ---------------------------------------------------------------- the pair

export const HaChange = object({ at: moment(), from: text(), to: text(), reason: text() });
export type HaChange = Json<typeof HaChange>;

export const HaStatus = object(
  {
    node: text(),
    ...inPair,
    inSync: flag(
      'Whether this node is active and the peer has everything that this node acknowledged.',
    ),
    replication: z.enum(['off', 'async', 'sync', 'strict']),
    lagMs: orNull(
      amount(),
      'How long the oldest change that the peer has not confirmed has waited; null: not known.',
    ),
    keysDiffer: orNull(
      flag(),
      'Whether the keys files of the two nodes differ in keys or rights; null: there is no peer to ask.',
    ),
    peer: orNull(
      object({
        up: flag(),
        state: orNull(text(), 'As the peer last reported; null: nothing was heard yet.'),
        epoch: orNull(count()),
        heardMsAgo: orNull(amount()),
        publicUrl: peerUrl,
      }),
      'Null on a standalone node.',
    ),
    degraded,
    lastChange: orNull(HaChange),
    history: listOf(HaChange, 'Changes of state, newest first.'),
  },
  'The pair, as this node sees it.',
);
export type HaStatus = Json<typeof HaStatus>;

// ---------------------------------------------------------------- the last minutes

const startedAt = moment('Start of the process; a new value means a restart.');

/** The requested samples, as far as the node keeps them. */
const block = {
  columns: listOf(text(), 'Names of the values in a sample. `at` is in milliseconds since 1970.'),
  samples: listOf(listOf(orNull(z.number()), 'The values; null: nothing to measure.')),
  next: count('Number of the next sample, for `since`.'),
};

export const Overview = object(
  {
    node: text(),
    version: text(),
    startedAt,
    uptimeMs: count(),
    ...inPair,
    ready: flag(),
    reason: orNull(Reason),
    degraded,
    programs: flag('Whether programs may send requests over HTTP (`http.tokens`).'),
    access: z
      .enum(['none', 'read', 'operate'])
      .describe('What the token of this question may do; `none`: there is none.'),
    peer: orNull(
      object({
        endpoint: orNull(text(), 'Endpoint of the peer: `bstar.peer`.'),
        up: flag(),
        state: orNull(text()),
        publicUrl: peerUrl,
        inSync: flag(),
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
      'Null: this node stores no requests.',
    ),
    ...block,
  },
  'Data of the overview page. Rates are per second; p50Ms, p99Ms and maxMs are of the last ten seconds, p99Ms of at least 100 replies.',
);
export type Overview = Json<typeof Overview>;

export const ServiceHistory = object(
  {
    startedAt,
    kept: flag(
      'False: the node keeps no samples of the service, because it has no label in the metrics (`metrics.services`).',
    ),
    failures: listOf(
      object({
        event: z
          .enum([
            'request.failed',
            'request.expired',
            'request.abandoned',
            'request.outcome_unknown',
            'request.refused',
            'request.dropped',
          ])
          .describe('How requests, or attempts of stored ones, ended; as in the log.'),
        code: orNull(
          text(),
          'Code that workers reported, or reason of the refusal; null: none, too many different ones, or read without a token.',
        ),
        text: orNull(
          text(),
          'Text of the last one, at most 256 characters; null: none, or read without a token.',
        ),
        count: count('Since the start of the process.'),
        lastAt: moment('Time of the last one.'),
      }),
      'Every failure of the service, counted by code: the 20 codes that came first, and the rest together.',
    ),
    failuresByWorker: listOf(
      object({
        worker: text('Number of the worker, as in the log.'),
        workerName: orNull(text(), 'The name that the worker gave itself; null: none.'),
        count: count('Since it registered.'),
        lastAt: moment('Time of the last one.'),
      }),
      'Failures that workers reported, by worker: the 20 that failed last.',
    ),
    ...block,
  },
  'Rates are per second, since the previous sample; p50Ms, p99Ms and maxMs are of the last two samples, p99Ms of at least 100 replies. `failed`, p50Ms, p99Ms and maxMs are about plain requests; ' +
    '`accepted` and all columns after it are about durable requests, and null if there were none.',
);
export type ServiceHistory = Json<typeof ServiceHistory>;

export const DayHistory = object(
  { columns: block.columns, samples: block.samples },
  'The last day of the node or of one of its services, also before a restart: a sample for each minute in which it ran, of rates the mean, of what waits and of latencies the worst.',
);
export type DayHistory = Json<typeof DayHistory>;

/** `data` of a server-sent event. */
export const NodeEvent = z
  .looseObject({
    time: moment(),
    event: text('`noun.participle`, as in the log.'),
    severity: z.enum(['info', 'warn', 'error']),
    sentence: text(
      'The line of the log; `…` in place of what needs a token. Absent: a node of 0.1.0.',
    ).optional(),
  })
  .describe(
    'An event, with its own fields beside these; who a peer is, names of schedules and of keys of the map, and texts of workers only with a token.',
  );
export type NodeEvent = Json<typeof NodeEvent>;

// ---------------------------------------------------------------- the map

export const MapEntry = object({
  key: text('The key. Bytes that are not printable ASCII are percent-escaped.'),
  number: text(
    'The number of its last change, in decimal: up to 20 digits, more than a JSON number holds.',
  ),
  properties: text('Lines `name=value`, escaped as the key; `ttl` is the time to live in seconds.'),
  ttlMs: orNull(count(), 'Its time to live; null: it has none.'),
  expiresInMs: orNull(
    count(),
    'When it is deleted if nobody sets it again; null: it has no time to live, or this node does not serve the map.',
  ),
  writer: orNull(
    text(),
    'Who set it last: the name of the CURVE key, or the source address without one. Null: the node has read it from its store or got it from its peer, or the broker set it.',
  ),
  value: object({
    bytes: count('Size of the whole value; with `valueBytes`, `data` has only its beginning.'),
    encoding: z.enum(['utf8', 'base64']).describe('`utf8` if the value is text.'),
    data: text(),
  }),
});
export type MapEntry = Json<typeof MapEntry>;
