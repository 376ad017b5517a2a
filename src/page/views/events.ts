/** Recent events that the node has kept, and new ones. */
import { choice, offer } from '../choice.js';
import { attribute, button, el, KeyedList, text } from '../dom.js';
import { type EventGroup, grouped, serviceOf } from '../event-groups.js';
import { eventRow, fieldsOf } from '../event-row.js';
import type { ReceivedEvent } from '../event-stream.js';
import { count } from '../format.js';
import { empty } from '../status-line.js';
import { type Context, linkTo, type ViewAddress, type View } from '../view.js';

const SHOWN_MAX = 200;

const SEVERITIES = [
  ['', 'Any severity'],
  ['warn', 'Warnings and errors'],
  ['error', 'Errors'],
] as const;

/** The severities that each choice shows. */
const PASSES: Readonly<Record<string, readonly string[]>> = {
  warn: ['warn', 'error'],
  error: ['error'],
};

interface Filter {
  readonly severity: string;
  readonly service: string;
  readonly text: string;
}

function matches(received: ReceivedEvent, { severity, service, text: wanted }: Filter): boolean {
  if (severity !== '' && PASSES[severity]?.includes(received.severity) !== true) return false;
  if (service !== '' && serviceOf(received) !== service) return false;
  return wanted === '' || `${received.event} ${fieldsOf(received)}`.toLowerCase().includes(wanted);
}

/** The services of the events, and the chosen one. */
function servicesOf(
  events: readonly ReceivedEvent[],
  chosen: string,
): (readonly [string, string])[] {
  const names = new Set([...events.map(serviceOf), chosen]);
  names.delete('');
  return [['', 'Any service'], ...[...names].sort().map((name) => [name, name] as const)];
}

export function eventsView({ stream }: Context, { query }: ViewAddress): View {
  const search = el('input', {
    type: 'search',
    placeholder: 'Text',
    'aria-label': 'Filter events',
    'data-search': true,
    value: query.get('text') ?? '',
  });
  const severity = choice('Severity', SEVERITIES, query.get('severity') ?? '');
  const wanted = query.get('service') ?? '';
  const service = choice('Service', servicesOf([], wanted), wanted);
  const list = el('ol', { class: 'events', 'aria-label': 'Events, newest first' });
  const rows = new KeyedList<EventGroup>(list, ({ key }) => key, eventRow);
  const state = el('span', { class: 'quiet', role: 'status' });
  const nothing = empty(
    'No events',
    'Events are workers that register or leave, and errors. Successful requests are not events.',
  );
  let held: readonly ReceivedEvent[] | null = null;
  const pause = button('Pause', 'button', () => {
    held = held === null ? [...stream.events] : null;
    text(pause, held === null ? 'Pause' : 'Resume');
    attribute(pause, 'aria-pressed', held !== null ? 'true' : 'false');
    show();
  });
  const show = (): void => {
    const all = held ?? stream.events;
    offer(service, servicesOf(all, service.value));
    const filter = {
      severity: severity.value,
      service: service.value,
      text: search.value.trim().toLowerCase(),
    };
    const found = all.filter((received) => matches(received, filter));
    rows.show(grouped(found).slice(0, SHOWN_MAX));
    nothing.hidden = found.length > 0;
    const live = stream.isOpen ? 'live' : 'not connected, retrying';
    const status = stream.why === '' ? live : `${live}: ${stream.why}`;
    const of = found.length === all.length ? '' : `${count(found.length)} of `;
    const events = all.length === 1 ? 'event' : 'events';
    text(state, `${held === null ? status : 'paused'} · ${of}${count(all.length)} ${events}`);
  };
  const apply = (): void => {
    const chosen = { severity: severity.value, service: service.value, text: search.value.trim() };
    const given = Object.entries(chosen).filter(([, value]) => value !== '');
    // The filter is in the address, to be shared; going back leaves the view.
    history.replaceState(null, '', linkTo('events', undefined, Object.fromEntries(given)));
    show();
  };
  search.addEventListener('input', apply);
  severity.addEventListener('change', apply);
  service.addEventListener('change', apply);
  const filters = el('div', { class: 'filters', role: 'search' }, severity, service, search);
  return {
    element: el(
      'section',
      { class: 'card' },
      el('header', { class: 'bar' }, el('h1', {}, 'Events'), state, filters, pause),
      nothing,
      list,
    ),
    close: stream.watch(show),
  };
}
