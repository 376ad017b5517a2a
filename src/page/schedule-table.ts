/** The schedules of the node, on the page of durable requests. */
import type { Schedule } from '../admin/api/stored-answers.js';
import type { Page } from '../admin/api/words.js';
import { get, messageOf, withQuery } from './api.js';
import { DataTable } from './data-table.js';
import { el, text } from './dom.js';
import { count, line, moment } from './format.js';
import { empty } from './status-line.js';
import { linkTo } from './view.js';

/** As many as one page of the API may have: a node has seldom more. */
const ITEMS_MAX = 1000;

/** A card that is hidden while there are no schedules. */
export class ScheduleCard {
  readonly element: HTMLElement;
  readonly #status = el('span', { class: 'quiet', role: 'status' });
  readonly #table = scheduleTable();

  constructor() {
    this.element = el(
      'section',
      { class: 'card', hidden: true },
      el('header', { class: 'bar' }, el('h2', {}, 'Schedules'), this.#status),
      this.#table.element,
    );
  }

  async load(): Promise<void> {
    try {
      const path = withQuery('/api/v1/titanic/schedules', { limit: String(ITEMS_MAX) });
      const { items, next } = await get<Page<Schedule>>(path);
      this.element.hidden = items.length === 0;
      this.#table.show(items);
      text(
        this.#status,
        next === null ? 'next first' : `only the next ${count(ITEMS_MAX)} are shown`,
      );
    } catch (error) {
      text(this.#status, messageOf(error));
    }
  }
}

function scheduleTable(): DataTable<Schedule> {
  return new DataTable<Schedule>({
    label: 'Schedules',
    columns: [
      {
        head: 'Name',
        make: ({ uuid, name }) =>
          uuid.endsWith('…')
            ? el('span', {}, line(name ?? '-'))
            : el('a', { href: linkTo('durable', uuid) }, line(name ?? '-')),
        by: ({ name }) => name ?? '',
      },
      { head: 'Service', show: ({ service }, cell) => text(cell, line(service)), by: serviceOf },
      { head: 'Cron', show: ({ cron }, cell) => text(cell, line(cron)), isMinor: true },
      {
        head: 'Time zone',
        show: ({ timeZone }, cell) => text(cell, line(timeZone)),
        isMinor: true,
      },
      { head: 'Owner', show: ({ owner }, cell) => text(cell, line(owner ?? '-')), isMinor: true },
      { head: 'Next', show: ({ next }, cell) => text(cell, moment(next)), by: ({ next }) => next },
      {
        head: 'Firings',
        show: ({ firings }, cell) => text(cell, count(firings)),
        by: ({ firings }) => firings,
        isNumber: true,
        isLargeFirst: true,
        isMinor: true,
      },
    ],
    key: ({ uuid }) => uuid,
    sortedBy: 5,
    pageRows: 20,
    whenEmpty: empty('No schedules', 'No client has made one.'),
  });
}

function serviceOf({ service }: Schedule): string {
  return service;
}
