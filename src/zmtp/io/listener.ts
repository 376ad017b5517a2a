import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';

import { messageOf } from '../../core/errors.js';
import { ByteSource } from './byte-source.js';
import { acceptable, accepted } from './descriptors.js';

/** One listening socket. */
export interface Listening {
  /** The port that the system chose or was asked for; `null` for ipc. */
  readonly port: number | null;
  setConnectionsMax(connections: number): void;
  /** No more connections; those that are there stay. */
  close(): void;
}

export interface ListenerEvents {
  accepted(source: ByteSource): void;
  /** Accepting pauses, for `connectionsMax` are there; it goes on by itself. */
  full(): void;
  /** Accepting failed or pauses because of the system; it goes on by itself. */
  failed(reason: string): void;
}

const BACKLOG = 1024;
/** How often a listener that pauses looks whether there is room again. */
const RESUME_MS = 100;

/** Rejects with the system's error (`EADDRINUSE` …) if it cannot listen there. */
export async function listen(
  where: ListenOptions,
  connectionsMax: number,
  events: ListenerEvents,
): Promise<Listening> {
  const listener = new Listener(where, connectionsMax, events);
  await listener.open();
  return listener;
}

/**
 * Listens while there is room. Without room there is nobody listening on tcp: accepting what is then
 * closed would cost a whole core where thousands of peers dial again ten times a second. A socket
 * file stays, so there each is accepted and closed.
 */
class Listener implements Listening {
  port: number | null = null;
  #where: ListenOptions;
  readonly #events: ListenerEvents;
  #connectionsMax: number;
  #open = 0;
  #server: Server | null = null;
  #isClosed = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(where: ListenOptions, connectionsMax: number, events: ListenerEvents) {
    this.#where = where;
    this.#connectionsMax = connectionsMax;
    this.#events = events;
  }

  setConnectionsMax(connections: number): void {
    this.#connectionsMax = connections;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#server?.close();
    this.#server = null;
  }

  open(): Promise<void> {
    const server = createServer({ noDelay: true, pauseOnConnect: true });
    server.on('connection', this.#accept);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...this.#where, backlog: BACKLOG }, () => {
        server.off('error', reject);
        server.on('error', ({ message }) => {
          this.#events.failed(message);
        });
        this.#server = server;
        const address = server.address();
        if (typeof address === 'object' && address !== null) {
          this.port = address.port;
          this.#where = { ...this.#where, port: address.port };
        }
        resolve();
      });
    });
  }

  readonly #accept = (socket: Socket): void => {
    if (this.#isClosed || !this.#hasRoom()) {
      socket.on('error', () => undefined);
      socket.destroy();
      this.#pause();
      return;
    }
    this.#open++;
    accepted.open++;
    const source = ByteSource.accepted(socket);
    source.socket.once('close', () => {
      this.#open--;
      accepted.open--;
    });
    this.#events.accepted(source);
    if (!this.#hasRoom()) this.#pause();
  };

  #hasRoom(): boolean {
    return this.#open < this.#connectionsMax && accepted.open < acceptable;
  }

  #pause(): void {
    if (this.#isClosed) return;
    if (this.#open >= this.#connectionsMax) this.#events.full();
    else this.#events.failed('file descriptors run out');
    if (this.port === null) return;
    this.#server?.close();
    this.#server = null;
    this.#timer ??= setTimeout(this.#resume, RESUME_MS);
  }

  readonly #resume = (): void => {
    this.#timer = null;
    if (this.#isClosed) return;
    if (!this.#hasRoom()) {
      this.#timer = setTimeout(this.#resume, RESUME_MS);
      return;
    }
    this.open().then(
      () => {
        if (this.#isClosed) this.close();
      },
      (error: unknown) => {
        this.#events.failed(`cannot listen again: ${messageOf(error)}`);
        if (!this.#isClosed) this.#timer = setTimeout(this.#resume, RESUME_MS);
      },
    );
  };
}
