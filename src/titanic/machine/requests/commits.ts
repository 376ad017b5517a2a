import { Histogram } from '../../../core/histogram.js';

/** From the latency of memory to that of a failing disk. */
const DURATION_BOUNDS_MS = [
  0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000,
];
/** Up to the maximum size of a batch. */
const SIZE_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

/** Batches that the store committed. */
export class Commits {
  /**
   * Milliseconds from handing over a batch to learning that it is durable, to the accuracy of a
   * turn.
   */
  readonly durations: Histogram = new Histogram(DURATION_BOUNDS_MS);
  /** The sizes of batches, in changes. */
  readonly sizes: Histogram = new Histogram(SIZE_BOUNDS, this.durations.end);
  /** The numbers of both. */
  readonly counts: Float64Array = new Float64Array(this.sizes.end);

  /** A batch is durable. One that fails is not counted. */
  done(size: number, durationMs: number): void {
    this.sizes.observe(this.counts, size);
    this.durations.observe(this.counts, durationMs);
  }
}
