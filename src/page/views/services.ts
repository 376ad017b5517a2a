/** The list of services: workers, queues, rates. */
import type { Service } from '../../admin/api/node-answers.js';
import { messageOf } from '../api.js';
import { DataTable } from '../data-table.js';
import { el, text } from '../dom.js';
import { count } from '../format.js';
import {
  BUSY,
  DEAD,
  FAILED_ATTEMPTS,
  FAILURES,
  P50,
  P99,
  PENDING,
  QUEUED,
  RATE,
  SERVICE,
  WAITING,
  WORKERS,
} from '../service-columns.js';
import { ServiceList } from '../service-list.js';
import { empty } from '../status-line.js';
import { repeatedly, type View } from '../view.js';

const PAGE_ROWS = 50;

export function servicesView(): View {
  const list = new ServiceList();
  const filter = el('input', {
    type: 'search',
    placeholder: 'Filter by name',
    'aria-label': 'Filter services by name',
    'data-search': true,
  });
  const state = el('span', { class: 'quiet', role: 'status' });
  const table = new DataTable<Service>({
    label: 'Services',
    // A phone has room for three numbers: workers, failures, dead requests.
    columns: [
      SERVICE,
      WORKERS,
      WAITING,
      { ...BUSY, isMinor: true },
      { ...QUEUED, isMinor: true },
      { ...RATE, isMinor: true },
      FAILURES,
      P50,
      { ...P99, isMinor: true },
      PENDING,
      DEAD,
      FAILED_ATTEMPTS,
    ],
    key: ({ service }) => service,
    sortedBy: 0,
    pageRows: PAGE_ROWS,
    whenEmpty: empty(
      'No services',
      'A service appears when a worker registers for it: ',
      el('code', {}, 'majordomo worker upper -- tr a-z A-Z'),
    ),
  });
  const show = (): void => {
    const wanted = filter.value.trim().toLowerCase();
    const found = list.services.filter(({ service }) => service.toLowerCase().includes(wanted));
    table.show(found);
    const all = count(list.services.length);
    text(state, wanted === '' ? all : `${count(found.length)} of ${all}`);
  };
  filter.addEventListener('input', () => {
    table.rewind();
    show();
  });
  const load = async (): Promise<void> => {
    try {
      await list.load();
      show();
    } catch (error) {
      text(state, messageOf(error));
    }
  };
  return {
    element: el(
      'section',
      { class: 'card' },
      el('header', { class: 'bar' }, el('h1', {}, 'Services'), state, filter),
      table.element,
    ),
    close: repeatedly(load, list.delayMs),
  };
}
