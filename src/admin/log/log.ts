/**
 * The log: one JSON object per line on standard output, or readable lines on a terminal
 * (docs/logs.md: the keys `time`, `level`, `event`, `msg`, and fields).
 */
import { type Logger, pino, stdTimeFunctions } from 'pino';

import { LogOutput } from './log-output.js';
import { prettyLines } from './pretty-lines.js';

type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
type LogFormat = 'auto' | 'json' | 'pretty';

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
   * Writes out what is buffered and takes no more lines. Waits `FLUSH_MS_MAX` for a reader that
   * stalls, then drops the rest.
   */
  close(): Promise<void>;
  /**
   * Like `close`, but done when it returns, for an exit that cannot wait. A line whose writing has
   * begun may come after those that follow it: another thread writes it.
   */
  flush(): void;
}

const STANDARD_OUTPUT = 1;
/** How long a stalled reader of standard output may delay the exit. */
const FLUSH_MS_MAX = 1000;

/** @param isTerminal whether standard output is a terminal, for `auto` */
export async function createLog(
  level: LogLevel,
  format: LogFormat,
  isTerminal: boolean,
): Promise<Log> {
  const isPretty = format === 'pretty' || (format === 'auto' && isTerminal);
  const out = new LogOutput(STANDARD_OUTPUT);
  const pretty = isPretty
    ? await prettyLines(isTerminal, () => logger.isLevelEnabled('debug'))
    : null;
  const logger: Logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pretty === null ? out : { write: (line) => out.write(pretty(line)) },
  );
  return {
    debug: (fields, text) => logger.debug(fields, text),
    info: (fields, text) => logger.info(fields, text),
    warn: (fields, text) => logger.warn(fields, text),
    error: (fields, text) => logger.error(fields, text),
    fatal: (fields, text) => logger.fatal(fields, text),
    setLevel: (next) => {
      logger.level = next;
    },
    close: async () => {
      await out.close(FLUSH_MS_MAX);
    },
    flush: () => out.flush(FLUSH_MS_MAX),
  };
}
