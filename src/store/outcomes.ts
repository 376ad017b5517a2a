/**
 * What became of a record last: of a schedule, what was done at its last due time; of a webhook, how the request ended
 * that it tells of. In the order of the numbers that encode them; of other records, and before that, `none`.
 */
export const OUTCOMES = [
  'none',
  'stored',
  'paused',
  'denied',
  'replied',
  'dead',
  'cancelled',
  'expired',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** The number that encodes an outcome: a record has this, so that one of a later version is kept. */
export function numberOfOutcome(outcome: Outcome): number {
  return OUTCOMES.indexOf(outcome);
}

/** @returns `none` also for the outcome of a later version */
export function outcomeOfNumber(number: number): Outcome {
  return OUTCOMES[number] ?? 'none';
}
