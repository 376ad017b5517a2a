/** Turns what happens in the broker into log lines (docs/logs.md). */
import type { BrokerEvent, BrokerEvents } from '../broker/events.js';
import type { Log, LogFields } from './log.js';
import type { Throttle } from './throttle.js';

type Level = 'debug' | 'info' | 'warn';

interface Line {
  readonly level: Level;
  /** Lines of one kind are at most one a second. */
  readonly kind: string;
  readonly text: string;
}

function line(event: BrokerEvent): Line {
  const { name } = event;
  switch (event.name) {
    case 'worker.registered':
      return of('info', name, `a worker registered for ${event.service}`);
    case 'worker.lost':
      return of(
        event.reason === 'disconnected' || event.reason === 'drained' ? 'info' : 'warn',
        `${name} ${event.reason}`,
        `a worker of ${event.service} is gone: ${event.reason}`,
      );
    case 'worker.refused':
      return of('warn', `${name} ${event.reason}`, `a worker was refused: ${event.reason}`);
    case 'worker.unexpected':
      return of('warn', name, `a worker was sent away: ${event.what}`);
    case 'request.requeued':
      return of('info', name, `a request of ${event.service} goes to another worker`);
    case 'request.expired':
      return of('warn', name, `a request of ${event.service} expired: no worker took it`);
    case 'request.abandoned':
      return of('warn', name, `a request of ${event.service} was given up: ${event.reason}`);
    case 'request.dropped':
      return of('info', name, `a request of ${event.service} was dropped: its client is gone`);
    case 'request.refused':
      return of('warn', `${name} ${event.reason}`, `a request was refused: ${event.text}`);
    case 'request.returned':
      return of('info', name, `a worker of ${event.service} gave a request back`);
    case 'reply.dropped':
      return of('info', `${name} ${event.reason}`, `a reply was dropped: ${event.reason}`);
    case 'message.malformed':
      return of('warn', `${name} ${event.kind}`, `a malformed message: ${event.reason}`);
    case 'connection.rejected':
      return of('warn', `${name} ${event.kind}`, `a connection was ended: ${event.reason}`);
    case 'client.closed':
      return of('warn', name, 'a client that does not read was closed');
  }
}

function of(level: Level, kind: string, text: string): Line {
  return { level, kind, text };
}

export class BrokerLog implements BrokerEvents {
  readonly #log: Log;
  readonly #throttle: Throttle;

  constructor(log: Log, throttle: Throttle) {
    this.#log = log;
    this.#throttle = throttle;
  }

  emit(event: BrokerEvent): void {
    const { level, kind, text } = line(event);
    const { name, ...rest } = event;
    const fields: LogFields = { event: name, ...rest };
    const write = (given: LogFields, said: string): void => {
      this.#log[level](given, said);
    };
    this.#throttle.write(kind, write, fields, text);
  }
}
