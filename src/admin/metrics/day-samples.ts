/**
 * A day of one-minute samples of the node and of its labelled services, for a file of fixed size: a head with the names,
 * then for each series a ring of 1440 rows, each with its minute and values. What is not of the last day, or of another
 * layout, counts for nothing: the file may be lost, and is written in place without being synced.
 */
import { rounded } from './rates.js';

export const MINUTE_MS = 60_000;
const MINUTES = 1440;
const VALUES_MAX = 20;
const ROW_BYTES = 4 + 4 * VALUES_MAX;
export const SERIES_BYTES = MINUTES * ROW_BYTES;
export const HEAD_BYTES = 128 * 1024;
/** With the head, less than 16 MiB. */
const SERIES_MAX = 137;
/** The name of the node's own series; no service has an empty name. */
export const NODE_SERIES = '';
const VERSION = 1;

/** The worst of what happened in a minute; the mean of other values. */
const WORST = /^(queued|inFlight|open|dead|loopLagMs|p99Ms|maxMs|toReplyP99Ms|toReplyMaxMs)$/;

/** Names of values, the first of which is `at`. */
export type Columns = readonly string[];
export type Row = readonly (number | null)[];

/** Makes one row of all rows of a minute. */
export function minuteOf(columns: Columns, rows: readonly Row[]): Row {
  return columns.slice(1).map((name, index) => {
    const values = rows.flatMap((row) => row[index + 1] ?? []);
    if (values.length === 0) return null;
    if (WORST.test(name)) return Math.max(...values);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  });
}

/** Where the series are in the file. */
export class DaySeries {
  /** The name at each place; the place of the node is the first. */
  readonly #names: string[];
  /** The minute of the last row at each place. */
  readonly #usedAt: number[];

  constructor(names: readonly string[] = [NODE_SERIES]) {
    this.#names = [...names];
    this.#usedAt = names.map(() => 0);
  }

  /** @returns `null`: it is not a head of this version */
  static read(head: Buffer): DaySeries | null {
    try {
      const { version, names } = (JSON.parse(head.toString()) ?? {}) as Readonly<
        Record<string, unknown>
      >;
      const isKnown = version === VERSION && Array.isArray(names) && names.length <= SERIES_MAX;
      const isText = isKnown && names.every((name) => typeof name === 'string');
      return isText && names[0] === NODE_SERIES ? new DaySeries(names) : null;
    } catch {
      return null;
    }
  }

  head(): Buffer {
    const text = JSON.stringify({ version: VERSION, names: this.#names });
    return Buffer.alloc(HEAD_BYTES, ' ').fill(text, 0, Buffer.byteLength(text));
  }

  /** Where the rows of a series begin; `null`: it has none. */
  find(name: string): number | null {
    const place = this.#names.indexOf(name);
    return place < 0 ? null : positionOf(place);
  }

  /**
   * The place of a series, and a new one for one that has none: that of the series that has had no row for longest.
   * @returns whether it is new: then the head and its rows are to be written anew; `null`: there is no place
   */
  place(
    name: string,
    minute: number,
  ): { readonly position: number; readonly isNew: boolean } | null {
    let place = this.#names.indexOf(name);
    const isNew = place < 0;
    if (isNew) {
      place = this.#names.length;
      if (place === SERIES_MAX) {
        const others = this.#usedAt.slice(1);
        const oldest = Math.min(...others);
        if (oldest >= minute - 1) return null;
        place = 1 + others.indexOf(oldest);
      }
      this.#names[place] = name;
    }
    this.#usedAt[place] = minute;
    return { position: positionOf(place), isNew };
  }
}

function positionOf(place: number): number {
  return HEAD_BYTES + place * SERIES_BYTES;
}

/** Where the row of a minute is in its series. */
export function rowPosition(minute: number): number {
  return (minute % MINUTES) * ROW_BYTES;
}

export function packedRow(minute: number, values: Row): Buffer {
  const row = Buffer.alloc(ROW_BYTES);
  row.writeUInt32LE(minute, 0);
  for (const [index, value] of values.slice(0, VALUES_MAX).entries()) {
    row.writeFloatLE(value ?? NaN, 4 + 4 * index);
  }
  return row;
}

/** The rows of the day before `now`, oldest first, with their times. @param columns with `at` */
export function rowsOf(series: Buffer, columns: Columns, now: number): Row[] {
  const last = Math.floor(now / MINUTE_MS);
  const rows: Row[] = [];
  for (let minute = last - MINUTES + 1; minute <= last; minute++) {
    const at = rowPosition(minute);
    if (at + ROW_BYTES > series.length || series.readUInt32LE(at) !== minute) continue;
    const values = columns.slice(1).map((_, index) => {
      const value = series.readFloatLE(at + 4 + 4 * index);
      return Number.isNaN(value) ? null : rounded(value);
    });
    rows.push([minute * MINUTE_MS, ...values]);
  }
  return rows;
}
