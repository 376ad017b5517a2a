/** Groups events of the same name and service, so that repeated ones share a row. */
import type { ComponentChildren, VNode } from 'preact';

import type { ReceivedEvent } from './page-events.js';
import { count, line, moment } from './format.js';
import { linkTo } from './address.js';
import { decoded, Name, ServiceLink } from './names.js';

/** Names of events of severity info that are good news. */
const GOOD = /\.(registered|healed|recovered|connected|merged|changed)$/;
/** Fields with names that the API escapes: of a service, of a key of the map. */
const NAMES: readonly string[] = ['service', 'record'];
/** Earlier events of a group that are listed. */
const EARLIER_SHOWN = 20;

interface EventGroup {
  readonly key: string;
  readonly latest: ReceivedEvent;
  /** The earlier ones, newest first. */
  readonly earlier: readonly ReceivedEvent[];
}

/** The service of an event; empty if it has none. */
export function serviceOf({ service }: ReceivedEvent): string {
  return typeof service === 'string' ? service : '';
}

/**
 * @param events newest first
 * @returns the group with the latest event first
 */
export function grouped(events: readonly ReceivedEvent[]): EventGroup[] {
  const groups = new Map<string, { latest: ReceivedEvent; earlier: ReceivedEvent[] }>();
  for (const received of events) {
    // Names of events have no spaces.
    const key = `${received.event} ${serviceOf(received)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { latest: received, earlier: [] });
    else group.earlier.push(received);
  }
  return Array.from(groups, ([key, group]) => ({ key, ...group }));
}

function gradeOf({ severity, event }: ReceivedEvent): string {
  if (severity === 'error') return 'bad';
  if (severity === 'warn') return 'warn';
  return GOOD.test(event) ? 'good' : 'quiet';
}

type Field = readonly [name: string, value: unknown];

/** All fields but time, name and severity, and those that say nothing: `durable false`. */
function fieldsOf({
  arrival: _arrival,
  time: _time,
  event: _event,
  severity: _severity,
  sentence: _sentence,
  ...fields
}: ReceivedEvent): readonly Field[] {
  return Object.entries(fields).filter(([, value]) => value !== null && value !== false);
}

function written([name, value]: Field): string {
  const text = typeof value === 'string' ? localTimes(value) : JSON.stringify(value);
  return line(`${name} ${NAMES.includes(name) ? decoded(text) : text}`);
}

/** Times of the node, as a person reads them here. */
function localTimes(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, moment);
}

/** The sentence, and the fields as `field value`, always in one line. */
export function textOf(received: ReceivedEvent): string {
  const { sentence = '' } = received;
  const fields = fieldsOf(received).map(written).join('  ·  ');
  return sentence === '' ? fields : `${line(sentence)}  ·  ${fields}`;
}

/** Where a name stands in a sentence: the last place of it as a whole word. */
function placeOf(sentence: string, name: string): number {
  for (let at = sentence.length; at >= 0; at--) {
    at = sentence.lastIndexOf(name, at);
    if (at < 0) return -1;
    const around = `${sentence.charAt(at - 1)} ${sentence.charAt(at + name.length)}`;
    if (!/[\w%]/.test(around)) return at;
  }
  return -1;
}

/** The sentence of the log, with names as names; the fields below it have links to them. */
function Sentence({ sentence = '', ...fields }: ReceivedEvent): VNode {
  const [name, at] = NAMES.map((each) => fields[each])
    .filter((value) => typeof value === 'string' && value !== '')
    .map((value) => [String(value), placeOf(sentence, String(value))] as const)
    .find(([, place]) => place >= 0) ?? ['', sentence.length];
  return (
    <span class="sentence">
      {line(localTimes(sentence.slice(0, at)))}
      {name === '' ? null : <Name name={name} />}
      {line(localTimes(sentence.slice(at + name.length)))}
    </span>
  );
}

/** A field, with a link to its service, request or key of the map. */
function linked([name, value]: Field): ComponentChildren {
  if (name === 'service' && typeof value === 'string') {
    return ['service ', <ServiceLink key="link" service={value} />];
  }
  const to = (href: string): ComponentChildren => [
    `${name} `,
    <a key="link" href={href}>
      <Name name={String(value)} />
    </a>,
  ];
  if (name === 'record' && value !== '') {
    return to(linkTo('map', undefined, { key: String(value) }));
  }
  // Events have only its beginning.
  const [uuid] = name === 'uuid' ? (/^[\da-f]+/i.exec(String(value)) ?? []) : [];
  if (uuid !== undefined) return to(linkTo('durable', undefined, { uuid }));
  return written([name, value]);
}

function Fields(received: ReceivedEvent): VNode {
  return (
    <>
      <Sentence {...received} />
      <span class="event-fields">
        {fieldsOf(received).map((field, index) => [index === 0 ? '' : '  ·  ', linked(field)])}
      </span>
    </>
  );
}

/** The latest event of a group, the size of the group, and the earlier events on demand. */
export function EventRow({ group }: { group: EventGroup }): VNode {
  const { latest, earlier } = group;
  const left = earlier.length - EARLIER_SHOWN;
  return (
    <li class="event">
      <time dateTime={latest.time}>{moment(latest.time)}</time>
      <span class="event-what">
        <span class={`event-name ${gradeOf(latest)}`}>{latest.event}</span>{' '}
        <span class="times">{earlier.length === 0 ? '' : `×${count(earlier.length + 1)}`}</span>
      </span>
      <div>
        <Fields {...latest} />
        {earlier.length === 0 ? null : (
          <details class="earlier">
            <summary>{`${count(earlier.length)} earlier, since ${moment(earlier.at(-1)?.time ?? null)}`}</summary>
            <ol>
              {earlier.slice(0, EARLIER_SHOWN).map((event) => (
                <li key={event.arrival}>
                  <time dateTime={event.time}>{moment(event.time)}</time> <Fields {...event} />
                </li>
              ))}
              {left > 0 ? <li>{`and ${count(left)} earlier`}</li> : null}
            </ol>
          </details>
        )}
      </div>
    </li>
  );
}
