import { Histograms } from '../core/histogram.js';

/** From what memory takes to what a disk in trouble does. */
const DURATION_BOUNDS_MS = [
  0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000,
];
/** Up to the most that one batch has. */
const SIZE_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

/** Batches that the store committed, of which one is under way at a time. */
export class Commits {
  /** Milliseconds from handing it over to hearing that it is durable, to the turn. */
  readonly durations: Histograms = new Histograms(DURATION_BOUNDS_MS, 1);
  /** In changes. */
  readonly sizes: Histograms = new Histograms(SIZE_BOUNDS, 1);
  #size = 0;
  #beganAt = 0;

  /** @param now monotonic milliseconds */
  began(size: number, now: number): void {
    this.#size = size;
    this.#beganAt = now;
  }

  /** The one that began last is durable; one that fails is not counted. */
  done(now: number): void {
    this.sizes.observe(0, this.#size);
    this.durations.observe(0, now - this.#beganAt);
  }
}
