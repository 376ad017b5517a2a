/**
 * The options of the SDK, a table for each class or method: what each must be, and its default. The checks, the nearest
 * name to one that is unknown, the ranges in the reference and the defaults of the command line follow from these rows;
 * what an option does is said in the interface of the table's name.
 */
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_LIVENESS } from '../core/defaults.js';
import { isWhole } from '../core/numbers.js';
import { TTL_S_MAX } from '../wire/chp-client.js';
import { CONTRACT_VERSION_MAX } from '../wire/contract.js';
import { CREDIT_MAX } from '../wire/mdp.js';
import { isText, JOB_ROWS, type JobOptions, textRule } from '../wire/job-option-table.js';
import { IDEMPOTENCY_KEY_BYTES_MAX } from '../wire/tsp.js';
import type { Dial } from '../zmtp/link-port.js';
import type { StandardSchema } from './codec/schema.js';
import { wrong } from './errors.js';

export interface Option<Value = unknown, Default = unknown> {
  /** The words after "must be". */
  readonly what: string;
  readonly isValid: (value: unknown) => value is Value;
  readonly default: Default;
}

export type OptionTable = Readonly<Record<string, Option>>;

/** What is read with a table. */
export type ValuesOf<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Option<infer Value, infer Default>
    ? Value | Default
    : never;
};

/** A name in any of the tables: those that are left out are parts of these. */
type OptionName =
  | keyof typeof CLIENT_OPTIONS
  | keyof typeof CALL_DURABLE_OPTIONS
  | keyof typeof SCHEDULE_OPTIONS
  | keyof typeof RESULT_OPTIONS
  | keyof typeof WORKER_OPTIONS
  | keyof typeof CLOSE_OPTIONS
  | keyof typeof CONTRACT_OPTIONS
  | keyof typeof PUBLISHER_OPTIONS
  | keyof typeof SUBSCRIBER_OPTIONS
  | keyof typeof SHARED_MAP_OPTIONS
  | keyof typeof MAP_SET_OPTIONS;

/** The table of an interface of options: a row for each, and none for what is no option of it. */
export type TableOf<Options> = {
  readonly [Name in keyof Options]-?:
    Option<Exclude<Options[Name], undefined>, Options[Name] | null | undefined> | typeof OPEN;
} & Partial<Record<Exclude<OptionName, keyof Options>, never>>;

const OPEN = {
  /** The class that has the option checks it, and says what it must be. */
  what: '',
  isValid: (_value: unknown): _value is unknown => true,
  default: undefined,
} as const;

const DAY_MS = 86_400_000;
const GIB = 1_073_741_824;
/** 64 MiB. */
const BUFFER_BYTES = 67_108_864;

export function checkedBy<Value, Default = undefined>(
  isValid: (value: unknown) => value is Value,
  what: string,
  byDefault?: Default,
): Option<Value, Default> {
  return { what, isValid, default: byDefault as Default };
}

export function whole<Default extends number | null | undefined = undefined>(
  min: number,
  max: number,
  byDefault?: Default,
): Option<number, Default> {
  const isIn = (value: unknown): value is number => isWhole(value, min, max);
  return checkedBy(isIn, `a whole number from ${min} to ${max}`, byDefault);
}

function flag(byDefault: boolean): Option<boolean, boolean> {
  return checkedBy((value) => typeof value === 'boolean', 'true or false', byDefault);
}

function choice<const Value extends string>(
  values: readonly Value[],
  byDefault: NoInfer<Value>,
): Option<Value, Value> {
  const isOne = (value: unknown): value is Value => values.some((each) => each === value);
  return checkedBy(isOne, values.map((each) => `'${each}'`).join(' or '), byDefault);
}

const milliseconds = <Default extends number | null | undefined = undefined>(
  byDefault?: Default,
  min = 1,
): Option<number, Default> => whole(min, DAY_MS, byDefault);

/** How long a call may take when nothing is said. */
export const TIMEOUT_MS = 10_000;
const YEAR_MS = 365 * DAY_MS;
const WAIT = checkedBy(
  (value): value is number => value === Infinity || isWhole(value, 1, YEAR_MS),
  `a whole number from 1 to ${YEAR_MS}, or Infinity`,
);

const PROTOCOL = choice(['0.1', '0.2'], '0.2');
const TRANSPORT = choice(['zmtp', 'libzmq'], 'zmtp');
const DIAL = checkedBy((value): value is Dial => typeof value === 'function', 'a function');
const INTERCEPTORS = checkedBy(areFunctions, 'a list of functions');
const SIGNAL = checkedBy(isSignal, 'an AbortSignal');

export const FREELANCE_CLIENT_OPTIONS = {
  endpoints: OPEN,
  timeoutMs: { ...WAIT, default: TIMEOUT_MS },
  resendMs: milliseconds(2500),
  maxOutstanding: whole(1, 10_000_000, 100_000),
  hedgeMs: milliseconds(null, 0),
  pingIntervalMs: milliseconds(1000, 10),
  codec: OPEN,
  curve: OPEN,
  dial: DIAL,
};

export const CLIENT_OPTIONS = {
  ...FREELANCE_CLIENT_OPTIONS,
  ifNoWorker: choice(['wait', 'fail'], 'wait'),
  streamBufferBytes: whole(1, 4 * GIB, BUFFER_BYTES),
  protocol: PROTOCOL,
  envelope: flag(true),
  maxLinks: whole(1, 10_000, 64),
  retryBaseMs: milliseconds(100),
  retryMaxMs: milliseconds(2000),
  strategy: choice(['failover', 'freelance'], 'failover'),
  contract: OPEN,
  interceptors: INTERCEPTORS,
  transport: TRANSPORT,
};

/** The options of a request without headers; the client has the defaults. */
export const PLAIN_REQUEST_OPTIONS = {
  timeoutMs: WAIT,
  signal: SIGNAL,
};

const STORED_REQUEST_OPTIONS = {
  ...PLAIN_REQUEST_OPTIONS,
  headers: OPEN,
};

export const JOB_OPTIONS = Object.fromEntries(
  JOB_ROWS.map(({ name, isValid, what }) => [name, checkedBy(isValid, what)]),
) as { readonly [Name in keyof JobOptions]-?: Option<NonNullable<JobOptions[Name]>, undefined> };

export const REQUEST_OPTIONS = {
  ...STORED_REQUEST_OPTIONS,
  once: flag(false),
  group: JOB_OPTIONS.group,
};

export const ENQUEUE_OPTIONS = {
  ...STORED_REQUEST_OPTIONS,
  ...JOB_OPTIONS,
  idempotencyKey: checkedBy(
    (value): value is string => isText(value, 1, IDEMPOTENCY_KEY_BYTES_MAX),
    textRule(IDEMPOTENCY_KEY_BYTES_MAX),
  ),
};

export const CALL_DURABLE_OPTIONS = {
  ...ENQUEUE_OPTIONS,
  onStored: checkedBy(
    (value): value is (job: unknown) => void => typeof value === 'function',
    'a function',
  ),
};

export const SCHEDULE_OPTIONS = {
  ...ENQUEUE_OPTIONS,
  cron: checkedBy(isWord, 'a cron line'),
  timeZone: checkedBy(isWord, "the name of a time zone, as in 'Europe/Berlin'"),
};

export const RESULT_OPTIONS = {
  timeoutMs: { ...WAIT, default: Infinity },
  signal: SIGNAL,
};

export const PROGRESS_OPTIONS = RESULT_OPTIONS;

const CONCURRENCY = whole(1, CREDIT_MAX, 1);

export const WORKER_OPTIONS = {
  endpoints: OPEN,
  service: OPEN,
  services: OPEN,
  name: OPEN,
  concurrency: {
    ...CONCURRENCY,
    isValid: (value: unknown): value is number | Readonly<Record<string, number>> =>
      CONCURRENCY.isValid(value) || (typeof value === 'object' && value !== null),
  },
  protocol: PROTOCOL,
  heartbeatIntervalMs: milliseconds(HEARTBEAT_INTERVAL_MS, 10),
  heartbeatLiveness: whole(1, 1000, HEARTBEAT_LIVENESS),
  retryBaseMs: milliseconds(100),
  retryMaxMs: milliseconds(5000),
  cancelGraceMs: milliseconds(10_000, 0),
  exposeErrors: flag(true),
  codec: OPEN,
  interceptors: INTERCEPTORS,
  contract: OPEN,
  transport: TRANSPORT,
  curve: OPEN,
  dial: DIAL,
};

export const CLOSE_OPTIONS = {
  graceMs: milliseconds(10_000, 0),
};

export const CONTRACT_OPTIONS = {
  codec: OPEN,
  version: checkedBy(
    (value): value is string => typeof value === 'string' && value.length <= CONTRACT_VERSION_MAX,
    `a string of at most ${CONTRACT_VERSION_MAX} characters`,
  ),
  jsonSchema: checkedBy(
    (value): value is false | ((schema: StandardSchema) => object | boolean) =>
      value === false || typeof value === 'function',
    'a function or false',
  ),
};

export const PUBLISHER_OPTIONS = {
  listen: OPEN,
  curve: OPEN,
  outputBytes: whole(1024, 4 * GIB, BUFFER_BYTES),
  maxConnections: whole(1, 1_000_000, 10_000),
};

export const SUBSCRIBER_OPTIONS = {
  endpoints: OPEN,
  topics: OPEN,
  maxDelayMs: milliseconds(null),
  stamp: checkedBy(
    (value): value is false | ((frames: readonly Buffer[]) => number) =>
      value === false || typeof value === 'function',
    'false or a function',
    null,
  ),
  onGap: choice(['mark', 'fail'], 'mark'),
  bufferBytes: whole(1, 4 * GIB, 1_048_576),
  curve: OPEN,
  signal: SIGNAL,
  shards: OPEN,
  handler: OPEN,
};

export const SHARED_MAP_OPTIONS = {
  endpoints: OPEN,
  subtree: OPEN,
  codec: OPEN,
  timeoutMs: milliseconds(10_000),
  maxOutstanding: whole(1, 1_000_000, 10_000),
  maxBytes: whole(1, 4 * GIB, GIB / 4),
  curve: OPEN,
  signal: SIGNAL,
};

/** The options of a change without a time to live; the map has the default. */
export const MAP_DELETE_OPTIONS = {
  timeoutMs: milliseconds(),
  signal: SIGNAL,
};

export const MAP_SET_OPTIONS = {
  ...MAP_DELETE_OPTIONS,
  ttlMs: whole(1, TTL_S_MAX * 1000),
};

/** The class that has them knows their type. @throws ERR_MDP_OPTION, which names the one that is none */
function areFunctions(value: unknown): value is readonly never[] {
  if (!Array.isArray(value)) return false;
  const other = value.findIndex((each) => typeof each !== 'function');
  if (other >= 0) throw wrong(`interceptors[${other}]`, 'must be a function');
  return true;
}

function isSignal(value: unknown): value is AbortSignal {
  return (
    typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
  );
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
