/** Services and schedules that need a person, for the banner: from their lists, and the histories of some. */
import type { Service } from '../admin/api/node-answers.js';
import type { Schedule } from '../admin/api/stored-answers.js';
import type { Page } from '../admin/api/words.js';
import { byNeed, isUnserved, stuckOf } from '../core/service-needs.js';
import { get, withQuery } from './api.js';
import { historyOf, type Sample, Samples } from './samples.js';
import { allServices, mayFailAlways } from './services.js';

/** A service has failed so often, and for so long, without a reply before it counts as failing always. */
const FAILURES_MIN = 3;
const FAILING_MS = 10_000;
/** Failures that are older tell nothing about the service now. */
const FAILED_MS_MAX = 300_000;
/** A queue counts as growing after so long, and by so much. */
const GROWING_MS = 16_000;
const WINDOW_MS = 60_000;
const GROWN_MIN = 10;
const GROWN_FACTOR = 1.2;
/** So many histories of each kind are read, each of them only as far as it is new. */
const CANDIDATES_MAX = 5;
/** As many as one page of the API may have. */
const SCHEDULES_MAX = 1000;
/** Time between two samples of a service. */
const SAMPLE_MS = 4000;

interface Failing {
  readonly failures: number;
  /** Milliseconds since 1970. */
  readonly since: number;
}

interface Growing {
  readonly waiting: number;
  /** How many more these are than `ms` before. */
  readonly more: number;
  readonly ms: number;
}

type Of<What> = What & { readonly service: string };

export interface Watched {
  readonly services: readonly Service[];
  readonly unserved: readonly Of<object>[];
  readonly failing: readonly Of<Failing>[];
  readonly growing: readonly Of<Growing>[];
  readonly paused: readonly Of<{ readonly waiting: number }>[];
  /** Those that are paused. */
  readonly schedules: readonly Schedule[];
}

const histories = new Map<string, Samples>();

/** @param isStoring whether the node stores requests, and so may have schedules */
export async function watch(isStoring: boolean): Promise<Watched> {
  const [services, schedules] = await Promise.all([
    allServices(),
    isStoring ? pausedSchedules() : [],
  ]);
  // Of the others, that they wait says more.
  const served = services.filter((each) => !each.paused && !isUnserved(each));
  const mayFail = byNeed(served).filter(mayFailAlways).slice(0, CANDIDATES_MAX);
  const mayGrow = served
    .filter((each) => stuckOf(each) >= GROWN_MIN)
    .sort((left, right) => stuckOf(right) - stuckOf(left))
    .slice(0, CANDIDATES_MAX);
  const asked = new Set([...mayFail, ...mayGrow].map(({ service }) => service));
  for (const service of histories.keys()) if (!asked.has(service)) histories.delete(service);
  await Promise.all([...asked].map(remember));
  const found = <What extends object>(
    of: readonly Service[],
    by: (samples: readonly Sample[]) => What | null,
  ): Of<What>[] =>
    of.flatMap(({ service }) => {
      const what = by(histories.get(service)?.all ?? []);
      return what === null ? [] : [{ ...what, service }];
    });
  return {
    services,
    unserved: services.filter(isUnserved),
    failing: found(mayFail, failingIn),
    growing: found(mayGrow, growingIn),
    paused: services
      .filter(({ paused }) => paused)
      .map(({ service, queued, durable }) => {
        return { service, waiting: queued + (durable?.pending ?? 0) };
      }),
    schedules,
  };
}

async function remember(service: string): Promise<void> {
  const samples = histories.get(service) ?? new Samples();
  histories.set(service, samples);
  await historyOf(service, samples);
}

async function pausedSchedules(): Promise<readonly Schedule[]> {
  const path = withQuery('/api/v1/titanic/schedules', { limit: String(SCHEDULES_MAX) });
  const { items } = await get<Page<Schedule>>(path);
  return items.filter(({ paused }) => paused);
}

/** The failures since the last reply, plain or durable; `null`: too few to say that all fail. */
export function failingIn(samples: readonly Sample[]): Failing | null {
  const sum = (sample: Sample, ...columns: readonly string[]): number =>
    columns.reduce((all, column) => all + (sample[column] ?? 0), 0);
  const replied = samples.findLastIndex((each) => sum(each, 'replied', 'completed') > 0);
  const after = samples.slice(replied + 1);
  const failures = after.reduce((all, sample, index) => {
    const before = after[index - 1]?.['at'] ?? (sample['at'] ?? 0) - SAMPLE_MS;
    const seconds = ((sample['at'] ?? 0) - before) / 1000;
    return all + sum(sample, 'failed', 'failedAttempts') * seconds;
  }, 0);
  const failed = after.filter((each) => sum(each, 'failed', 'failedAttempts') > 0);
  const [since, last] = [failed[0]?.['at'] ?? NaN, failed.at(-1)?.['at'] ?? NaN];
  const now = samples.at(-1)?.['at'] ?? NaN;
  // A rate is rounded.
  const rounded = Math.round(failures);
  const isSo = rounded >= FAILURES_MIN && now - since >= FAILING_MS && now - last < FAILED_MS_MAX;
  return isSo ? { failures: rounded, since } : null;
}

/** How a queue has grown in the last minute, or as long as there are samples; `null`: not all the time. */
export function growingIn(samples: readonly Sample[]): Growing | null {
  const now = samples.at(-1)?.['at'] ?? 0;
  const recent = samples.filter(({ at }) => (at ?? 0) >= now - WINDOW_MS);
  const sizes = recent.map(({ queued, open }) => (queued ?? 0) + (open ?? 0));
  const ms = now - (recent[0]?.['at'] ?? now);
  const third = Math.floor(sizes.length / 3);
  const mean = (from: number): number =>
    sizes.slice(from, from + third).reduce((sum, size) => sum + size, 0) / third;
  const [first, middle, last] = [mean(0), mean(third), mean(sizes.length - third)];
  const waiting = sizes.at(-1) ?? 0;
  const isRising = first < middle && middle < last && waiting === Math.max(...sizes);
  const isMuch = last - first >= GROWN_MIN && last >= first * GROWN_FACTOR;
  if (ms < GROWING_MS || !isRising || !isMuch) return null;
  return { waiting, more: waiting - (sizes[0] ?? 0), ms };
}
