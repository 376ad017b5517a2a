/**
 * Parameters of paths and queries, and fields of bodies. A schema takes what a client sends. Its
 * output is what the route uses; its errors are the messages of ERR_HTTP_PARAMETER.
 */
import { z } from 'zod';

import { unescapeName } from '../../core/escape.js';
import { RATE_MIN, RUN_LIMIT_MAX } from '../../core/run-limits.js';
import { JOB_ROWS, type JOB_OPTIONS, type JobOptionRow } from '../../wire/job-option-table.js';
import { lazily } from './words.js';

/** Number of items in a page. */
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1000;
const NAME_BYTES_MAX = 255;
/** Characters that one byte takes, as `%XX`. */
const ESCAPED_CHARACTERS = 3;
export const CURSOR_LENGTH_MAX = 256;
const SAMPLES_MAX = 1e12;
/** How long a program waits for a reply. */
const TIMEOUT_MS = 60_000;
const TIMEOUT_MS_MAX = 600_000;
const WAIT_MS_MAX = 60_000;
const REFUSALS_MAX = 1000;
const VALUE_BYTES_MAX = 2 ** 31 - 1;

export const NO_CURSOR = 'not a cursor from a list';

export function integer(min: number, max: number): z.ZodInt {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int(error).min(min, error).max(max, error);
}

/** An integer in a query. `z.coerce` would also take `1e3`, `0x10` and spaces. */
export function digits(min: number, max: number): z.ZodPreprocess<z.ZodInt> {
  const read = (given: unknown): unknown =>
    typeof given === 'string' && /^-?\d{1,15}$/.test(given) ? Number(given) : null;
  return z.preprocess(read, integer(min, max));
}

export function choice<const Options extends readonly [string, ...string[]]>(
  options: Options,
): z.ZodEnum<z.core.util.ToEnum<Options[number]>> {
  return z.enum(options, `must be one of ${options.join(', ')}`);
}

/** The bytes of a name, which is given as lists show it (D3). @param what it names */
export function named(what: string): (shown: string, context: z.RefinementCtx) => Buffer {
  return (shown, context) => {
    const isLong = shown.length > ESCAPED_CHARACTERS * NAME_BYTES_MAX;
    const name = isLong ? Buffer.alloc(0) : unescapeName(shown);
    if (name !== null && name.length >= 1 && name.length <= NAME_BYTES_MAX) return name;
    context.addIssue(
      name === null
        ? '% must begin an escape %XX: give names as lists show them'
        : `${what} has 1 to ${NAME_BYTES_MAX} bytes`,
    );
    return z.NEVER;
  };
}

export const serviceName = named('a service name');

export const orAbsent = <Value>(value: Value | null | undefined): Value | null => value ?? null;

// ---------------------------------------------------------------- paths

export const UuidPart = lazily(() => ({
  uuid: z
    .string()
    .regex(
      /^[0-9A-Fa-f]{32}$/,
      'must be 32 hexadecimal characters (lists show full uuids only with a token)',
    )
    .describe('UUID of the request: 32 hexadecimal characters, in either case.')
    .transform((uuid) => Buffer.from(uuid, 'hex')),
}));

export const ServicePart = lazily(() => ({
  service: z.string().describe('Name of the service, as in lists.').transform(serviceName),
}));

// ---------------------------------------------------------------- bodies

function limitCount(about: string) {
  return integer(1, RUN_LIMIT_MAX).optional().describe(about);
}

function limitRate(about: string) {
  const error = `must be a number from ${RATE_MIN} to ${RUN_LIMIT_MAX}`;
  return z.number(error).min(RATE_MIN, error).max(RUN_LIMIT_MAX, error).optional().describe(about);
}

/** Limits of a service: an absent one is no limit. */
export const LimitBody = lazily(() => ({
  running: limitCount('How many of its requests are at workers at once.'),
  perSecond: limitRate('How many of its requests start per second.'),
  burst: limitCount('How many may start at once after a pause; needs `perSecond`.'),
  groupRunning: limitCount('The same as `running`, for each of its groups.'),
  groupPerSecond: limitRate('The same as `perSecond`, for each of its groups.'),
  groupBurst: limitCount('The same as `burst`, for each of its groups; needs `groupPerSecond`.'),
  onFailure: choice(['hold', 'pass'])
    .optional()
    .describe('Whether a durable request that waits for its next attempt holds its group.'),
}));

// ---------------------------------------------------------------- queries

/** The parameters of a list with pages. */
export const pageShape = {
  limit: digits(1, LIMIT_MAX)
    .default(LIMIT_DEFAULT)
    .describe('Maximum number of items in the page.'),
  cursor: z
    .string()
    .max(CURSOR_LENGTH_MAX, NO_CURSOR)
    .optional()
    .describe('`next` of the previous page.')
    .transform(orAbsent),
};

/** The parameters of the other lists. */
function listShape<const States extends readonly [string, ...string[]]>(states: States) {
  return {
    ...pageShape,
    service: z
      .string()
      .transform(serviceName)
      .optional()
      .describe('Only this service, with its name as in lists.')
      .transform(orAbsent),
    state: choice(states).optional().describe('Only items in this state.').transform(orAbsent),
  };
}

/** `unserved`: plain or stored requests wait, and there is no worker. */
export const ServiceQuery = lazily(() => listShape(['served', 'unserved']));

export const WorkerQuery = lazily(() => listShape(['waiting', 'busy']));

export const ClientQuery = lazily(() => ({
  limit: pageShape.limit,
  by: choice(['requests', 'outstanding', 'stored', 'held'])
    .default('requests')
    .describe(
      'What the first clients have most of: requests per second, outstanding requests, bytes of durable requests, or memory of this node.',
    ),
}));

export const ScheduleQuery = lazily(() => pageShape);

export const MapQuery = lazily(() => ({
  ...pageShape,
  key: z
    .string()
    .transform(named('a key'))
    .optional()
    .describe('Only keys that match this, as lists show keys; `keyMatch` says how.')
    .transform(orAbsent),
  keyMatch: choice(['prefix', 'substring'])
    .default('prefix')
    .describe('Whether the beginning of a key has to be `key`, or any part of it.'),
  valueBytes: digits(0, VALUE_BYTES_MAX)
    .optional()
    .describe('Only the beginning of each value, at most so many bytes.')
    .transform(orAbsent),
}));

const since = digits(0, SAMPLES_MAX)
  .default(0)
  .describe('`next` of the previous answer: only newer samples.');

export const SinceQuery = lazily(() => ({ since }));

export const HistoryQuery = lazily(() => ({
  service: z
    .string('is missing: name a service')
    .describe('Name of the service, as in lists.')
    .transform(serviceName),
  since,
}));

export const DayQuery = lazily(() => ({
  service: z
    .string()
    .transform(serviceName)
    .optional()
    .describe('Name of the service, as in lists; absent: the node.')
    .transform(orAbsent),
}));

export const RefusalQuery = lazily(() => ({
  limit: digits(1, REFUSALS_MAX).default(REFUSALS_MAX).describe('Maximum number of items.'),
}));

/** The options of a durable request that can stand in a query. */
type Parameter = {
  [Name in keyof typeof JOB_OPTIONS]: (typeof JOB_OPTIONS)[Name]['type'] extends 'whole'
    ? Name
    : never;
}[keyof typeof JOB_OPTIONS];
type InQuery = JobOptionRow & { readonly type: 'whole'; readonly name: Parameter };
export const SUBMIT_PARAMETERS = JOB_ROWS.filter((row): row is InQuery => row.type === 'whole');

type Query = z.ZodType<number | null>;
const submitShape = () =>
  Object.fromEntries(
    SUBMIT_PARAMETERS.map(({ name, min, max, about }): [string, Query] => [
      name,
      digits(min, max).optional().describe(`For a durable request: ${about}.`).transform(orAbsent),
    ]),
  ) as Readonly<Record<Parameter, Query>>;

export const RequestQuery = lazily(() => ({
  timeoutMs: digits(1, TIMEOUT_MS_MAX)
    .default(TIMEOUT_MS)
    .describe('How long to wait for the reply; of a stream, for each of its events.'),
  durable: choice(['true', 'false'])
    .default('false')
    .describe('Store the request and answer 202, as `Prefer: respond-async` does.')
    .transform((given) => given === 'true'),
  ...submitShape(),
}));

export const ResultQuery = lazily(() => ({
  waitMs: digits(0, WAIT_MS_MAX).default(0).describe('How long to wait for the result.'),
}));
