/** One service: figures, charts, failures, dead requests and workers. */
import type { Service, Worker } from '../../admin/api/node-answers.js';
import type { StoredRequest } from '../../admin/api/stored-answers.js';
import type { Page } from '../../admin/api/words.js';
import { get, messageOf, withQuery } from '../api.js';
import { DataTable } from '../data-table.js';
import { attempt } from '../dialogs.js';
import { button, el, text } from '../dom.js';
import { failuresByCode, failureTable } from '../failure-table.js';
import { count, millis, NONE, span } from '../format.js';
import { requestTable, type Row, rowOf } from '../request-table.js';
import { retryDead } from '../retry-dead.js';
import { ServiceCharts } from '../service-charts.js';
import { repliedRate } from '../service-columns.js';
import { empty, statePill } from '../status-line.js';
import { type Context, linkTo, repeatedly, type View } from '../view.js';

const EVERY_MS = 2000;
/** Dead requests are loaded less often than figures. */
const DEAD_EVERY = 5;
const DEAD_SHOWN = 20;
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
      { head: 'Protocol', show: ({ version }, cell) => text(cell, version), isMinor: true },
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
    whenEmpty: empty('No workers', 'Requests for this service wait until a worker registers.'),
  });
}

const FIGURES = ['Idle', 'Busy', 'Queued', 'In flight', 'Rate', 'p50', 'p99'] as const;

/** The dead requests of one service, and the button to retry all of them. */
class DeadRequests {
  readonly element: HTMLElement;
  readonly #service: string;
  readonly #table: DataTable<Row>;

  constructor(service: string, changed: () => Promise<void>) {
    this.#service = service;
    this.#table = requestTable({
      label: 'Dead requests',
      columns: [],
      reload: () => this.load(),
      whenEmpty: empty('No dead requests', 'No stored request of this service is dead.'),
    });
    const all = el('a', { href: linkTo('durable', undefined, { service, state: 'dead' }) }, 'All');
    const retry = button('Retry all dead', 'button small', () => {
      attempt(() => retryDead(service, {}, null, changed));
    });
    this.element = el(
      'section',
      { hidden: true },
      el('header', { class: 'bar' }, el('h2', {}, 'Dead requests'), all, retry),
      this.#table.element,
    );
  }

  /** @throws ApiError */
  async load(): Promise<void> {
    const query = { service: this.#service, state: 'dead', limit: String(DEAD_SHOWN) };
    const page = await get<Page<StoredRequest>>(withQuery('/api/v1/titanic/requests', query));
    this.#table.show(page.items.map(rowOf));
  }
}

export function serviceView({ stream, watch }: Context, service: string): View {
  const table = workerTable();
  const charts = new ServiceCharts(service);
  const failures = failureTable();
  const endFailures = stream.watch(() => {
    failures.show(failuresByCode(stream.events, service));
  });
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
      const [services, workers] = await Promise.all([
        get<Page<Service>>(withQuery('/api/v1/services', { service })),
        get<Page<Worker>>(withQuery('/api/v1/workers', { service, limit: String(WORKERS_SHOWN) })),
        charts.load(() => watch.now.nowMs),
      ]);
      const [found] = services.items;
      set('Idle', count(found?.workersWaiting ?? 0));
      set('Busy', count(found?.workersBusy ?? 0));
      set('Queued', count(found?.queued ?? 0));
      set('In flight', count(found?.inFlight ?? 0));
      const plain = found?.plain ?? null;
      set('Rate', repliedRate(plain));
      set('p50', millis(plain?.p50Ms ?? null));
      set('p99', millis(plain?.p99Ms ?? null));
      table.show(workers.items.map((worker, id) => ({ ...worker, id })));
      text(state, workers.next === null ? '' : `first ${WORKERS_SHOWN} workers`);
      const durable = found?.durable ?? null;
      showStored(service, durable, stored);
      const isDead = (durable?.dead ?? 0) > 0;
      if (isDead && (dead.element.hidden || turn % DEAD_EVERY === 0)) await dead.load();
      dead.element.hidden = !isDead;
      turn++;
    } catch (error) {
      text(state, messageOf(error));
    }
  };
  const dead = new DeadRequests(service, load);
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
      'div',
      { class: 'stack' },
      el(
        'section',
        { class: 'card' },
        el('p', { class: 'crumbs' }, el('a', { href: linkTo('services') }, 'Services')),
        el('header', { class: 'bar' }, el('h1', { class: 'name' }, service), state),
        el('div', { class: 'figures big' }, ...figures),
        stored,
      ),
      charts.element,
      el(
        'section',
        { class: 'card' },
        el('h2', {}, 'Failures'),
        failures.element,
        dead.element,
        el('h2', {}, 'Workers'),
        table.element,
      ),
    ),
    close: () => {
      endFailures();
      endLoading();
    },
  };
}

function showStored(service: string, durable: Service['durable'], place: HTMLElement): void {
  place.hidden = durable === null;
  if (durable === null) return;
  const states = ['pending', 'dispatched', 'replied', 'dead'] as const;
  const links = states.flatMap((state) => [
    el(
      'a',
      { href: linkTo('durable', undefined, { service, state }), class: 'count' },
      `${count(durable[state])} ${state}`,
    ),
    ' ',
  ]);
  place.replaceChildren('Durable: ', ...links);
}
