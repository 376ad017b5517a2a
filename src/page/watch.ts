/** Services and schedules that need a person, for the banner: from their lists, and the histories of some. */
import type { Service } from '../admin/api/node-answers.js';
import type { Schedule } from '../admin/api/stored-answers.js';
import type { Page } from '../admin/api/words.js';
import { byNeed, isUnserved, stuckOf } from '../core/service-needs.js';
import { get, withQuery } from './api.js';
import { historyOf, type Sample, Samples } from './samples.js';
import { type Failing, failingIn, type Growing, GROWN_MIN, growingIn } from './service-state.js';
import { allServices, mayFailAlways } from './services.js';

/** So many histories of each kind are read, each of them only as far as it is new. */
const CANDIDATES_MAX = 5;
/** The most schedules: as many as one page of the API may have. */
const SCHEDULES_MAX = 1000;

type Of<What> = What & { readonly service: string };

export interface Watched {
  readonly services: readonly Service[];
  readonly unserved: readonly Of<object>[];
  readonly failing: readonly Of<Failing>[];
  readonly growing: readonly Of<Growing>[];
  readonly pausedServices: readonly Service[];
  readonly pausedSchedules: readonly Schedule[];
}

const histories = new Map<string, Samples>();

/** @param isStoring whether the node stores requests, and so may have schedules */
export async function watch(isStoring: boolean): Promise<Watched> {
  const [services, pausedSchedules] = await Promise.all([
    allServices(),
    // The node says itself if its store is away.
    isStoring ? readPausedSchedules().catch(() => []) : [],
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
    pausedServices: services.filter(({ paused }) => paused),
    pausedSchedules,
  };
}

async function remember(service: string): Promise<void> {
  const samples = histories.get(service) ?? new Samples();
  histories.set(service, samples);
  await historyOf(service, samples);
}

async function readPausedSchedules(): Promise<readonly Schedule[]> {
  const path = withQuery('/api/v1/titanic/schedules', { limit: String(SCHEDULES_MAX) });
  const { items } = await get<Page<Schedule>>(path);
  return items.filter(({ paused }) => paused);
}
