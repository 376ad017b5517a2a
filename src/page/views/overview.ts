/** The charts, services and events of the node. */
import type { Service } from '../../admin/api/node-answers.js';
import { Chart } from '../chart.js';
import { DataTable } from '../data-table.js';
import { el, KeyedList, text } from '../dom.js';
import { type EventGroup, grouped } from '../event-groups.js';
import { eventRow } from '../event-row.js';
import { bytes, count } from '../format.js';
import { COUNTS, LATENCIES, LATENCY, RATES } from '../scales.js';
import { BUSY, P99, QUEUED, RATE, SERVICE, WAITING } from '../service-columns.js';
import { ServiceList } from '../service-list.js';
import { empty } from '../status-line.js';
import { isUnserved } from '../unserved.js';
import { type Context, linkTo, repeatedly, type View } from '../view.js';

const EVENTS_SHOWN = 8;
const SERVICES_SHOWN = 8;
/** The list of services is loaded this many times less often than on its own view. */
const SERVICES_EVERY = 2;

function charts(): Chart[] {
  return [
    new Chart({
      title: 'Requests per second',
      series: [
        { column: 'received', label: 'in', style: 'blue', isArea: true },
        { column: 'replied', label: 'replied', style: 'green' },
        { column: 'failed', label: 'failed', style: 'red' },
      ],
      ...RATES,
    }),
    new Chart(LATENCY),
    new Chart({
      title: 'Queued',
      series: [{ column: 'queued', label: 'waiting for a worker', style: 'amber', isArea: true }],
      ...COUNTS,
      isSmall: true,
      href: linkTo('services'),
    }),
    new Chart({
      title: 'In flight',
      series: [{ column: 'inFlight', label: 'at workers', style: 'blue', isArea: true }],
      ...COUNTS,
      isSmall: true,
    }),
    new Chart({
      title: 'Workers',
      series: [
        { column: 'workersWaiting', label: 'idle', style: 'green', isArea: true },
        { column: 'workersBusy', label: 'busy', style: 'blue' },
      ],
      ...COUNTS,
      leastTop: 4,
      isSmall: true,
      href: linkTo('services'),
    }),
    new Chart({
      title: 'Event loop',
      series: [{ column: 'loopLagMs', label: 'worst loop delay', style: 'violet', isArea: true }],
      ...LATENCIES,
      leastTop: 20,
      isSmall: true,
    }),
  ];
}

function storedCharts(): Chart[] {
  return [
    new Chart({
      title: 'Durable unanswered',
      series: [{ column: 'open', label: 'not replied yet', style: 'blue', isArea: true }],
      ...COUNTS,
      isSmall: true,
      href: linkTo('durable'),
    }),
    new Chart({
      title: 'Durable dead',
      series: [{ column: 'dead', label: 'needs attention', style: 'red', isArea: true }],
      ...COUNTS,
      leastTop: 4,
      isSmall: true,
      href: linkTo('durable', undefined, { state: 'dead' }),
    }),
    new Chart({
      title: 'Durable per second',
      series: [
        { column: 'accepted', label: 'accepted', style: 'blue', isArea: true },
        { column: 'completed', label: 'replied', style: 'green' },
      ],
      ...RATES,
      isSmall: true,
      href: linkTo('durable'),
    }),
  ];
}

export function overviewView({ watch, stream }: Context): View {
  const plain = charts();
  const stored = storedCharts();
  const store = el('section', { class: 'card chart small', 'aria-label': 'Store' });
  const size = el('strong', { class: 'value' });
  const replied = el('strong', { class: 'value' });
  store.append(
    el('header', {}, el('h2', {}, el('a', { href: linkTo('durable') }, 'Store'))),
    el('div', { class: 'figures' }, figure(size, 'on disk')),
    el('div', { class: 'figures' }, figure(replied, 'replies not closed yet')),
  );
  const all = new ServiceList();
  const busiest = new DataTable<Service>({
    label: 'Busiest services',
    columns: [SERVICE, WAITING, BUSY, QUEUED, RATE, P99],
    key: ({ service }) => service,
    sortedBy: null,
    pageRows: null,
    whenEmpty: empty(
      'No services yet',
      'Start a worker: ',
      el('code', {}, 'majordomo worker upper -- tr a-z A-Z'),
    ),
  });
  const services = el('a', { href: linkTo('services') });
  const storedRow = el('div', { class: 'grid' }, ...stored.map(({ element }) => element), store);
  const list = el('ol', { class: 'events' });
  const quiet = el('p', { class: 'quiet' });
  const events = new KeyedList<EventGroup>(list, ({ key }) => key, eventRow);
  const element = el(
    'div',
    { class: 'stack' },
    el('h1', { class: 'unseen' }, 'Overview'),
    el('div', { class: 'grid wide' }, ...plain.slice(0, 2).map((chart) => chart.element)),
    el('div', { class: 'grid' }, ...plain.slice(2).map((chart) => chart.element)),
    storedRow,
    el(
      'div',
      { class: 'grid wide' },
      el(
        'section',
        { class: 'card', 'aria-label': 'Busiest services' },
        el('header', {}, el('h2', {}, 'Busiest services'), services),
        busiest.element,
      ),
      el(
        'section',
        { class: 'card', 'aria-label': 'Recent events' },
        el('header', {}, el('h2', {}, 'Recent events'), el('a', { href: linkTo('events') }, 'All')),
        quiet,
        list,
      ),
    ),
  );
  const ends = [
    repeatedly(
      () => showBusiest(all, busiest),
      () => SERVICES_EVERY * all.delayMs(),
    ),
    watch.watch(({ overview, samples, nowMs }) => {
      for (const chart of [...plain, ...stored]) chart.show(samples, nowMs);
      storedRow.hidden = overview !== null && overview.stored === null;
      if (overview === null) return;
      text(size, bytes(overview.stored?.bytes ?? null));
      text(replied, count(overview.stored?.replied ?? null));
      text(
        services,
        overview.services === 1 ? '1 service' : `${count(overview.services)} services`,
      );
    }),
    stream.watch(() => {
      const shown = grouped(stream.events).slice(0, EVENTS_SHOWN);
      quiet.hidden = shown.length > 0;
      text(quiet, stream.isOpen ? 'No events since this node started.' : 'Connecting…');
      events.show(shown);
    }),
  ];
  return {
    element,
    close: () => {
      for (const end of ends) end();
    },
  };
}

function figure(value: HTMLElement, label: string): HTMLElement {
  return el('div', { class: 'figure' }, value, el('span', { class: 'label' }, label));
}

/** Services with waiting requests and no worker come first, then the fastest. */
async function showBusiest(all: ServiceList, table: DataTable<Service>): Promise<void> {
  try {
    await all.load();
  } catch {
    // The banner shows the error.
    return;
  }
  const weight = (one: Service): number =>
    isUnserved(one) ? Infinity : (one.plain?.repliesPerSecond ?? 0);
  const sorted = [...all.services].sort((left, right) => {
    const [before, after] = [weight(left), weight(right)];
    return before === after ? 0 : after - before;
  });
  table.show(sorted.slice(0, SERVICES_SHOWN));
}
