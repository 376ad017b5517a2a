/** The JSON about stored requests. */
import { z } from 'zod';

import { KEPT_ROWS, type KeptName, type KeptOptions } from '../../wire/job-option-table.js';
import {
  type REQUEST_FIELDS,
  SHOWN_ROWS,
  type ShownField,
  type StoredRequest as Stored,
} from '../../store/request.js';
import {
  count,
  flag,
  type Json,
  listOf,
  moment,
  object,
  orNull,
  text,
  whole,
} from '../../core/schema-words.js';
import { SERVICE_NAME } from '../../wire/mmi-answers.js';

const uuid = z
  .string()
  .regex(/^([0-9A-F]{32}|[0-9A-F]{16}…)$/)
  .describe(
    'UUID of the request, which is the credential for its reply. Only the first half without a token.',
  );
const worker = text('Number of the worker, as in the log.');
/** Who has a request, or had it. */
const whose = {
  worker,
  workerName: orNull(text(), 'The name that the worker gave itself; null: none.'),
  workerAddress: orNull(text(), 'Null: not known, or read without a token.'),
};
const encoding = z.enum(['utf8', 'base64']);

/** Schemas by type of value; other types are whole numbers. */
const SCHEMAS: Readonly<Record<string, (min: number, max: number) => z.ZodType>> = {
  wallTime: () => moment(),
  flag: () => flag(),
  text: () => text(),
  recordKind: () => text(),
  pauses: (min, max) => object({ baseMs: whole(min, max), maxMs: whole(min, max) }),
};

interface Row {
  readonly min?: number;
  readonly max?: number;
  readonly shown?: string;
  readonly needsToken?: true;
}

function shownAs(type: string, row: Row, mayBeNull = row.needsToken === true): z.ZodType {
  const { min = 0, max = 0, shown = '', needsToken } = row;
  const value = (SCHEMAS[type] ?? whole)(min, max);
  const told = needsToken === true ? `${shown}, or read without a token.` : shown;
  if (mayBeNull) return orNull(value, told);
  return told === '' ? value : value.describe(told);
}

/** Times are told as text. */
type Facts = {
  readonly [Name in ShownField]: z.ZodType<
    | ((typeof REQUEST_FIELDS)[Name]['kind'] extends 'wallTime' ? string : Stored[Name])
    | ((typeof REQUEST_FIELDS)[Name] extends { readonly needsToken: true } ? null : never)
  >;
};
const facts = Object.fromEntries(
  SHOWN_ROWS.map((row) => [row.name, shownAs(row.kind in SCHEMAS ? row.kind : row.as, row)]),
) as Facts;

type KeptFacts = { readonly [Name in KeptName]: z.ZodType<KeptOptions[Name]> };
const keptFacts = Object.fromEntries(
  KEPT_ROWS.map((row) => [row.name, shownAs(row.type, row, true)]),
) as KeptFacts;

const item = {
  uuid,
  service: text(SERVICE_NAME),
  state: z.enum(['pending', 'dispatched', 'replied', 'dead']),
  ...facts,
  group: orNull(text(), 'Its group, escaped as names are; null: none, or read without a token.'),
  reason: orNull(
    text(),
    'Why the request is dead or its last attempt failed, the first 256 characters; null: no attempt ' +
      'failed, or there is a reply, or read without a token.',
  ),
  reasonAt: orNull(moment(), 'When it died, or that attempt ended; null: there is no reason.'),
  shared: flag('Whether every holder of the uuid may use the request.'),
  partner: orNull(
    uuid,
    'Of a request the uuid of its webhook, of a webhook that of the request that it tells of; null: there is none.',
  ),
  delivery: orNull(
    object({ ...whose, startedAt: moment() }),
    'The delivery in progress: which worker has the request, and since when; null: there is none.',
  ),
};

export const StoredRequest = object(item);
export type StoredRequest = Json<typeof StoredRequest>;
export type ShownFacts = Pick<StoredRequest, ShownField>;

const workerFailure = object({
  kind: z.enum(['error', 'final', 'retry']),
  code: text(),
  text: text('Error message of the worker, at most 1 KiB.'),
  detail: listOf(
    object({ encoding, data: text() }),
    'The first 4 KiB of the detail frames of the failure.',
  ),
});
export type WorkerFailure = Json<typeof workerFailure>;

const WAITING_REASONS = [
  ...(['not_active', 'store', 'not_claimed', 'unknown_kind', 'commit', 'retry', 'delay'] as const),
  ...(['request', 'receiver', 'paused', 'no_worker', 'queue', 'in_flight', 'worker'] as const),
  ...(['limit', 'group'] as const),
] as const;

export const RequestHistory = object({
  ...item,
  hasKey: flag('Whether the request has an idempotency key.'),
  ...keptFacts,
  attemptsEver: count('Attempts in total, including those before retries by an operator.'),
  deliveries: listOf(
    object({
      ...whose,
      worker: worker.describe(
        'Empty: no worker had it: an operator retried the request, as `reason` says.',
      ),
      startedAt: moment(),
      endedAt: moment(),
      reason: orNull(text(), 'Null without a token.'),
      failure: orNull(
        workerFailure,
        'What the worker reported; null: nothing, or read without a token.',
      ),
    }),
    'The last 20 deliveries that ended without a reply, and between them the retries by operators, ' +
      'oldest first.',
  ),
  waiting: orNull(
    object({
      reason: z.enum(WAITING_REASONS),
      text: text(
        'The same in words, with the reason of the last failure for readers with a token.',
      ),
      until: orNull(moment(), 'When a delay, or the wait before a retry, ends.'),
      since: orNull(
        moment(),
        'Since when its service has no worker; null: it has one, or has had none since the broker started.',
      ),
      ahead: orNull(
        count(),
        'How many requests of its service are sent before it, at most 10,000.',
      ),
    }),
    'Why a pending request is not at a worker; null: it is at one, or has ended.',
  ),
  reply: orNull(object({ bytes: count(), ...whose, repliedAt: moment() })),
  death: orNull(object({ reason: orNull(text(), 'Null without a token.'), diedAt: moment() })),
  showsBodies: flag('`titanic.showBodies`: whether holders of `http.token` can read bodies.'),
});
export type RequestHistory = Json<typeof RequestHistory>;

const bodyFrame = object({
  bytes: count('Size of the whole frame; `data` of a truncated frame has only its beginning.'),
  encoding,
  data: text(),
});
export type BodyFrame = Json<typeof bodyFrame>;

const storedBody = object({
  bytes: count('Size of the whole body as stored: the frames, each with its length.'),
  cut: flag('Whether the body is truncated: `frames` has at most 64 KiB and 256 frames.'),
  frames: listOf(bodyFrame),
});
export type StoredBody = Json<typeof storedBody>;

export const Bodies = object({
  uuid,
  headers: orNull(
    z.record(z.string(), z.string()),
    'What the client sent beside the body; null: nothing, or no valid headers.',
  ),
  body: orNull(storedBody),
  reply: orNull(storedBody),
  own: orNull(
    z.record(z.string(), z.string()),
    'What only its kind has: of a request its group, of a schedule its name, line and time zone, of a pause ' +
      'what is paused, of a webhook its URL; null: nothing.',
  ),
});
export type Bodies = Json<typeof Bodies>;

const states = { pending: count(), dispatched: count(), replied: count(), dead: count() };

export const StoredCounts = object({
  ...states,
  bytes: count('Size of the store, in bytes.'),
  services: listOf(object({ service: text(), ...states }), 'The first thousand services, by name.'),
});

/** A schedule of durable requests; a node that is not active lists none. */
export const Schedule = object({
  uuid,
  name: orNull(text(), 'Null without a token.'),
  service: text(SERVICE_NAME),
  cron: text(),
  timeZone: text(),
  owner: orNull(
    text(),
    'Name of the CURVE key that made it; null: made without a key, or read without a token.',
  ),
  next: moment('When it is due next.'),
  paused: flag('Whether an operator paused it: nothing is stored for it when it is due.'),
  since: moment('When it was made.'),
  firings: count('How often it was due since then.'),
  last: orNull(
    object({
      at: moment(),
      outcome: text(
        '`stored`: its request was stored; `paused`: an operator had paused it; `denied`: its owner had no ' +
          'right to the service. Of a request that this process stored, how it ended: `replied`, `dead`, `expired`, `cancelled`.',
      ),
    }),
    'The last time it was due, and what came of it; null: it was not due yet.',
  ),
});
export type Schedule = Json<typeof Schedule>;

export const Paused = object({ paused: flag() });

export const Limited = object({ limited: flag() });

export const Fired = object({
  fired: flag(),
  uuid: uuid.describe('UUID of the request that is stored.'),
});
export type Fired = Json<typeof Fired>;

export const Changed = object({ uuid, state: z.enum(['pending', 'closed']) });

const SCANNED =
  'How many durable requests were examined for this answer: of dead ones with `state` dead, otherwise of all.';

/** The field `scanned` of an answer about what a filter finds. */
export const scanned = count(SCANNED);

const groupFilter = object(
  { service: text(), serviceMatch: z.literal('exact'), code: text(), pattern: text() },
  'What they have in common, as parameters of a filter: with those of this query they select the group.',
).partial();

export const RequestGroup = object({
  filter: groupFilter,
  count: count(),
  example: object(
    { uuid, service: text(SERVICE_NAME), reason: orNull(text()) },
    'The newest of them.',
  ),
});
export type RequestGroup = Json<typeof RequestGroup>;

export const BulkResult = object({
  count: count('Number of changed requests; the change is on disk. With `dryRun`: that match.'),
  more: flag(
    'Whether more requests may match: the operation stopped at `limit` or after its time (20 s, with `dryRun` 0.1 s).',
  ),
  next: orNull(text(), '`cursor` with which the rest is done; null if there is none.'),
  scanned,
});
export type BulkResult = Json<typeof BulkResult>;

/** A request that is stored, by this answer's question or by an earlier one with its key. */
export const StoredAnswer = object({
  uuid: uuid.describe('UUID of the request, which is the credential for its reply.'),
  state: z.enum(['pending', 'replied', 'dead', 'closed']),
  existed: flag(
    'Whether a request with this `Idempotency-Key` existed before: nothing was stored.',
  ),
  note: orNull(
    text(),
    'What that means if it is dead or closed, and how to begin anew; null: it is neither.',
  ),
});

export const Accepted = object({
  uuid: uuid.describe('UUID of the request, which is the credential for its reply.'),
  state: z.literal('pending'),
});
