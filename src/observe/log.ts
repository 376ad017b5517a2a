/**
 * The log: one JSON object per line on standard output, or readable lines on a terminal
 * (docs/logs.md: the keys `time`, `level`, `event`, `msg`, and fields).
 */
import { destination, type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';

import { monotonicMs } from '../core/clock.js';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
export type LogFormat = 'auto' | 'json' | 'pretty';

/** A log line: `event` is stable and of the form `noun.participle`. */
export type LogFields = Readonly<Record<string, unknown>> & { readonly event: string };

export interface Log {
  debug(fields: LogFields, text: string): void;
  info(fields: LogFields, text: string): void;
  warn(fields: LogFields, text: string): void;
  error(fields: LogFields, text: string): void;
  fatal(fields: LogFields, text: string): void;
  setLevel(level: LogLevel): void;
  /**
   * Writes out the buffer before the process ends. Waits `FLUSH_MS_MAX` for a reader that stalls,
   * then drops the rest.
   */
  flush(): void;
}

/** The most output kept for a reader of standard output that stalls; more is dropped. */
const BUFFERED_BYTES_MAX = 16 * 1024 * 1024;
/** How pino begins such a line. */
const FATAL = '{"level":"fatal"';
/** How long a stalled reader of standard output may delay the exit. */
const FLUSH_MS_MAX = 1000;

/** @param isTerminal whether standard output is a terminal, for `auto` */
export async function createLog(
  level: LogLevel,
  format: LogFormat,
  isTerminal: boolean,
): Promise<Log> {
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal);
  /** Retries a full pipe until then. */
  let patientUntil = Infinity;
  const out = destination({
    dest: 1,
    sync: false,
    maxLength: BUFFERED_BYTES_MAX,
    retryEAGAIN: () => monotonicMs() < patientUntil,
  });
  // A reader that goes away must not end the broker.
  out.on('error', () => undefined);
  const stream = isPretty
    ? await prettyTo(out, isTerminal, () => logger.isLevelEnabled('debug'))
    : out;
  const logger: Logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return {
    debug: (fields, text) => {
      logger.debug(fields, text);
    },
    info: (fields, text) => {
      logger.info(fields, text);
    },
    warn: (fields, text) => {
      logger.warn(fields, text);
    },
    error: (fields, text) => {
      logger.error(fields, text);
    },
    fatal: (fields, text) => {
      logger.fatal(fields, text);
    },
    setLevel: (next) => {
      logger.level = next;
    },
    flush: () => {
      patientUntil = Math.min(patientUntil, monotonicMs() + FLUSH_MS_MAX);
      try {
        out.flushSync();
      } catch {
        // Standard output is gone or not read: nothing must retry when the process exits.
        logger.level = 'silent';
        out.destroy();
      }
    },
  };
}

/**
 * For people: one line with time, level and message, and the fields only at level `debug`. A daemon
 * that logs JSON does not load it.
 */
async function prettyTo(
  out: DestinationStream,
  isTerminal: boolean,
  showsFields: () => boolean,
): Promise<DestinationStream> {
  const { prettyFactory } = await import('pino-pretty');
  const options = {
    colorize: isTerminal && (process.env['NO_COLOR'] ?? '') === '',
    // In a file, the day and the time zone matter, too.
    translateTime: isTerminal && 'SYS:HH:MM:ss.l',
  };
  const brief = prettyFactory({ ...options, hideObject: true });
  const full = prettyFactory({ ...options, singleLine: true, ignore: 'event' });
  return {
    write: (line) => {
      // Of a crash, the stack counts.
      const format = showsFields() || line.startsWith(FATAL) ? full : brief;
      out.write(format(line));
    },
  };
}
