/** Turns what happens to stored requests into log lines (contract: `titanic.…`, `store.…`). */
import type { TitanicEvent, TitanicEvents } from '../titanic/events.js';
import type { Log, LogFields } from './log.js';
import type { Throttle } from './throttle.js';

type Level = 'info' | 'warn' | 'error';

function line(event: TitanicEvent): { readonly level: Level; readonly text: string } {
  switch (event.name) {
    case 'titanic.recovered':
      return {
        level: 'info',
        text:
          `stored requests: ${event.pending} pending, ${event.replied} replied, ` +
          `${event.dead} dead (${event.tookMs} ms)`,
      };
    case 'titanic.retried':
      return { level: 'info', text: `a stored request of ${event.service} will be tried again` };
    case 'titanic.died':
      return { level: 'warn', text: `a stored request of ${event.service} is dead` };
    case 'titanic.expired':
      return { level: 'warn', text: `a stored request of ${event.service} expired unserved` };
    case 'titanic.refused':
      return { level: 'warn', text: `a request was not stored: ${event.text}` };
    case 'store.failed':
      return { level: 'error', text: `nothing can be stored: ${event.text}` };
    case 'store.healed':
      return { level: 'info', text: 'requests are stored again' };
  }
}

export class TitanicLog implements TitanicEvents {
  readonly #log: Log;
  readonly #throttle: Throttle;

  constructor(log: Log, throttle: Throttle) {
    this.#log = log;
    this.#throttle = throttle;
  }

  emit(event: TitanicEvent): void {
    const { level, text } = line(event);
    const { name, ...rest } = event;
    const fields: LogFields = { event: name, ...rest };
    const write = (given: LogFields, said: string): void => {
      this.#log[level](given, said);
    };
    this.#throttle.write(name, write, fields, text);
  }
}
