import { attribute, el, fill, type ListRow, text } from './dom.js';
import type { EventGroup } from './event-groups.js';
import type { ReceivedEvent } from './event-stream.js';
import { count, line, moment } from './format.js';

/** Names of events of severity info that are good news. */
const GOOD = /\.(registered|healed|recovered|connected|merged|changed)$/;
/** Earlier events of a group that are listed. */
const EARLIER_SHOWN = 20;

function gradeOf({ severity, event }: ReceivedEvent): string {
  if (severity === 'error') return 'bad';
  if (severity === 'warn') return 'warn';
  return GOOD.test(event) ? 'good' : 'quiet';
}

/** All fields but time, name and severity, as `field value`, always in one line. */
export function fieldsOf({
  arrival: _arrival,
  time: _time,
  event: _event,
  severity: _severity,
  ...fields
}: ReceivedEvent): string {
  const said = Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ·  ');
  return line(said);
}

/** The latest event of a group, the size of the group, and the earlier events on demand. */
export function eventRow(first: EventGroup): ListRow<EventGroup> {
  let group = first;
  const time = el('time', {});
  const name = el('span', {});
  const times = el('span', { class: 'times' });
  const fields = el('span', { class: 'event-fields' });
  const summary = el('summary', {});
  const list = el('ol', {});
  const earlier = el('details', { class: 'earlier', hidden: true }, summary, list);
  const showEarlier = (): void => {
    const shown = earlier.open ? group.earlier.slice(0, EARLIER_SHOWN) : [];
    const left = group.earlier.length - shown.length;
    fill(
      list,
      ...shown.map((event) =>
        el(
          'li',
          {},
          el('time', { datetime: event.time }, moment(event.time)),
          ' ',
          fieldsOf(event),
        ),
      ),
      earlier.open && left > 0 ? el('li', {}, `and ${count(left)} earlier`) : null,
    );
  };
  earlier.addEventListener('toggle', showEarlier);
  return {
    element: el(
      'li',
      { class: 'event' },
      time,
      el('span', { class: 'event-what' }, name, ' ', times),
      el('div', {}, fields, earlier),
    ),
    update: (now) => {
      const isSame = now.latest.arrival === group.latest.arrival && time.textContent !== '';
      group = now;
      const { latest } = group;
      const number = group.earlier.length;
      const from = group.earlier.at(-1)?.time ?? null;
      attribute(earlier, 'hidden', number === 0);
      text(times, number === 0 ? '' : `×${count(number + 1)}`);
      text(summary, `${count(number)} earlier, since ${moment(from)}`);
      if (isSame) return;
      attribute(time, 'datetime', latest.time);
      text(time, moment(latest.time));
      text(name, latest.event);
      attribute(name, 'class', `event-name ${gradeOf(latest)}`);
      text(fields, fieldsOf(latest));
      showEarlier();
    },
  };
}
