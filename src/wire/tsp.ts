/**
 * 9/TSP and this project's extensions (docs/protocol.md, D12, D16): request bodies → typed values.
 * Any frames are accepted: the result is a value, or a fault with a helpful text.
 */
import { isUtf8 } from 'node:buffer';
import { ownCopy } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import { packedBytes } from '../core/packed.js';
import { WEBHOOK_SERVICE } from '../core/service-needs.js';
import { encodeHeaders, type Headers, headersFault } from './headers.js';
import { HEADERS_BYTES_MAX, SERVICE_NAME_BYTES_MAX } from './mdp.js';
import { isText, JOB_ROWS, type JobOptions, textRule } from './job-option-table.js';

export const TITANIC_PREFIX: Buffer = Buffer.from('titanic.');
export const TITANIC_REQUEST = 'titanic.request';
export const TITANIC_REPLY = 'titanic.reply';
export const TITANIC_CLOSE = 'titanic.close';
export const TITANIC_SUBMIT = 'titanic.submit';
export const TITANIC_CALL = 'titanic.call';
export const TITANIC_WAIT = 'titanic.wait';
export const TITANIC_SCHEDULE = 'titanic.schedule';
export const TITANIC_UNSCHEDULE = 'titanic.unschedule';
export const TITANIC_SCHEDULES = 'titanic.schedules';
export const TITANIC_PROGRESS = 'titanic.progress';
/** The service of stored requests that tell a webhook of the end of another one; clients cannot ask for it. */
export const TITANIC_WEBHOOK: typeof WEBHOOK_SERVICE = WEBHOOK_SERVICE;

/** The services that clients may ask. */
export const TITANIC_SERVICES: readonly string[] = [
  TITANIC_REQUEST,
  TITANIC_REPLY,
  TITANIC_CLOSE,
  TITANIC_SUBMIT,
  TITANIC_CALL,
  TITANIC_WAIT,
  TITANIC_SCHEDULE,
  TITANIC_UNSCHEDULE,
  TITANIC_SCHEDULES,
  TITANIC_PROGRESS,
];

const UUID_TEXT_BYTES = 32;
/** The longest that an answer may be waited for; `titanic.call` always waits so long. */
export const WAIT_MS_MAX = 60_000;
const WAIT_FAULT = 'the time is decimal milliseconds from 0 to 60000';
/** The headers, and as much for the rest. */
const OPTIONS_BYTES_MAX: number = HEADERS_BYTES_MAX + 8192;
/**
 * The largest body of a durable request, and reply to one, with the lengths of their frames; also the largest value of
 * the map. Rows of better-sqlite3, and strings, have less than 512 MiB.
 */
export const STORED_BYTES_MAX: number = 500 * 1024 * 1024;
const BODY_FAULT = `the body of a durable request has at most ${STORED_BYTES_MAX} bytes`;
export const IDEMPOTENCY_KEY_BYTES_MAX = 255;
const KEY_FAULT = `key is ${textRule(IDEMPOTENCY_KEY_BYTES_MAX)}`;
/** The form of a once-key: its length, and a pattern of SQLite. */
export const ONCE_KEY_BYTES = 37;
export const ONCE_KEY_GLOB = `once-${'[0-9a-f]'.repeat(32)}`;

/** A key that a client generates for the copies of one submit, from 16 random bytes. */
export function onceKey(random: Buffer): string {
  return `once-${random.toString('hex')}`;
}

/** Whether `onceKey` made the key. No client can use it for another request later (D16): it is forgotten with its own. */
export function isOnceKey(key: Buffer): boolean {
  return key.length === ONCE_KEY_BYTES && /^once-[0-9a-f]{32}$/.test(key.toString('latin1'));
}

/** The prefix of the keys that schedules make. No client can send it: its first byte is not in UTF-8. */
const SCHEDULE_KEY = Buffer.from('\xffschedule:', 'latin1');

/**
 * The key of the request that a schedule stores for a due time: so it is stored once (D80).
 * @param due as in ISO 8601
 */
export function scheduleKey(name: string, due: string): Buffer {
  return Buffer.concat([SCHEDULE_KEY, Buffer.from(`${name}:${due}`)]);
}

export function isScheduleKey(key: Buffer): boolean {
  return key.subarray(0, SCHEDULE_KEY.length).equals(SCHEDULE_KEY);
}

/** The request cannot be understood: status 400 with this text. */
export interface TspFault {
  readonly fault: string;
}

/** The options of `titanic.submit` and `titanic.call`; absent ones are `null`. */
export type SubmitOptions = {
  readonly [Name in keyof JobOptions]-?: NonNullable<JobOptions[Name]> | null;
} & {
  readonly key: Buffer | null;
  /** JSON, to be passed to the worker as it is (D66). */
  readonly headers: Buffer | null;
  /** The answer says whether the request existed before (D112). */
  readonly existed: boolean | null;
};
type Options = { -readonly [Name in keyof SubmitOptions]: SubmitOptions[Name] };

const NAMES = ['key', ...JOB_ROWS.map(({ name }) => name), 'headers', 'existed'];
const UNKNOWN_FAULT = `unknown option; there are ${NAMES.join(', ')}`;
const NO_OPTIONS = Object.fromEntries(NAMES.map((name) => [name, null])) as SubmitOptions;
const ROWS = new Map<string, (typeof JOB_ROWS)[number]>(JOB_ROWS.map((row) => [row.name, row]));

/** What the third frame of an answer to `titanic.submit` says in JSON, if the options ask for it. */
export interface TspExisted {
  /** Whether the request of the key was there before this one. */
  readonly existed: boolean;
  readonly state: 'pending' | 'replied' | 'dead' | 'closed';
}

/** `titanic.request`, `titanic.submit`, `titanic.call`: indexes into the frames that it was read from. */
export interface TspRequest {
  readonly fault: null;
  readonly service: number;
  readonly body: number;
  readonly options: SubmitOptions;
}

/** @param from index of the first frame of the body of `titanic.request` */
export function readTspRequest(frames: Frames, from: number): TspRequest | TspFault {
  return readTarget(frames, from, NO_OPTIONS);
}

/** @param from index of the first frame of the body of `titanic.submit` or `titanic.call` */
export function readTspSubmit(frames: Frames, from: number): TspRequest | TspFault {
  if (from >= frames.count) return { fault: 'no options' };
  const options = readOptions(frames.view(from));
  return 'fault' in options ? options : readTarget(frames, from + 1, options);
}

function readTarget(frames: Frames, at: number, options: SubmitOptions): TspRequest | TspFault {
  if (at >= frames.count || frames.size(at) === 0) return { fault: 'no service name' };
  if (frames.size(at) > SERVICE_NAME_BYTES_MAX) {
    return { fault: 'a service name is 1 to 255 bytes' };
  }
  const name = frames.view(at).toString('latin1');
  if (name.startsWith('mmi.') || name.startsWith('titanic.')) {
    return { fault: 'mmi.* and titanic.* cannot be durable requests' };
  }
  if (at + 1 >= frames.count) return { fault: 'no body' };
  if (packedBytes(frames, at + 1, frames.count) > STORED_BYTES_MAX) return { fault: BODY_FAULT };
  return { fault: null, service: at, body: at + 1, options };
}

function readOptions(bytes: Buffer): SubmitOptions | TspFault {
  const given = readObject(bytes);
  return 'fault' in given ? given : optionsOf(given.value);
}

function readObject(
  bytes: Buffer,
): { readonly value: Readonly<Record<string, unknown>> } | TspFault {
  if (bytes.length > OPTIONS_BYTES_MAX) return { fault: 'the options are too long' };
  if (!isUtf8(bytes)) return { fault: 'the options are not UTF-8' };
  let given: unknown;
  try {
    given = JSON.parse(bytes.toString('utf8'));
  } catch {
    return { fault: 'the options are not JSON' };
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return { fault: 'the options are not a JSON object' };
  }
  return { value: given as Record<string, unknown> };
}

function optionsOf(given: Readonly<Record<string, unknown>>): SubmitOptions | TspFault {
  const options: Options = { ...NO_OPTIONS };
  for (const name of Object.keys(given)) {
    const fault = setOption(options, name, given[name]);
    if (fault !== null) return { fault };
  }
  return options;
}

function setOption(options: Options, name: string, value: unknown): string | null {
  switch (name) {
    case 'key':
      if (!isText(value, 1, IDEMPOTENCY_KEY_BYTES_MAX)) return KEY_FAULT;
      options.key = Buffer.from(value);
      return null;
    case 'headers': {
      const fault = headersFault(value);
      if (fault !== null) return fault;
      const headers = encodeHeaders(value as Headers);
      options.headers = headers.length === 0 ? null : headers;
      return null;
    }
    case 'existed':
      if (typeof value !== 'boolean') return 'existed is true or false';
      options.existed = value;
      return null;
    default: {
      const row = ROWS.get(name);
      if (row === undefined) return UNKNOWN_FAULT;
      if (!row.isValid(value)) return `${name} is ${row.what}`;
      options[row.name] = inOrder(value) as never;
      return null;
    }
  }
}

/**
 * The second frame of `titanic.close`: an unknown uuid is answered like that of another client's request, so that the
 * answer does not tell which of the two it is.
 */
export const CLOSE_STRICT: Buffer = Buffer.from('strict');

export interface TspClose {
  readonly fault: null;
  readonly uuid: Buffer;
  readonly isStrict: boolean;
}

export function readTspClose(frames: Frames, from: number): TspClose | TspFault {
  if (frames.count > from + 2) return { fault: 'frames too many' };
  const uuid = uuidAt(frames, from);
  if (uuid === null) return { fault: 'a uuid is 32 hexadecimal characters' };
  const isStrict = frames.count > from + 1;
  if (isStrict && !frames.equals(from + 1, CLOSE_STRICT)) return { fault: 'not the word strict' };
  return { fault: null, uuid, isStrict };
}

/** The 16 bytes of a uuid, or a fault. The body of `titanic.reply` is only this. */
export function readTspUuid(frames: Frames, from: number): Buffer | TspFault {
  if (frames.count > from + 1) return { fault: 'frames too many' };
  return uuidAt(frames, from) ?? { fault: 'a uuid is 32 hexadecimal characters' };
}

interface TspWait {
  readonly fault: null;
  readonly uuid: Buffer;
  readonly waitMs: number;
}

export function readTspWait(frames: Frames, from: number): TspWait | TspFault {
  if (frames.count > from + 2) return { fault: 'frames too many' };
  const uuid = uuidAt(frames, from);
  if (uuid === null) return { fault: 'a uuid is 32 hexadecimal characters' };
  const waitMs = waitMsAt(frames, from + 1);
  return waitMs === null ? { fault: WAIT_FAULT } : { fault: null, uuid, waitMs };
}

/** `titanic.progress`: reads the parts of a reply while its worker sends them (D82). */
export interface TspProgress extends Omit<TspWait, 'fault'> {
  readonly fault: null;
  /** The place told in the answer before; empty: from the first part. */
  readonly place: string;
}

const PLACE_BYTES_MAX = 64;

export function readTspProgress(frames: Frames, from: number): TspProgress | TspFault {
  if (frames.count > from + 3) return { fault: 'frames too many' };
  const uuid = uuidAt(frames, from);
  if (uuid === null) return { fault: 'a uuid is 32 hexadecimal characters' };
  if (frames.count < from + 3) return { fault: 'no place, or no time' };
  const place = frames.view(from + 1).toString('latin1');
  if (place.length > PLACE_BYTES_MAX) return { fault: 'the place is too long' };
  const waitMs = waitMsAt(frames, from + 2);
  return waitMs === null ? { fault: WAIT_FAULT } : { fault: null, uuid, place, waitMs };
}

function waitMsAt(frames: Frames, index: number): number | null {
  const text = frames.count > index ? frames.view(index).toString('latin1') : '';
  const waitMs = /^[0-9]{1,5}$/.test(text) ? Number(text) : Infinity;
  return waitMs > WAIT_MS_MAX ? null : waitMs;
}

/** As a copy of its own: many may be kept. */
function uuidAt(frames: Frames, index: number): Buffer | null {
  if (frames.size(index) !== UUID_TEXT_BYTES) return null;
  const text = frames.view(index).toString('latin1');
  return /^[0-9A-Fa-f]{32}$/.test(text) ? ownCopy(Buffer.from(text, 'hex')) : null;
}

/** A uuid as it is sent: 32 upper-case hexadecimal characters. */
export function uuidText(uuid: Buffer): string {
  return uuid.toString('hex').toUpperCase();
}

/** The name of a schedule, in UTF-8: the keys of its requests contain it. */
export const SCHEDULE_NAME_BYTES_MAX = 128;
export const CRON_BYTES_MAX = 256;
export const TIME_ZONE_BYTES_MAX = 64;

/** `titanic.schedule`: like `titanic.submit`, and when (D80). Its `options` have no key. */
export interface TspSchedule extends TspRequest {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  /** The options of its requests in one form: equal texts mean the same. */
  readonly text: string;
}

/** @param from index of the first frame of the body of `titanic.schedule` */
export function readTspSchedule(frames: Frames, from: number): TspSchedule | TspFault {
  if (from >= frames.count) return { fault: 'no options' };
  const given = readObject(frames.view(from));
  if ('fault' in given) return given;
  const { name, cron, timeZone = 'UTC', ...others } = given.value;
  if (!isScheduleName(name)) {
    return { fault: `name is ${textRule(SCHEDULE_NAME_BYTES_MAX)}` };
  }
  if (!isText(cron, 1, CRON_BYTES_MAX)) {
    return { fault: `cron is ${textRule(CRON_BYTES_MAX)}` };
  }
  if (!isText(timeZone, 1, TIME_ZONE_BYTES_MAX)) {
    return { fault: 'timeZone is the name of a time zone, as in Europe/Berlin' };
  }
  if ('key' in others) return { fault: 'key: a schedule makes a key for each of its requests' };
  if ('existed' in others) return { fault: 'existed: not for the requests of a schedule' };
  const options = optionsOf(others);
  if ('fault' in options) return options;
  const target = readTarget(frames, from + 1, options);
  if (target.fault !== null) return target;
  const { headers, ...rest } = others;
  const values = Object.entries(rest).map(([name, value]) => [name, inOrder(value)]);
  // Headers go to the worker as they came.
  const text = JSON.stringify(inOrder({ ...Object.fromEntries(values), headers }));
  return { ...target, name, cron, timeZone, text };
}

/** An object with its entries sorted: in another order they say the same. */
function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries: [string, unknown][] = Object.entries(value);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What the body of a stored schedule is: the `text` of its options, and the frames of the body of its requests. */
export interface TspScheduled {
  readonly fault: null;
  /** Index of the first frame of the body. */
  readonly body: number;
  readonly options: SubmitOptions;
}

export function readScheduled(frames: Frames): TspScheduled | TspFault {
  if (frames.count < 2) return { fault: 'no options, or no body' };
  const options = readOptions(frames.view(0));
  return 'fault' in options ? options : { fault: null, body: 1, options };
}

function isScheduleName(value: unknown): value is string {
  return isText(value, 1, SCHEDULE_NAME_BYTES_MAX);
}

/** The name of the schedule that `titanic.unschedule` ends, or a fault. */
export function readTspName(frames: Frames, from: number): string | TspFault {
  const bytes = frames.count === from + 1 ? frames.view(from) : null;
  const name = bytes !== null && isUtf8(bytes) ? bytes.toString('utf8') : null;
  return isScheduleName(name) ? name : { fault: 'the body is the name of a schedule' };
}

/** `titanic.schedules`: those whose name comes after this one. */
interface TspSchedules {
  readonly fault: null;
  readonly after: string;
}

export function readTspSchedules(frames: Frames, from: number): TspSchedules | TspFault {
  if (from >= frames.count || frames.size(from) === 0) return { fault: null, after: '' };
  const given = readObject(frames.view(from));
  if ('fault' in given) return given;
  const { after = '', ...others } = given.value;
  if (Object.keys(others).length > 0) return { fault: 'unknown option; there is after' };
  const isName = after === '' || isScheduleName(after);
  return isName ? { fault: null, after } : { fault: 'after is the name of a schedule' };
}
