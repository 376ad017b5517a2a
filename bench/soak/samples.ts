/**
 * Samples of the nodes and of the processes of the load, and how much each figure grows in an hour. What a node uses
 * depends on its role, which changes between two restarts and at each: so there is one median for each role of each time
 * between restarts, and only those of the same role are compared, by least squares.
 */
import { readdirSync, readFileSync } from 'node:fs';

import type { MetricsPage } from '../../test/support/metrics.js';
import { quantile } from '../failover/load.js';

const PAGE_BYTES = 4096;
const CPU = 'process_cpu_seconds_total';
export const HOUR_MS = 3_600_000;
const ROLES = ['active', 'passive'];
/** In a run of an hour or more, resident memory counts from then on: V8's heap takes that long to find its size. */
const SETTLED_MS = HOUR_MS / 2;
/** A growth is certain if it is this many standard errors above the limit. */
const ERRORS = 2;

/** What is sampled, from which metric, and by how much it may grow in an hour. */
export const FIGURES = {
  resident: {
    title: 'resident memory',
    sample: 'process_resident_memory_bytes',
    growthMax: 1e6,
  },
  live: { title: 'heap and buffers after a collection', sample: null, growthMax: 1e6 },
  descriptors: { title: 'open descriptors', sample: 'process_open_fds', growthMax: 1 },
  store: { title: 'store', sample: 'titanic_store_bytes', growthMax: 1e6 },
  log: { title: 'log of the store', sample: 'titanic_wal_bytes', growthMax: Infinity },
  held: { title: 'held for peers', sample: 'memory_held_bytes', growthMax: 1e6 },
} as const;
export type Figure = keyof typeof FIGURES;
/** The figures of a node; those of another process follow. */
export const OF_NODE = Object.keys(FIGURES) as readonly Figure[];
export const OF_PROCESS: readonly Figure[] = ['resident', 'live', 'descriptors'];

type Values = Partial<Record<Figure, number>>;

interface Sample {
  /** How many restarts there were before. */
  readonly life: number;
  /** Of a node; other processes have one role. */
  readonly role: string;
  readonly atMs: number;
  readonly values: Values;
}

/** Of one process. */
export class Series {
  readonly name: string;
  readonly #figures: readonly Figure[];
  readonly #samples: Sample[] = [];
  /** Metrics of figures with a limit that a page did not have. */
  readonly missing = new Set<string>();
  lagMaxMs = 0;
  /** Of all lives until their last samples. */
  cpuSeconds = 0;
  #cpuSeconds = 0;
  /** Whether the run takes an hour or more. */
  isLong = false;

  constructor(name: string, figures: readonly Figure[]) {
    this.name = name;
    this.#figures = figures;
  }

  add(sample: Sample): void {
    this.#samples.push(sample);
  }

  /** From a page of metrics. @param live see `live.ts`; `null`: it was not asked */
  take(life: number, atMs: number, page: MetricsPage, live: number | null): void {
    this.lagMaxMs = Math.max(this.lagMaxMs, 1000 * (page.value('event_loop_lag_seconds') ?? 0));
    const cpuSeconds = page.value(CPU) ?? 0;
    // A new process begins at 0 again.
    this.cpuSeconds += cpuSeconds >= this.#cpuSeconds ? cpuSeconds - this.#cpuSeconds : cpuSeconds;
    this.#cpuSeconds = cpuSeconds;
    const role = ROLES.find((each) => page.value(`ha_state{state="${each}"}`) === 1);
    // One that starts or joins has no figures yet that could be compared.
    if (role === undefined) return;
    const values: Values = live === null ? {} : { live };
    for (const name of this.#figures) {
      const { sample, growthMax } = FIGURES[name];
      if (sample === null) continue;
      const value = page.value(sample);
      if (value !== undefined) values[name] = value;
      else if (growthMax < Infinity) this.missing.add(sample);
    }
    this.add({ life, role, atMs, values });
  }

  /** @returns `null`: it has no such figure, or was not sampled for long enough */
  growth(name: Figure): Growth | null {
    const fromMs = this.isLong && name === 'resident' ? SETTLED_MS : 0;
    const points = new Map<string, Point[]>();
    for (const own of this.#apart(name, fromMs)) {
      const [role = ''] = own.map((sample) => sample.role);
      const at = middle(own.map(({ atMs }) => atMs)) / HOUR_MS;
      const value = middle(own.flatMap(({ values }) => values[name] ?? []));
      points.set(role, [...(points.get(role) ?? []), { at, value }]);
    }
    const line = lineOf([...points.values()]);
    // Those of the role with most of them.
    const [most = []] = [...points.values()].toSorted((a, b) => b.length - a.length);
    const [first, last] = [most[0], most.at(-1)];
    if (line === null || first === undefined || last === undefined) return null;
    return { name, first: first.value, last: last.value, perHour: line.slope, error: line.error };
  }

  get growths(): Growth[] {
    return this.#figures.flatMap((name) => this.growth(name) ?? []);
  }

  /** Whether each figure with a limit grows by more than that. */
  get judgements(): Judgement[] {
    return this.#figures
      .filter((name) => FIGURES[name].growthMax < Infinity)
      .map((name) => judged(name, this.growth(name)));
  }

  /** Those that have a figure, by life and role; what comes before the first restart is the warm-up. */
  #apart(name: Figure, fromMs: number): Iterable<Sample[]> {
    const apart = new Map<string, Sample[]>();
    for (const sample of this.#samples) {
      const { life, role, atMs, values } = sample;
      if (life === 0 || atMs < fromMs || values[name] === undefined) continue;
      const key = `${life} ${role}`;
      apart.set(key, [...(apart.get(key) ?? []), sample]);
    }
    return apart.values();
  }
}

const middle = (values: readonly number[]): number => quantile(values, 0.5);

export interface Growth {
  readonly name: Figure;
  readonly first: number;
  readonly last: number;
  readonly perHour: number;
  /** The standard error of `perHour`. */
  readonly error: number;
}

export interface Judgement {
  readonly name: Figure;
  /** `open`: it may grow by more than its limit, or not. */
  readonly outcome: 'grows' | 'steady' | 'open' | 'not measured';
  /** The smallest growth in an hour that would have been seen. */
  readonly seen: number;
}

function judged(name: Figure, growth: Growth | null): Judgement {
  if (growth === null) return { name, outcome: 'not measured', seen: Infinity };
  const { perHour, error } = growth;
  const { growthMax } = FIGURES[name];
  const seen = growthMax + ERRORS * error;
  if (perHour - ERRORS * error > growthMax) return { name, outcome: 'grows', seen };
  return { name, outcome: perHour + ERRORS * error <= growthMax ? 'steady' : 'open', seen };
}

interface Point {
  readonly at: number;
  readonly value: number;
}

interface Line {
  readonly slope: number;
  /** The standard error of the slope. */
  readonly error: number;
}

/**
 * The slope with the least squares of groups of points, each of which has a height of its own.
 * @returns `null`: there are too few points for an error
 */
function lineOf(groups: readonly (readonly Point[])[]): Line | null {
  const points = groups.flatMap((group) => {
    const mean = (of: (point: Point) => number): number =>
      group.reduce((sum, point) => sum + of(point), 0) / group.length;
    const [at, value] = [mean((point) => point.at), mean((point) => point.value)];
    return group.map((point) => ({ at: point.at - at, value: point.value - value }));
  });
  const sum = (of: (point: Point) => number): number =>
    points.reduce((total, point) => total + of(point), 0);
  const along = sum(({ at }) => at ** 2);
  const free = points.length - groups.length - 1;
  if (along === 0 || free < 1) return null;
  const slope = sum(({ at, value }) => at * value) / along;
  const rest = sum(({ at, value }) => (value - slope * at) ** 2);
  return { slope, error: Math.sqrt(rest / free / along) };
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
