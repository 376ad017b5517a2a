import type { Worker } from '../../src/sdk/worker.js';

/** A worker whose handlers fail, or whose brokers die, on purpose: it prints no warnings. */
export function silent(worker: Worker): Worker {
  return worker.on('failed', () => undefined).on('lost', () => undefined);
}
