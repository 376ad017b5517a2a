/** Keeps a day of samples in its file, a row for each minute and series. */
import {
  type Columns,
  DaySeries,
  HEAD_BYTES,
  MINUTE_MS,
  minuteOf,
  NODE_SERIES,
  packedRow,
  type Row,
  rowPosition,
  rowsOf,
  SERIES_BYTES,
} from '../admin/metrics/day-samples.js';
import type { DayFile } from './io/day-file.js';

/** The latest samples of a series. */
export type Latest = readonly [
  name: string,
  block: { readonly columns: Columns; readonly samples: readonly Row[] },
];

export class Day {
  readonly #file: DayFile;
  readonly #latest: () => Iterable<Latest>;
  #series: DaySeries | null = null;
  readonly #opened: Promise<void>;
  #minute: number;

  /** @param latest at least those of the last minute */
  constructor(file: DayFile, latest: () => Iterable<Latest>, now: number) {
    this.#file = file;
    this.#latest = latest;
    this.#minute = Math.floor(now / MINUTE_MS);
    this.#opened = this.#open();
  }

  async #open(): Promise<void> {
    const known = DaySeries.read(await this.#file.read(HEAD_BYTES, 0));
    this.#series = known ?? new DaySeries();
    if (known === null) this.#file.write(this.#series.head(), 0);
  }

  /** Writes the rows of a minute that is over. @param now milliseconds since 1970 */
  tick(now: number): void {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute === this.#minute) return;
    this.#write(this.#minute);
    this.#minute = minute;
  }

  #write(minute: number): void {
    const series = this.#series;
    if (series === null) return;
    const [from, until] = [minute * MINUTE_MS, (minute + 1) * MINUTE_MS];
    let isChanged = false;
    for (const [name, { columns, samples }] of this.#latest()) {
      const rows = samples.filter(([at]) => (at ?? 0) >= from && (at ?? 0) < until);
      const found = rows.length === 0 ? null : series.place(name, minute);
      if (found === null) continue;
      const { position, isNew } = found;
      if (isNew) this.#file.write(Buffer.alloc(SERIES_BYTES), position);
      isChanged ||= isNew;
      this.#file.write(packedRow(minute, minuteOf(columns, rows)), position + rowPosition(minute));
    }
    if (isChanged) this.#file.write(series.head(), 0);
  }

  /** @param name of a service; `null`: the node */
  async of(name: string | null, columns: Columns, now: number): Promise<readonly Row[]> {
    await this.#opened;
    const position = this.#series?.find(name ?? NODE_SERIES) ?? null;
    if (position === null) return [];
    return rowsOf(await this.#file.read(SERIES_BYTES, position), columns, now);
  }

  /** The minute that has begun is written, too. */
  async close(): Promise<void> {
    this.#write(this.#minute);
    await this.#file.close();
  }
}
