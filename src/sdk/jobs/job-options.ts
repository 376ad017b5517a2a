/** Options of durable requests, and the settings that are made of them. */
import { monotonicMs, type MonotonicMs } from '../../core/clock.js';
import type { Headers } from '../../wire/headers.js';
import { isText, JOB_ROWS, type JobOptions, textRule } from '../../wire/job-option-table.js';
import { SCHEDULE_NAME_BYTES_MAX } from '../../wire/tsp.js';
import { sdkError, wrong } from '../errors.js';
import type { ClientTimes, RequestOptions, RequestSettings } from '../request-options.js';
import { headersOf, mustBe, readOptions } from '../option-reader.js';
import {
  CALL_DURABLE_OPTIONS,
  ENQUEUE_OPTIONS,
  PROGRESS_OPTIONS,
  RESULT_OPTIONS,
  SCHEDULE_OPTIONS,
  type TableOf,
  type ValuesOf,
} from '../option-tables.js';

/** For the command line, whose options are these. */
export { JOB_ROWS, type JobOptions };

/**
 * Options of `Client.enqueue`.
 *
 *     await client.enqueue('render', scene, { idempotencyKey: 'order-17', delayMs: 60_000 });
 */
export interface EnqueueOptions extends Omit<RequestOptions, 'once' | 'group'>, JobOptions {
  /** A key of your choice: requests for one service with the same key are the same request, which is stored once. */
  readonly idempotencyKey?: string;
}

/**
 * Options of `Client.submit`: those of `Client.enqueue`.
 *
 *     await client.submit('render', scene, { delayMs: 60_000 });
 */
export type SubmitOptions = EnqueueOptions;

/**
 * Options of `Client.schedule`: when, and those of `Client.enqueue` for each request.
 *
 *     await client.schedule('nightly', 'report', '', { cron: '30 2 * * *', timeZone: 'Europe/Berlin' });
 */
export interface ScheduleOptions extends Omit<RequestOptions, 'once' | 'group'>, JobOptions {
  /**
   * Minute, hour, day of the month, month and day of the week, with seconds before and years after
   * them if you like; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
   */
  readonly cron: string;
  /** The time zone whose local times the line names, as in `Europe/Berlin`. Default `UTC`. */
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
export type StoredOptions = {
  readonly [Name in keyof JobOptions]-?: JobOptions[Name] | undefined;
} & { readonly key: string | undefined; readonly headers: Headers | undefined };

export interface SubmitSettings {
  readonly stored: StoredOptions;
  readonly request: RequestSettings;
}

/** Checked options of `Job.result` and `Job.progress`. */
export interface ResultSettings {
  /** `Infinity`: no limit. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const UUID = /^[0-9A-Fa-f]{32}$/;
/** Bytes read of a uuid: one more than it has, so that a longer one is noticed. */
export const UUID_BYTES_READ = 33;

/** What a header of a stored request must not look like: it would be passed to the worker and do nothing. */
const NAMES = Object.keys(SCHEDULE_OPTIONS).filter((name) => !['headers', 'signal'].includes(name));

/** @throws ERR_MDP_OPTION */
export function submitSettings(given: unknown, client: ClientTimes): SubmitSettings {
  const table = ENQUEUE_OPTIONS satisfies TableOf<EnqueueOptions>;
  return submitted(readOptions('enqueue', table, given, client), client);
}

interface CallSettings extends SubmitSettings {
  readonly onStored: ((job: unknown) => void) | undefined;
}

/** @throws ERR_MDP_OPTION */
export function callSettings(given: unknown, client: ClientTimes): CallSettings {
  const table = CALL_DURABLE_OPTIONS satisfies TableOf<
    EnqueueOptions & { readonly onStored?: (job: unknown) => void }
  >;
  const { onStored, ...others } = readOptions('callDurable', table, given, client);
  return { ...submitted(others, client), onStored };
}

function submitted(
  given: ValuesOf<typeof ENQUEUE_OPTIONS> & Pick<ClientTimes, 'timeoutMs'>,
  { resendMs }: ClientTimes,
): SubmitSettings {
  const { idempotencyKey, headers, timeoutMs, signal, ...chosen } = given;
  const checked = headersOf(headers, NAMES) ?? {};
  return {
    stored: {
      key: idempotencyKey,
      ...chosen,
      // Omitted when false: brokers without owners refuse options that they do not know.
      shared: chosen.shared === true ? true : undefined,
      headers: Object.keys(checked).length === 0 ? undefined : checked,
    },
    request: { timeoutMs, resendMs, saysTime: false, once: false, signal, headers: undefined },
  };
}

interface ScheduleSettings extends SubmitSettings {
  readonly cron: string;
  readonly timeZone: string | undefined;
}

/** The broker reads the line and knows the time zones. @throws ERR_MDP_OPTION */
export function scheduleSettings(given: unknown, client: ClientTimes): ScheduleSettings {
  // With a key, for a better error than that there is no such option.
  const table = SCHEDULE_OPTIONS satisfies TableOf<ScheduleOptions & EnqueueOptions>;
  const { cron, timeZone, ...others } = readOptions('schedule', table, given, client);
  if (cron === undefined) throw mustBe('cron', table.cron);
  if (others.idempotencyKey !== undefined) {
    throw wrong('idempotencyKey', 'cannot be given: a schedule makes a key for each request');
  }
  return { cron, timeZone, ...submitted(others, client) };
}

/** @throws ERR_MDP_OPTION */
export function scheduleName(name: unknown): string {
  if (isText(name, 1, SCHEDULE_NAME_BYTES_MAX)) return name;
  throw wrong('name', `must be ${textRule(SCHEDULE_NAME_BYTES_MAX)}`);
}

/** @throws ERR_MDP_OPTION */
export function resultSettings(what: 'result' | 'progress', given: unknown): ResultSettings {
  if (what === 'result') {
    return readOptions(what, RESULT_OPTIONS satisfies TableOf<ResultOptions>, given);
  }
  return readOptions(what, PROGRESS_OPTIONS satisfies TableOf<ProgressOptions>, given);
}

/** The settings of a call's next question, with what is left of its time. @throws ERR_MDP_TIMEOUT if that is over */
export function restOf<Request extends { readonly timeoutMs: number }>(
  request: Request,
  began: MonotonicMs,
): Request {
  const timeoutMs = Math.floor(began + request.timeoutMs - monotonicMs());
  if (timeoutMs >= 1) return { ...request, timeoutMs };
  const text = `timeoutMs (${request.timeoutMs}) is over: nothing more was sent`;
  throw sdkError('ERR_MDP_TIMEOUT', text, { details: { sends: 0 } });
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
