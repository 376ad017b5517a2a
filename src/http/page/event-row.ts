import { el, type Kept } from './dom.js';
import type { Told } from './event-stream.js';
import { moment } from './format.js';

/** How an event is to be looked at, by its name. */
const BAD = /\.(failed|died|abandoned|split|crashed)$/;
const WARN =
  /\.(lost|expired|refused|dropped|malformed|rejected|unexpected|closed|left_out|unsynced|paused|disconnected)$/;
const GOOD = /\.(registered|healed|recovered|connected|merged|changed)$/;

function gradeOf(event: string): string {
  if (BAD.test(event)) return 'bad';
  if (WARN.test(event)) return 'warn';
  return GOOD.test(event) ? 'good' : 'quiet';
}

/** `field value`, of all fields but time and name. */
export function fieldsOf({ id: _id, time: _time, event: _event, ...fields }: Told): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ·  ');
}

/** An event never changes. */
export function eventRow(told: Told): Kept<Told> {
  const { time, event } = told;
  return {
    element: el(
      'li',
      { class: 'event' },
      el('time', { datetime: time }, moment(time)),
      el('span', { class: `event-name ${gradeOf(event)}` }, event),
      el('span', { class: 'event-fields' }, fieldsOf(told)),
    ),
    update: () => undefined,
  };
}
