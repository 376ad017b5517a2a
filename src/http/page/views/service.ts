/** One service: its figures, its workers, its stored requests. */
import { get, messageOf, withQuery } from '../api.js';
import { DataTable } from '../data-table.js';
import { attempt } from '../dialogs.js';
import { button, el, text } from '../dom.js';
import { failuresByCode, failureTable } from '../failure-table.js';
import { count, millis, NONE, span } from '../format.js';
import { retryDead } from '../retry-dead.js';
import { repliedRate } from '../service-columns.js';
import { loadFigures } from '../service-list.js';
import type { CountsByService, Page, Service, Worker } from '../shapes.js';
import { empty, statePill } from '../status-line.js';
import { type Context, linkTo, repeatedly, type View } from '../view.js';

const EVERY_MS = 2000;
/** Counting the stored requests of all services is dearer. */
const STORED_EVERY = 5;
const WORKERS_SHOWN = 200;

interface Listed extends Worker {
  readonly id: number;
}

function workerTable(): DataTable<Listed> {
  return new DataTable<Listed>({
    label: 'Workers',
    columns: [
      {
        head: 'Name',
        show: ({ name }, cell) => text(cell, name ?? NONE),
        by: ({ name }) => name ?? '',
      },
      {
        head: 'State',
        show: ({ state }, cell) => {
          if (cell.textContent !== state) cell.replaceChildren(statePill(state));
        },
        by: ({ state }) => state,
      },
      {
        head: 'In flight',
        show: ({ inFlight }, cell) => text(cell, count(inFlight)),
        by: ({ inFlight }) => inFlight,
        isNumber: true,
        isLargeFirst: true,
      },
      {
        head: 'Credit',
        show: ({ credit }, cell) => text(cell, count(credit)),
        by: ({ credit }) => credit,
        isNumber: true,
        isLargeFirst: true,
      },
      {
        head: 'Registered for',
        show: ({ sinceMs }, cell) => text(cell, span(sinceMs)),
        by: ({ sinceMs }) => sinceMs,
        isNumber: true,
        isLargeFirst: true,
      },
      { head: 'MDP', show: ({ version }, cell) => text(cell, version), isMinor: true },
      { head: 'Key', show: ({ key }, cell) => text(cell, key ?? NONE), isMinor: true },
      {
        head: 'Address',
        show: ({ address }, cell) => text(cell, address ?? NONE),
        by: ({ address }) => address ?? '',
        isMinor: true,
      },
    ],
    key: ({ id }) => String(id),
    sortedBy: 4,
    pageRows: 50,
    whenEmpty: empty('No worker', 'Requests for this service wait until one registers.'),
  });
}

const FIGURES = ['Waiting', 'Busy', 'Queued', 'In flight', 'Rate', 'p50', 'p99'] as const;

export function serviceView({ stream }: Context, service: string): View {
  const table = workerTable();
  const failures = failureTable();
  const endFailures = stream.watch(() => {
    failures.show(failuresByCode(stream.events, service));
  });
  const retry = button('Retry all dead', 'button', () => {
    attempt(() => retryDead(service, {}, null, () => showStored(service, stored)));
  });
  retry.hidden = true;
  const values = new Map(FIGURES.map((label) => [label, el('strong', { class: 'value' }, NONE)]));
  const set = (label: (typeof FIGURES)[number], value: string): void => {
    const element = values.get(label);
    if (element !== undefined) text(element, value);
  };
  const state = el('span', { class: 'quiet', role: 'status' });
  const stored = el('p', { class: 'stored-of', hidden: true });
  let turn = 0;
  const load = async (): Promise<void> => {
    try {
      const [services, workers, figures] = await Promise.all([
        get<Page<Service>>(withQuery('/api/v1/services', { service })),
        get<Page<Worker>>(withQuery('/api/v1/workers', { service, limit: String(WORKERS_SHOWN) })),
        loadFigures(),
      ]);
      const [found] = services.items;
      set('Waiting', count(found?.workersWaiting ?? 0));
      set('Busy', count(found?.workersBusy ?? 0));
      set('Queued', count(found?.queued ?? 0));
      const now = figures.get(service) ?? null;
      set('In flight', count(now?.inFlight ?? null));
      set('Rate', repliedRate(now));
      set('p50', millis(now?.p50Ms ?? null));
      set('p99', millis(now?.p99Ms ?? null));
      table.show(workers.items.map((worker, id) => ({ ...worker, id })));
      text(state, workers.next === null ? '' : `the first ${WORKERS_SHOWN} workers`);
      retry.hidden = (found?.durable?.dead ?? 0) === 0;
      if (turn++ % STORED_EVERY === 0) await showStored(service, stored);
    } catch (error) {
      text(state, messageOf(error));
    }
  };
  const endLoading = repeatedly(load, () => EVERY_MS);
  const figures = FIGURES.map((label) =>
    el(
      'div',
      { class: 'figure' },
      values.get(label) ?? null,
      el('span', { class: 'label' }, label),
    ),
  );
  return {
    element: el(
      'section',
      { class: 'card' },
      el('p', { class: 'crumbs' }, el('a', { href: linkTo('services') }, 'Services')),
      el('header', { class: 'bar' }, el('h1', { class: 'name' }, service), state),
      el('div', { class: 'figures big' }, ...figures),
      stored,
      retry,
      el('h2', {}, 'Failures'),
      failures.element,
      el('h2', {}, 'Workers'),
      table.element,
    ),
    close: () => {
      endFailures();
      endLoading();
    },
  };
}

async function showStored(service: string, place: HTMLElement): Promise<void> {
  let found: CountsByService['services'][number] | undefined;
  try {
    const { services } = await get<CountsByService>('/api/v1/titanic/counts');
    found = services.find((each) => each.service === service);
  } catch {
    // Stored requests are not hosted here, or not now: the banner says so.
  }
  place.hidden = found === undefined;
  if (found === undefined) return;
  const states = ['pending', 'dispatched', 'replied', 'dead'] as const;
  const links = states.flatMap((state) => [
    el(
      'a',
      { href: linkTo('durable', undefined, { service, state }), class: 'count' },
      `${count(found[state])} ${state}`,
    ),
    ' ',
  ]);
  place.replaceChildren('Durable: ', ...links);
}
