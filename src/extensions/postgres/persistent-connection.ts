/** A connection that is made anew when it breaks. What is done over it is tried once, or until its time is over. */
import { codeOf } from '../../core/errors.js';
import { type Clock, sleep } from './clock.js';
import type { Known } from './connect.js';
import type { RetryReason } from '../../store/retries.js';
import { connectReason, endsConnection, retryReason, TimeOver, within } from './failures.js';
import { ReconnectPauses } from './reconnect-pauses.js';
import type { ServerIdentity } from './server.js';
import type { Check, Held } from './tables.js';

const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 250;

/** Reported by all connections of a store. */
export interface ConnectionEvents<Connection> {
  /** A connection was made, and it is checked before it is used. */
  readonly connected: Check<Connection>;
  /** No connection could be made. */
  unreachable(error: unknown): void;
  retried(reason: RetryReason): void;
  /** Something was done over a connection. */
  worked?(): void;
}

/** A try that failed. */
export interface Failed {
  readonly error: unknown;
  /** Why another try may succeed; `null`: it will not. */
  readonly reason: RetryReason | null;
  /** There was a connection, so something may have been sent. */
  readonly isSent: boolean;
}

/** Makes a connection, and checks it. */
export type Dial<Connection> = (
  known: Known,
  timeoutMs: number,
  check: Check<Connection>,
) => Promise<{ connection: Connection; server: ServerIdentity; hostIndex: number }>;

export class PersistentConnection<Connection extends Held> {
  readonly #dial: Dial<Connection>;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #last: Known;
  readonly #pauses: ReconnectPauses;
  readonly #events: ConnectionEvents<Connection>;
  connection: Connection | null = null;
  #connecting: Promise<Connection> | null = null;
  #isClosed = false;

  constructor(
    dial: Dial<Connection>,
    clock: Clock,
    timeoutMs: number,
    last: Known,
    events: ConnectionEvents<Connection>,
  ) {
    this.#dial = dial;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#last = last;
    this.#pauses = last.pauses ??= new ReconnectPauses(clock);
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
    for (let tries = 0; ; tries++) {
      const tried = await this.try(until, work);
      if ('result' in tried) return tried.result;
      if (!(await this.again(tried.reason, tries, until))) throw tried.error;
    }
  }

  /** Does it once. If the pause before the next try to connect lasts beyond `until`, it is not waited for. */
  async try<Result>(
    until: number,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<{ readonly result: Result } | Failed> {
    const leftMs = (): number => Math.max(1, until - this.#clock.now());
    let connection = this.#open;
    try {
      if (this.#clock.now() >= until) throw new TimeOver('no time is left');
      if (connection === null) {
        // Others may wait for longer for the same connection.
        const connected = this.#connected();
        const ms = this.#pauses.until < until ? leftMs() : 0;
        connection = await within(this.#clock, ms, connected, 'no connection');
      }
      const made = connection;
      const result = await within(this.#clock, leftMs(), work(made), 'no answer', () =>
        made.destroy(),
      );
      this.#events.worked?.();
      return { result };
    } catch (error) {
      if (connection !== null) return { ...this.#failed(connection, error), isSent: true };
      // That the time is over says less than why the last attempt failed.
      const known = error instanceof TimeOver ? (this.#pauses.error ?? error) : error;
      const reason = this.#pauses.until < until ? connectReason(known) : null;
      return { error: known, reason, isSent: false };
    }
  }

  #failed(connection: Connection, error: unknown): Omit<Failed, 'isSent'> {
    if (endsConnection(error) || !connection.isIdle || !connection.isOpen) {
      connection.destroy();
      if (this.connection === connection) this.connection = null;
    }
    const isOwn = codeOf(error)?.startsWith('ERR_TITANIC_') === true;
    return { error, reason: isOwn ? null : retryReason(error) };
  }

  /**
   * Waits before something is tried again.
   * @param tries how many failed before
   * @returns false: it is not tried again
   */
  async again(reason: RetryReason | null, tries: number, until: number): Promise<boolean> {
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** tries);
    if (reason === null || this.#isClosed || this.#clock.now() + pauseMs >= until) return false;
    this.#events.retried(reason);
    await sleep(this.#clock, pauseMs);
    // A machine that stalls may sleep for longer.
    return this.#clock.now() < until;
  }

  /** A connection that is made after this was closed would be closed by nobody. */
  #mustBeOpen(): void {
    if (this.#isClosed) throw new Error('closed');
  }

  /** Whether it has a connection, and has not seen it break. */
  get isConnected(): boolean {
    return this.#open !== null;
  }

  get #open(): Connection | null {
    return !this.#isClosed && this.connection?.isOpen === true ? this.connection : null;
  }

  #connected(): Promise<Connection> {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Connection> {
    await this.#pauses.over(() => this.#isClosed);
    this.#mustBeOpen();
    try {
      const opened = await this.#dial(this.#last, this.#timeoutMs, (...made) =>
        this.#events.connected(...made),
      );
      this.connection = opened.connection;
      this.#last.hostIndex = opened.hostIndex;
      this.#last.history = opened.server;
      if (this.#isClosed) opened.connection.destroy();
      this.#mustBeOpen();
      this.#pauses.worked();
      return opened.connection;
    } catch (error) {
      this.#pauses.failed(error);
      this.#events.unreachable(error);
      throw error;
    }
  }

  /** What is under way fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pauses.wake();
    await this.#connecting?.catch(() => undefined);
    await this.connection?.close();
  }

  /** Ends the connection at once, whatever is under way. */
  destroy(): void {
    this.#isClosed = true;
    this.#pauses.wake();
    this.connection?.destroy();
  }
}
