import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  DaySeries,
  HEAD_BYTES,
  MINUTE_MS,
  packedRow,
  rowsOf,
  SERIES_BYTES,
} from '../../../src/admin/metrics/day-samples.js';
import { Day, type Latest } from '../../../src/node/day.js';
import { DayFile } from '../../../src/node/io/day-file.js';

/** Series that the file has room for, that of the node included. */
const SERIES_MAX = 137;
const NOON = Date.UTC(2026, 10, 26, 12);
const COLUMNS = ['at', 'received', 'queued', 'p99Ms'];
const directory = mkdtempSync(join(tmpdir(), 'day-'));

afterAll(() => rmSync(directory, { recursive: true }));

/** Two samples of the minute that begins at `from`. */
function minute(name: string, from: number, received: number): Latest {
  const samples = [
    [from - 1, 999, 999, 999],
    [from, received, 1, null],
    [from + 30_000, received + 2, 7, null],
  ];
  return [name, { columns: COLUMNS, samples }];
}

async function opened(latest: () => readonly Latest[], now: number): Promise<[Day, DayFile]> {
  const file = new DayFile(directory);
  const day = new Day(file, latest, now);
  // It has read its head then.
  await day.of(null, COLUMNS, now);
  return [day, file];
}

describe('a day of samples (issue 82.8)', () => {
  it('has a row for each minute, also after a restart, and none older than a day', async () => {
    let latest: readonly Latest[] = [];
    const [day] = await opened(() => latest, NOON);
    for (let n = 0; n < 3; n++) {
      latest = [minute('', NOON + n * MINUTE_MS, n), minute('pay', NOON + n * MINUTE_MS, 10 * n)];
      day.tick(NOON + n * MINUTE_MS + 59_000);
      day.tick(NOON + (n + 1) * MINUTE_MS);
    }
    latest = [];
    await day.close();
    const later = NOON + 3 * MINUTE_MS;
    const [again] = await opened(() => latest, later);
    const row = (n: number, received: number): unknown => [
      NOON + n * MINUTE_MS,
      received + 1,
      7,
      null,
    ];
    expect(await again.of(null, COLUMNS, later)).toEqual([row(0, 0), row(1, 1), row(2, 2)]);
    expect(await again.of('pay', COLUMNS, later)).toEqual([row(0, 0), row(1, 10), row(2, 20)]);
    expect(await again.of('nobody', COLUMNS, later)).toEqual([]);
    expect(await again.of(null, COLUMNS, NOON + 1441 * MINUTE_MS)).toEqual([row(2, 2)]);
    await again.close();
    expect(statSync(join(directory, 'samples.day')).mode & 0o077).toBe(0);
  });

  it('begins anew with a file that it does not know, and goes on without one', async () => {
    writeFileSync(join(directory, 'samples.day'), '{"version":99}');
    const latest = [minute('', NOON, 5)];
    const [day] = await opened(() => latest, NOON);
    await day.close();
    expect(
      DaySeries.read(readFileSync(join(directory, 'samples.day')).subarray(0, HEAD_BYTES)),
    ).not.toBeNull();
    const nowhere = new Day(new DayFile(join(directory, 'gone')), () => latest, NOON);
    nowhere.tick(NOON + MINUTE_MS);
    expect(await nowhere.of(null, COLUMNS, NOON)).toEqual([]);
    await nowhere.close();
  });

  it('has at most 16 MiB: a new service takes the place of the one that was away longest', () => {
    const series = new DaySeries();
    const places = Array.from({ length: SERIES_MAX - 1 }, (_, n) => series.place(`s${n}`, n));
    const ends = places.map((place) => (place?.position ?? 0) + SERIES_BYTES);
    expect(Math.max(...ends)).toBeLessThanOrEqual(16 * 1024 * 1024);
    expect(series.place('s1', 500)).toEqual({ position: places[1]?.position, isNew: false });
    expect(series.place('new', 501)).toEqual({ position: places[0]?.position, isNew: true });
    expect([series.find('s0'), series.find('new')]).toEqual([null, places[0]?.position]);
    const known = DaySeries.read(series.head());
    expect(known?.find('new')).toBe(places[0]?.position);
    // All that are there had a row in this minute.
    for (let n = 1; n < SERIES_MAX - 1; n++) series.place(`s${n}`, 600);
    series.place('new', 600);
    expect(series.place('one more', 600)).toBeNull();
    // The head has room for the longest names.
    const longest = new DaySeries([
      '',
      ...Array.from({ length: SERIES_MAX - 1 }, (_, n) => '%00'.repeat(252) + String(n)),
    ]);
    expect(longest.head()).toHaveLength(HEAD_BYTES);
    expect(DaySeries.read(longest.head())).not.toBeNull();
    const row = packedRow(1, [1, null]);
    expect(rowsOf(Buffer.alloc(10).fill(row, 0, 10), COLUMNS, NOON)).toEqual([]);
  });
});
