import type { Place } from './place.js';

/** One row of the table in `guide.test.ts`. */
export interface Case {
  /** Programs of the Guide that run unchanged here, by their names without `.c`. */
  readonly programs: readonly string[];
  /** What the case shows: the rest of its title. */
  readonly shows: string;
  readonly run: (place: Place) => Promise<void>;
  readonly timeoutMs?: number;
}
