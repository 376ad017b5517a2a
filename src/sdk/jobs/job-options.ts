/** Options of durable requests: types, defaults, ranges. */
import { DURATION_MS_MAX, PRIORITY_MAX } from '../../core/numbers.js';
import type { Headers } from '../../wire/headers.js';
import {
  ATTEMPTS_MAX,
  type Backoff,
  BACKOFF_MS_MAX,
  isBackoff,
  SCHEDULE_NAME_BYTES_MAX,
} from '../../wire/tsp.js';
import { wrong } from '../errors.js';
import {
  type ClientSettings,
  DAY_MS,
  isSignal,
  Options,
  type RequestOptions,
  type RequestSettings,
} from '../options.js';

/** For the command line, whose options are these. */
export { ATTEMPTS_MAX, BACKOFF_MS_MAX, isBackoff };

/**
 * Options of `Client.enqueue`.
 *
 *     await client.enqueue('render', scene, { idempotencyKey: 'order-17', delayMs: 60_000 });
 */
export interface EnqueueOptions extends RequestOptions {
  /** The same key for the same service means the same request: it is stored once. */
  readonly idempotencyKey?: string;
  /** -100 to 100; higher runs first. Default 0. */
  readonly priority?: number;
  /** The request does not run before this many milliseconds from now. Default 0. */
  readonly delayMs?: number;
  /** An unserved request expires after this many milliseconds. Default: the broker's `titanic.requestTtlMs`. */
  readonly ttlMs?: number;
  /** Attempts after which the request is dead. Default: the broker's `titanic.maxAttempts`. */
  readonly maxAttempts?: number;
  /**
   * Pauses between attempts: `baseMs` after the first failed attempt, doubled after each further one, at
   * most `maxMs`, each less a random part of up to half. 1 to 86400000 milliseconds. Default: the broker's
   * `titanic.retryBaseMs` and `titanic.retryMaxMs`.
   */
  readonly backoff?: Backoff;
  /**
   * Whether clients with another key may read and close the request if they have its uuid. Default
   * false. A request stored without a key is always open to every holder of its uuid.
   */
  readonly shared?: boolean;
}

/**
 * Options of `Client.submit`: the same.
 *
 *     await client.submit('render', scene, { delayMs: 60_000 });
 */
export type SubmitOptions = EnqueueOptions;

/**
 * Options of `Client.schedule`: when, and those of `Client.enqueue` for each request.
 *
 *     await client.schedule('nightly', 'report', '', { cron: '30 2 * * *', timeZone: 'Europe/Berlin' });
 */
export interface ScheduleOptions extends Omit<EnqueueOptions, 'idempotencyKey'> {
  /**
   * Minute, hour, day of the month, month and day of the week, with seconds before and years after
   * them if you like; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
   */
  readonly cron: string;
  /** Whose local times the line names, as in `Europe/Berlin`. Default `UTC`. */
  readonly timeZone?: string;
}

/**
 * Options of `Job.result`.
 *
 *     await job.result({ timeoutMs: 60_000 });
 */
export interface ResultOptions {
  /** How long to wait for the reply, in milliseconds. Default: until there is an answer. */
  readonly timeoutMs?: number;
  /** Aborting it ends the wait: ERR_MDP_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Options of `Job.progress`.
 *
 *     for await (const part of job.progress({ timeoutMs: 60_000 })) show(part.json());
 */
export interface ProgressOptions {
  /** The longest wait for each part, or for the reply, in milliseconds. Default: no limit. */
  readonly timeoutMs?: number;
  /** Aborting it ends the wait: ERR_MDP_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

/** `EnqueueOptions` as sent to the broker, which has defaults for absent ones. */
export interface StoredOptions {
  readonly key: string | undefined;
  readonly priority: number | undefined;
  readonly delayMs: number | undefined;
  readonly ttlMs: number | undefined;
  readonly maxAttempts: number | undefined;
  readonly backoff: Backoff | undefined;
  readonly shared: true | undefined;
  readonly headers: Headers | undefined;
}

export interface SubmitSettings {
  readonly stored: StoredOptions;
  readonly request: RequestSettings;
}

/** Of `Job.result` and `Job.progress`. */
export interface ResultSettings {
  /** `Infinity`: no limit. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const KEY_BYTES_MAX = 255;
const UUID = /^[0-9A-Fa-f]{32}$/;

/** @throws ERR_MDP_OPTION */
export function submitSettings(
  given: unknown,
  client: ClientSettings,
  what = 'enqueue',
): SubmitSettings {
  const options = new Options(what, given);
  const { headers, ...request } = options.request(client);
  const settings: SubmitSettings = {
    stored: {
      key: options.optional(
        'idempotencyKey',
        isKey,
        `a string of valid Unicode, 1 to ${KEY_BYTES_MAX} bytes in UTF-8`,
      ),
      priority: maybe(options, 'priority', -PRIORITY_MAX, PRIORITY_MAX),
      delayMs: maybe(options, 'delayMs', 0, DURATION_MS_MAX),
      ttlMs: maybe(options, 'ttlMs', 1, DURATION_MS_MAX),
      maxAttempts: maybe(options, 'maxAttempts', 1, ATTEMPTS_MAX),
      backoff: options.optional(
        'backoff',
        isBackoff,
        `{baseMs, maxMs}: whole numbers from 1 to ${BACKOFF_MS_MAX}, maxMs not below baseMs`,
      ),
      // Omitted when false: brokers without owners refuse options that they do not know.
      shared: options.optional('shared', isBoolean, 'true or false') === true ? true : undefined,
      headers: headers === undefined || Object.keys(headers).length === 0 ? undefined : headers,
    },
    request: { ...request, headers: undefined },
  };
  options.end();
  return settings;
}

export interface ScheduleSettings extends SubmitSettings {
  readonly cron: string;
  readonly timeZone: string | undefined;
}

/** The broker reads the line and knows the time zones. @throws ERR_MDP_OPTION */
export function scheduleSettings(given: unknown, client: ClientSettings): ScheduleSettings {
  if (typeof given !== 'object' || given === null) throw wrong('cron', 'must be a cron line');
  const { cron, timeZone, ...others } = given as Record<string, unknown>;
  if (typeof cron !== 'string' || cron === '') throw wrong('cron', 'must be a cron line');
  if (timeZone !== undefined && (typeof timeZone !== 'string' || timeZone === '')) {
    throw wrong('timeZone', "must be the name of a time zone, as in 'Europe/Berlin'");
  }
  if (others['idempotencyKey'] !== undefined) {
    throw wrong('idempotencyKey', 'cannot be given: a schedule makes a key for each request');
  }
  return { cron, timeZone, ...submitSettings(others, client, 'schedule') };
}

/** @throws ERR_MDP_OPTION */
export function scheduleName(name: unknown): string {
  if (isUnicode(name, SCHEDULE_NAME_BYTES_MAX)) return name;
  const bytes = `1 to ${SCHEDULE_NAME_BYTES_MAX} bytes in UTF-8`;
  throw wrong('name', `must be a string of valid Unicode, ${bytes}`);
}

/** @throws ERR_MDP_OPTION */
export function resultSettings(what: 'result' | 'progress', given: unknown): ResultSettings {
  const options = new Options(what, given);
  const settings: ResultSettings = {
    timeoutMs: options.integer('timeoutMs', Infinity, 1, 365 * DAY_MS),
    signal: options.optional('signal', isSignal, 'an AbortSignal'),
  };
  options.end();
  return settings;
}

/** True for 32 hexadecimal characters. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

/** @throws ERR_MDP_OPTION */
export function checkUuid(uuid: unknown): string {
  if (isUuid(uuid)) return uuid;
  throw wrong('uuid', 'must be 32 hexadecimal characters');
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isKey(value: unknown): value is string {
  return isUnicode(value, KEY_BYTES_MAX);
}

function isUnicode(value: unknown, bytesMax: number): value is string {
  if (typeof value !== 'string') return false;
  const bytes = Buffer.from(value, 'utf8');
  // Unpaired surrogates all encode to the same bytes, but are different keys.
  if (bytes.toString('utf8') !== value) return false;
  return bytes.length > 0 && bytes.length <= bytesMax;
}

function maybe(options: Options, name: string, min: number, max: number): number | undefined {
  return options.given(name) ? options.integer(name, 0, min, max) : undefined;
}
