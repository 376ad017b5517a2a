/** What operators ask of a million dead requests, and how long each answer takes. */
import { performance } from 'node:perf_hooks';

import type { GroupQuery, Scan, Selection } from '../../src/store/queries.js';
import type { RowFilter } from '../../src/store/stored-filter.js';
import { ANY_REQUEST, ANY_ROW } from '../../test/support/stored-filters.js';
import type { StoreFailure } from '../../src/store/store.js';
import type { ClosableQueries } from '../../src/store/thread/thread-queries.js';

const NOTHING = { states: ['dead'], after: null, only: null, except: null } as const;
const PAGE = 1000;

type Filter = Omit<Selection['filter'], 'more'>;
type Ask = (after: Scan['next']) => Promise<Scan & { readonly found: number }>;

function selection(more: Partial<RowFilter>, indexed: Partial<Filter> = {}): Selection {
  return { ...NOTHING, filter: { ...ANY_REQUEST, ...indexed, more: { ...ANY_ROW, ...more } } };
}

function good<Value extends object>(value: Value | StoreFailure): Value {
  if ('message' in value) throw new Error(value.message);
  return value;
}

function listing(queries: ClosableQueries, asked: Selection): Ask {
  return async (after) => {
    const page = good(
      await new Promise<Parameters<Parameters<ClosableQueries['page']>[1]>[0]>((resolve) => {
        queries.page({ ...asked, after, limit: PAGE }, resolve);
      }),
    );
    return { ...page, found: page.requests.length };
  };
}

function grouping(queries: ClosableQueries, by: GroupQuery['by'], asked: Selection): Ask {
  return async (after) => {
    const page = good(
      await new Promise<Parameters<Parameters<ClosableQueries['groups']>[1]>[0]>((resolve) => {
        queries.groups({ ...asked, after, by, limit: PAGE }, resolve);
      }),
    );
    return { ...page, found: page.groups.reduce((sum, { count }) => sum + count, 0) };
  };
}

function asks(queries: ClosableQueries): Readonly<Record<string, Ask>> {
  const service = Buffer.from('-29');
  return {
    'reason, 4,000 of a million': listing(queries, selection({ reason: 'OUT-OF-PAPER' })),
    'code and pattern of one group': listing(
      queries,
      selection({ code: 'out-of-paper', pattern: 'tray # of printer # is empty' }),
    ),
    header: listing(queries, selection({ header: { name: 'tenant', value: 't7' } })),
    'part of a service\u2019s name': listing(
      queries,
      selection({}, { service, serviceMatch: 'substring' }),
    ),
    'beginning of a uuid': listing(queries, selection({}, { uuid: '01A3' })),
    nothing: listing(queries, selection({ reason: 'no such reason' })),
    'groups by reason': grouping(queries, 'reason', selection({})),
    'groups by service, as a dry run counts': grouping(queries, 'service', selection({})),
  };
}

/** Of each search: its answers until the end, and the slowest of them. */
export async function searchTimes(queries: ClosableQueries): Promise<string[]> {
  const lines: string[] = [];
  for (const [what, ask] of Object.entries(asks(queries))) {
    const times: number[] = [];
    let found = 0;
    let scanned = 0;
    for (let after: Scan['next'] = null, isFirst = true; isFirst || after !== null;) {
      const began = performance.now();
      const page = await ask(after);
      times.push(performance.now() - began);
      [after, isFirst] = [page.next, false];
      found += page.found;
      scanned += page.scanned;
    }
    const sum = times.reduce((all, ms) => all + ms, 0);
    lines.push(
      `search by ${what}: ${found} of ${scanned} in ${(sum / 1000).toFixed(1)} s, ` +
        `${times.length} answers, the first after ${Math.round(times[0] ?? NaN)} ms, ` +
        `the slowest ${Math.round(Math.max(...times))} ms`,
    );
  }
  return lines;
}

/** Runs it while one search follows the other. */
export async function duringSearch<Result>(
  queries: ClosableQueries,
  run: () => Promise<Result>,
): Promise<Result> {
  const ask = listing(queries, selection({ reason: 'no such reason' }));
  const state = { isOver: false };
  const searching = (async (): Promise<void> => {
    for (let after: Scan['next'] = null; !state.isOver;) ({ next: after } = await ask(after));
  })();
  const result = await run();
  state.isOver = true;
  await searching;
  return result;
}
