/** What happens, as it happens. */
import { attribute, button, el, KeyedList, text } from '../dom.js';
import { eventRow, fieldsOf } from '../event-row.js';
import type { Told } from '../event-stream.js';
import { count } from '../format.js';
import { empty } from '../status-line.js';
import type { Context, View } from '../view.js';

const SHOWN_MAX = 200;

export function eventsView({ stream }: Context): View {
  const filter = el('input', {
    type: 'search',
    placeholder: 'Filter',
    'aria-label': 'Filter events',
    'data-search': true,
  });
  const list = el('ol', { class: 'events', 'aria-label': 'Events, the newest first' });
  const events = new KeyedList<Told>(list, ({ id }) => String(id), eventRow);
  const state = el('span', { class: 'quiet', role: 'status' });
  const nothing = empty(
    'Nothing yet',
    'Served requests are no events; workers that come and go are, and whatever goes wrong.',
  );
  let held: readonly Told[] | null = null;
  const pause = button('Hold', 'button', () => {
    held = held === null ? [...stream.events] : null;
    text(pause, held === null ? 'Hold' : 'Go on');
    attribute(pause, 'aria-pressed', held !== null ? 'true' : 'false');
    show();
  });
  const show = (): void => {
    const wanted = filter.value.trim().toLowerCase();
    const found = (held ?? stream.events).filter(
      (told) => wanted === '' || `${told.event} ${fieldsOf(told)}`.toLowerCase().includes(wanted),
    );
    events.show(found.slice(0, SHOWN_MAX));
    nothing.hidden = found.length > 0;
    const live = stream.isOpen ? 'live' : 'not connected, trying again';
    const status = stream.why === '' ? live : `${live}: ${stream.why}`;
    const all = `${count(found.length)} since this page was opened`;
    text(state, `${held === null ? status : 'held'} · ${all}`);
  };
  filter.addEventListener('input', show);
  return {
    element: el(
      'section',
      { class: 'card' },
      el('header', { class: 'bar' }, el('h1', {}, 'Events'), state, filter, pause),
      nothing,
      list,
    ),
    close: stream.watch(show),
  };
}
