/** Pauses that grow. */
export interface BackoffOptions {
  /** The first pause, in milliseconds, before jitter. */
  readonly retryBaseMs: number;
  /** The longest pause. */
  readonly retryMaxMs: number;
}

/** A number in [0, 1). */
export type Random = () => number;

const DOUBLINGS_MAX = 20;

/**
 * The pause before try `failures + 1`, in milliseconds: it doubles with each failure in a row, up
 * to the maximum. A random half is taken off, so that clients that failed together do not return
 * together.
 */
export function backoffMs(options: BackoffOptions, failures: number, random: Random): number {
  const doublings = Math.min(Math.max(failures - 1, 0), DOUBLINGS_MAX);
  const whole = Math.min(options.retryMaxMs, options.retryBaseMs * 2 ** doublings);
  return whole / 2 + (whole / 2) * random();
}
