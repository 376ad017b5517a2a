/**
 * A histogram that lies in a row of numbers, from one column on: a count for each bucket, one for
 * values above all bounds, and the sum of the values. Observing a value allocates nothing.
 */
export class Histogram {
  /** Inclusive upper bounds of the buckets, ascending. */
  readonly bounds: Float64Array;
  readonly #from: number;

  constructor(bounds: readonly number[], from = 0) {
    this.bounds = Float64Array.from(bounds);
    this.#from = from;
  }

  /** The first column behind it. */
  get end(): number {
    return this.#from + this.bounds.length + 2;
  }

  observe(row: Float64Array, value: number): void {
    const { bounds } = this;
    const last = bounds.length;
    let bucket = 0;
    while (bucket < last && value > (bounds[bucket] ?? 0)) bucket++;
    const at = this.#from + bucket;
    row[at] = (row[at] ?? 0) + 1;
    const sum = this.#from + last + 1;
    row[sum] = (row[sum] ?? 0) + value;
  }

  /** Number of values in one bucket; `bucket` is `bounds.length` for values above all bounds. */
  count(row: Float64Array, bucket: number): number {
    return row[this.#from + bucket] ?? 0;
  }

  /** Number of values in all buckets. */
  total(row: Float64Array): number {
    let total = 0;
    for (let bucket = 0; bucket <= this.bounds.length; bucket++) total += this.count(row, bucket);
    return total;
  }

  /** Sum of all values. */
  sum(row: Float64Array): number {
    return row[this.#from + this.bounds.length + 1] ?? 0;
  }
}
