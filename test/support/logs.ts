import type { Log } from '../../src/admin/log/log.js';

/** A log that passes each line on. */
export function logTo(write: Log['info']): Log {
  return {
    ...{ debug: write, info: write, warn: write, error: write, fatal: write },
    ...{ setLevel: () => undefined, close: () => Promise.resolve(), flush: () => undefined },
  };
}

export const SILENT: Log = logTo(() => undefined);
