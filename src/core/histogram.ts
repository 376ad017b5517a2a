/**
 * Counts of values by bucket, for one series or many. Plain numbers in typed arrays, so that
 * observing a value allocates nothing.
 */
export class Histograms {
  /** Inclusive upper bounds of the buckets, ascending. One more bucket takes larger values. */
  readonly bounds: Float64Array;
  /** By series, then bucket. */
  readonly #counts: Float64Array;
  readonly #sums: Float64Array;

  constructor(bounds: readonly number[], series: number) {
    this.bounds = Float64Array.from(bounds);
    this.#counts = new Float64Array((bounds.length + 1) * series);
    this.#sums = new Float64Array(series);
  }

  observe(series: number, value: number): void {
    const { bounds } = this;
    const last = bounds.length;
    let bucket = 0;
    while (bucket < last && value > (bounds[bucket] ?? 0)) bucket++;
    const at = series * (last + 1) + bucket;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sums[series] = (this.#sums[series] ?? 0) + value;
  }

  /** Number of values in one bucket; `bucket` is `bounds.length` for values above all bounds. */
  count(series: number, bucket: number): number {
    return this.#counts[series * (this.bounds.length + 1) + bucket] ?? 0;
  }

  /** Number of values in all buckets. */
  total(series: number): number {
    let total = 0;
    for (let bucket = 0; bucket <= this.bounds.length; bucket++) {
      total += this.count(series, bucket);
    }
    return total;
  }

  /** Sum of all values. */
  sum(series: number): number {
    return this.#sums[series] ?? 0;
  }
}
