/**
 * Where events become log lines. Lines that peers can provoke are throttled; the steps of requests, which
 * only the level debug shows, are not.
 */
import type { RequestStep } from '../../broker/request-trace.js';
import { present } from '../../core/assert.js';
import {
  type EventSink,
  type EventTable,
  type Level,
  type NamedEvent,
  textOf,
} from '../../core/event-table.js';
import type { TitanicStep } from '../../titanic/machine/requests/events.js';
import type { Log } from './log.js';
import type { Throttle } from './throttle.js';

type Fields = Readonly<Record<string, unknown>>;

export class EventLog implements EventSink<NamedEvent> {
  readonly #log: Log;
  readonly #throttle: Throttle;
  readonly #events: EventTable;

  /** @param events all that it is told of */
  constructor(log: Log, throttle: Throttle, events: EventTable) {
    this.#log = log;
    this.#throttle = throttle;
    this.#events = events;
  }

  emit(event: NamedEvent): void {
    const kind = this.#kindOf(event);
    const { by, who, subject, silentMs } = kind;
    let limited = event.name;
    for (const field of by ?? []) limited += ` ${String((event as NamedEvent & Fields)[field])}`;
    const write = (leftOut: number): void => {
      const { name, ...fields } = event;
      const written = { event: name, ...fields, ...(leftOut > 0 && { leftOut }) };
      this.#log[this.levelOf(event)](written, textOf(kind, event));
    };
    // A row is typed by its own event; here it may be any.
    const whose = who?.(event as never) ?? null;
    this.#throttle.write(limited, write, whose, subject, silentMs?.(event as never));
  }

  /** The level of an event's line. */
  readonly levelOf = (event: NamedEvent): Level => {
    const { level, usual } = this.#kindOf(event);
    const { reason } = event as NamedEvent & { readonly reason?: string };
    return usual?.includes(reason ?? '') === true ? 'info' : level;
  };

  #kindOf({ name }: NamedEvent): EventTable[string] {
    return present(this.#events[name], 'each event is in the table of its machine');
  }

  /** A step of a plain request. */
  readonly step = (request: number, { name, ...rest }: RequestStep): void => {
    this.#log.debug({ event: name, request, ...rest }, `request ${request}: ${name}`);
  };

  /** A step of a stored request. */
  readonly storedStep = ({ name, ...rest }: TitanicStep): void => {
    this.#log.debug({ event: name, ...rest }, `durable request ${rest.uuid}: ${name}`);
  };
}
