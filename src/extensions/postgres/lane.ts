/** A connection that is made anew when it breaks, and what is tried again over it. */
import { setTimeout as sleep } from 'node:timers/promises';

import { codeOf } from '../../core/errors.js';
import { connect, type Connection, type Known, type Login } from './connection.js';
import type { RetryReason } from '../../store/retries.js';
import { connectReason, endsConnection, retryReason, TimeOver } from './failures.js';
import type { ServerIdentity } from './server.js';

const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 250;

/** Told by all lanes of a store. */
export interface LaneEvents {
  /** A connection was made, and it is checked before it is used. */
  connected(connection: Connection, server: ServerIdentity): Promise<void>;
  /** None could be made. */
  unreachable(error: unknown): void;
  retried(reason: RetryReason): void;
  /** Something was done over a connection. */
  worked?(): void;
}

export class Lane {
  readonly #login: Login;
  readonly #timeoutMs: number;
  readonly #last: Known;
  readonly #events: LaneEvents;
  #connection: Connection | null = null;
  #connecting: Promise<Connection> | null = null;
  #isClosed = false;

  constructor(login: Login, timeoutMs: number, last: Known, events: LaneEvents) {
    this.#login = login;
    this.#timeoutMs = timeoutMs;
    this.#last = last;
    this.#events = events;
  }

  /**
   * Does something over the connection, and again over a new one if it breaks. One call at a time
   * for work that changes something.
   * @param until monotonic milliseconds: then the last error is thrown
   */
  async use<Result>(
    until: number,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    let pause = PAUSE_MIN_MS;
    /** Why there is no connection. */
    let known: unknown = null;
    for (;;) {
      let connection: Connection | null = null;
      try {
        connection = await this.#presentBy(until);
        const leftMs = Math.max(1, until - performance.now());
        const result = await connection.within(leftMs, work(connection));
        this.#events.worked?.();
        return result;
      } catch (thrown) {
        // That the time is over says less than why the last attempt failed.
        const error =
          connection === null && thrown instanceof TimeOver ? (known ?? thrown) : thrown;
        if (connection === null) known = error;
        const isUseless = endsConnection(error) || connection?.isIdle === false;
        if (connection !== null && (isUseless || !connection.isOpen)) {
          connection.destroy();
          if (this.#connection === connection) this.#connection = null;
        }
        const reason = connection === null ? connectReason(error) : workReason(error);
        if (reason === null || this.#isClosed) throw error;
        if (performance.now() + pause >= until) throw error;
        this.#events.retried(reason);
        await sleep(pause);
        // A machine that stalls may sleep for longer.
        if (performance.now() >= until) throw error;
        pause = Math.min(PAUSE_MAX_MS, pause * 2);
      }
    }
  }

  /** A connection that is made after the lane was closed would be closed by nobody. */
  #mustBeOpen(): void {
    if (this.#isClosed) throw new Error('closed');
  }

  /** It has a connection, and has not seen it break. */
  get isConnected(): boolean {
    return this.#connection?.isOpen === true;
  }

  /** Others may wait for longer for the same connection. */
  async #presentBy(until: number): Promise<Connection> {
    const over = new AbortController();
    const { signal } = over;
    const leftMs = Math.max(1, until - performance.now());
    const late = sleep(leftMs, undefined, { signal }).then(() => {
      throw new TimeOver(`no connection within ${Math.round(leftMs)} ms`);
    });
    const present = this.#present();
    present.catch(() => undefined);
    late.catch(() => undefined);
    try {
      return await Promise.race([present, late]);
    } finally {
      over.abort();
    }
  }

  async #present(): Promise<Connection> {
    this.#mustBeOpen();
    if (this.#connection?.isOpen === true) return this.#connection;
    this.#connecting ??= this.#connect();
    try {
      return await this.#connecting;
    } finally {
      this.#connecting = null;
    }
  }

  async #connect(): Promise<Connection> {
    let opened: Awaited<ReturnType<typeof connect>> | null = null;
    try {
      opened = await connect(this.#login, this.#last, this.#timeoutMs);
      this.#last.place = opened.place;
      const { connection, server } = opened;
      await connection.within(this.#timeoutMs, this.#events.connected(connection, server));
      this.#mustBeOpen();
      this.#last.history = server;
    } catch (error) {
      opened?.connection.destroy();
      this.#events.unreachable(error);
      throw error;
    }
    this.#connection = opened.connection;
    return opened.connection;
  }

  /** What is under way is done again over a new connection. */
  reconnect(): void {
    this.#connection?.destroy();
  }

  /** What is under way fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#connecting?.catch(() => undefined);
    await this.#connection?.close();
  }

  /** At once, whatever is under way. */
  destroy(): void {
    this.#isClosed = true;
    this.#connection?.destroy();
  }
}

function workReason(error: unknown): RetryReason | null {
  return codeOf(error)?.startsWith('ERR_TITANIC_') === true ? null : retryReason(error);
}
