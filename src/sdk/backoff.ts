/** How pauses grow. */
export interface BackoffOptions {
  /** The first pause, in milliseconds, before jitter. */
  readonly retryBaseMs: number;
  /** No pause is longer. */
  readonly retryMaxMs: number;
}

/** A number in [0, 1). */
export type Random = () => number;

const DOUBLINGS_MAX = 20;

/**
 * The pause before try `failures + 1`, in milliseconds: doubled with each failure in a row up to the
 * largest, of which a random half is taken off so that those who failed together do not come back
 * together.
 */
export function backoffMs(options: BackoffOptions, failures: number, random: Random): number {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX);
  const whole = Math.min(options.retryMaxMs, options.retryBaseMs * 2 ** doublings);
  return whole / 2 + (whole / 2) * random();
}
