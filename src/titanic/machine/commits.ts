import { Histograms } from '../../core/histogram.js';

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
  readonly durations: Histograms = new Histograms(DURATION_BOUNDS_MS, 1);
  /** In changes. */
  readonly sizes: Histograms = new Histograms(SIZE_BOUNDS, 1);

  /** A batch is durable. One that fails is not counted. */
  done(size: number, durationMs: number): void {
    this.sizes.observe(0, size);
    this.durations.observe(0, durationMs);
  }
}
