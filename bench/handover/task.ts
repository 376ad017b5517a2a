/** What the two threads of the measurement say to each other. */
import type { Load } from './stream.js';

/** By which way messages are handed over. */
export type Way = 'ring' | 'post';

export interface Task {
  readonly load: Load;
  readonly way: Way;
  /** Each read is handed over and taken before the next. */
  readonly oneByOne: boolean;
  /** Of the ring. */
  readonly memory: SharedArrayBuffer;
  /** Two integers: GO, and the batches that were taken. */
  readonly signals: SharedArrayBuffer;
}

/** What the thread tells beside batches. */
export type Note = 'prepared' | { readonly cpuNs: number };

export const GO = 0;
export const TAKEN = 1;
