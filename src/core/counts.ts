/** Which columns of a row of counters are what. */
export interface Layout {
  /** Number of columns that count failures. */
  readonly failures: number;
  /** Number of columns that count anything, failures included. */
  readonly counters: number;
  /** Number of all columns. */
  readonly columns: number;
}

/** What happened to a row between two marks. */
type Change = 'none' | 'counted' | 'failed';

export function increment(counts: Float64Array, column: number, by = 1): void {
  counts[column] = (counts[column] ?? 0) + by;
}

/** The sum of the columns before `end`. */
export function sumOf(row: Float64Array, end: number): number {
  let sum = 0;
  for (let column = 0; column < end; column++) sum += row[column] ?? 0;
  return sum;
}

/**
 * Counters as a row of numbers, with copies from the last two *marks*: rates are differences to
 * those. A row has the counters of failures first, then the other counters, then gauges.
 */
export class Counts {
  readonly now: Float64Array;
  readonly #layout: Layout;
  /** The counts at the last mark and at the one before; `null`: all were 0. */
  #newer: Float64Array | null = null;
  #older: Float64Array | null = null;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.now = new Float64Array(layout.columns);
  }

  mark(): Change {
    const before = this.#newer;
    const change = this.#change();
    // Of a row that never counted anything, no copies are kept.
    if (before === null && change === 'none') return change;
    const next = this.#older ?? new Float64Array(this.now.length);
    next.set(this.now);
    this.#older = before;
    this.#newer = next;
    return change;
  }

  #change(): Change {
    const { failures, counters } = this.#layout;
    let change: Change = 'none';
    for (let column = 0; column < counters; column++) {
      if (this.now[column] === (this.#newer?.[column] ?? 0)) continue;
      if (column < failures) return 'failed';
      change = 'counted';
    }
    return change;
  }

  /** What was counted since the last mark. */
  sinceLast(): Float64Array {
    return difference(this.now, this.#newer);
  }

  /** What was counted since the mark before the last one. */
  sinceOlder(): Float64Array {
    return difference(this.now, this.#older);
  }

  /** Adds what was counted to another row and begins at 0. The differences to the marks stay. */
  moveTo(other: Counts): void {
    const { counters } = this.#layout;
    if (sumOf(this.now, counters) === 0) return;
    const newer = (this.#newer ??= new Float64Array(this.now.length));
    const older = (this.#older ??= new Float64Array(this.now.length));
    for (let column = 0; column < counters; column++) {
      const by = this.now[column] ?? 0;
      increment(other.now, column, by);
      for (const row of [this.now, newer, older]) increment(row, column, -by);
    }
  }
}

export function difference(now: Float64Array, before: Float64Array | null): Float64Array {
  return before === null ? now.slice() : now.map((value, column) => value - (before[column] ?? 0));
}
