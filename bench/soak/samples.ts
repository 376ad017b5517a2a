/**
 * Samples of the nodes and of the processes of the load, and how much each figure grows in an hour. What a node uses
 * depends on its role, which changes between two restarts: so the figure of each time between restarts is its median,
 * and the slope is that of the medians, by least squares.
 */
import { readdirSync, readFileSync } from 'node:fs';

import type { MetricsPage } from '../../test/support/metrics.js';
import { quantile } from '../failover/load.js';

const PAGE_BYTES = 4096;
const CPU = 'process_cpu_seconds_total';
const HOUR_MS = 3_600_000;

/** What is sampled, and by how much it may grow in an hour; the data segment is mostly address space that is not used. */
export const FIGURES = {
  resident: {
    title: 'resident memory',
    sample: 'process_resident_memory_bytes',
    growthMax: 1e6,
  },
  heap: { title: 'data segment', sample: 'process_heap_bytes', growthMax: Infinity },
  descriptors: { title: 'open descriptors', sample: 'process_open_fds', growthMax: 1 },
  store: { title: 'store', sample: 'titanic_store_bytes', growthMax: 1e6 },
  log: { title: 'log of the store', sample: 'titanic_wal_bytes', growthMax: Infinity },
  held: { title: 'held for peers', sample: 'memory_held_bytes', growthMax: 1e6 },
} as const;
export type Figure = keyof typeof FIGURES;
const NAMES = Object.keys(FIGURES) as Figure[];

type Values = Partial<Record<Figure, number>>;

/** Of one process. */
export class Series {
  readonly name: string;
  readonly #lives: { readonly atMs: number[]; readonly values: Values[] }[] = [];
  lagMaxMs = 0;
  /** Of all lives until their last samples. */
  cpuSeconds = 0;
  #cpuSeconds = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** @param life how many restarts there were before */
  add(life: number, atMs: number, values: Values): void {
    const own = (this.#lives[life] ??= { atMs: [], values: [] });
    own.atMs.push(atMs);
    own.values.push(values);
  }

  /** From a page of metrics. */
  take(life: number, atMs: number, page: MetricsPage): void {
    this.lagMaxMs = Math.max(this.lagMaxMs, 1000 * (page.value('event_loop_lag_seconds') ?? 0));
    const counted = page.counted(CPU, ...NAMES.map((name) => FIGURES[name].sample));
    const cpuSeconds = counted[CPU] ?? 0;
    // A new process begins at 0 again.
    this.cpuSeconds += cpuSeconds >= this.#cpuSeconds ? cpuSeconds - this.#cpuSeconds : cpuSeconds;
    this.#cpuSeconds = cpuSeconds;
    const values: Values = {};
    for (const name of NAMES) values[name] = counted[FIGURES[name].sample] ?? 0;
    this.add(life, atMs, values);
  }

  /** @returns `null`: it has no such figure, or was not sampled for long enough */
  growth(name: Figure): Growth | null {
    // What comes before the first restart is the warm-up.
    const points = this.#lives.slice(1).flatMap(({ atMs, values }) => {
      const own = values.flatMap((each) => each[name] ?? []);
      return own.length === 0
        ? []
        : [{ at: quantile(atMs, 0.5) / HOUR_MS, value: quantile(own, 0.5) }];
    });
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined || points.length < 2) return null;
    return { name, first: first.value, last: last.value, perHour: slope(points) };
  }

  get growths(): Growth[] {
    return NAMES.flatMap((name) => this.growth(name) ?? []);
  }
}

export interface Growth {
  readonly name: Figure;
  readonly first: number;
  readonly last: number;
  readonly perHour: number;
}

interface Point {
  readonly at: number;
  readonly value: number;
}

/** Of the line with the least squares. */
export function slope(points: readonly Point[]): number {
  const mean = (of: (point: Point) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [at, value] = [mean((point) => point.at), mean((point) => point.value)];
  const along = mean((point) => (point.at - at) ** 2);
  return along === 0 ? 0 : mean((point) => (point.at - at) * (point.value - value)) / along;
}

/** What the system knows of a process; `null`: there is none. */
export function usedBy(pid: number): Values | null {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return { resident: pages * PAGE_BYTES, descriptors: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return null;
  }
}
