/**
 * Where events become log lines. Lines that peers can provoke are throttled; the steps of requests, which
 * only the level debug shows, are not.
 */
import type { RequestStep } from '../../broker/request-trace.js';
import type { TitanicStep } from '../../titanic/machine/events.js';
import type { Log } from './log.js';
import { type Level, lineOf, type Lines, type NamedEvent } from './log-line.js';
import type { EventSink } from './tee.js';
import type { Throttle } from './throttle.js';

export class EventLog implements EventSink<NamedEvent> {
  readonly #log: Log;
  readonly #throttle: Throttle;
  readonly #lines: Lines;

  /** @param lines of all events that it is told of */
  constructor(log: Log, throttle: Throttle, lines: Lines) {
    this.#log = log;
    this.#throttle = throttle;
    this.#lines = lines;
  }

  emit(event: NamedEvent): void {
    const { level, kind, text, who = null, subject = null, silentMs } = lineOf(this.#lines, event);
    const write = (leftOut: number): void => {
      const { name, ...rest } = event;
      const fields = { event: name, ...rest };
      this.#log[level](leftOut > 0 ? { ...fields, leftOut } : fields, text);
    };
    this.#throttle.write(kind, write, who, subject, silentMs);
  }

  /** The level of an event's line. */
  readonly levelOf = (event: NamedEvent): Level => lineOf(this.#lines, event).level;

  /** A step of a plain request. */
  readonly step = (request: number, { name, ...rest }: RequestStep): void => {
    this.#log.debug({ event: name, request, ...rest }, `request ${request}: ${name}`);
  };

  /** A step of a stored request. */
  readonly storedStep = ({ name, ...rest }: TitanicStep): void => {
    this.#log.debug({ event: name, ...rest }, `durable request ${rest.uuid}: ${name}`);
  };
}
