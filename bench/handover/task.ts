/** The messages between the two threads of the measurement. */
import type { Load } from './stream.js';

/** How messages are passed to the other thread. */
export type Way = 'ring' | 'post';

export interface Task {
  readonly load: Load;
  readonly way: Way;
  /** Each read is passed on and handled before the next one. */
  readonly oneByOne: boolean;
  /** The memory of the ring. */
  readonly memory: SharedArrayBuffer;
  /** Two integers: GO, and the number of batches handled. */
  readonly signals: SharedArrayBuffer;
}

/** The reading thread's other messages. */
export type Note = 'prepared' | { readonly cpuNs: number };

export const GO = 0;
export const TAKEN = 1;
