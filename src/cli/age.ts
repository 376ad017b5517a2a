import { InvalidArgumentError } from 'commander';

import { momentIn } from '../core/moment.js';

/** Checks an age or a time, for an option: the broker reads it, by its clock. */
export function readMoment(text: string): string {
  if (momentIn(text) !== null) return text;
  throw new InvalidArgumentError(
    'Expected a number and a unit (90s, 15m, 2h, 7d), or a time (2026-11-26T17:00Z).',
  );
}
