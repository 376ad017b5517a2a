/**
 * Keeps the session of this broker alive, over a connection of its own, and takes a new one; and ends
 * the sessions of brokers that do not renew theirs.
 */
import { codeOf } from '../../core/errors.js';
import type { Clock, Timer } from './clock.js';
import { textOf } from './failures.js';
import type { PersistentConnection } from './persistent-connection.js';
import type { StoreReport } from './postgres-store.js';
import { isMissingRight, type Who } from './rights.js';
import type { Claimant, OtherSession } from './session.js';
import type { Tables } from './tables.js';

/** A session is renewed this often within its lease. */
export const RENEWALS = 3;

export interface LeaseEvents {
  report(report: StoreReport): void;
  /** A new session was taken. */
  taken(session: number): void;
  /** @param others how many other brokers have a session */
  accompanied(others: number): void;
}

/** Watches whether other brokers renew their sessions. */
export class Watch {
  /** By session: its lease when it was first seen with that, and since when. */
  readonly #seen = new Map<number, { readonly lease: string; readonly since: number }>();
  #connection: object | null = null;
  #lookedAt = -Infinity;

  /**
   * What is seen from now on is seen over this connection. If it is a new one, the store may have been
   * away meanwhile, and the others could not renew theirs either.
   */
  over(connection: object): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    this.restart();
  }

  /**
   * @param now monotonic milliseconds
   * @returns those that may be ended: they are overdue, and were not renewed for a whole lease of this
   * broker's clock, while this broker was connected
   */
  see(sessions: readonly OtherSession[], leaseMs: number, now: number): OtherSession[] {
    // This broker was stopped, and others with it, perhaps: they renew as soon as they go on.
    if (now - this.#lookedAt > (2 * leaseMs) / RENEWALS) this.restart();
    this.#lookedAt = now;
    const present = new Set(sessions.map(({ session }) => session));
    for (const session of this.#seen.keys()) if (!present.has(session)) this.#seen.delete(session);
    return sessions.filter(({ session, lease, isOverdue }) => {
      const seen = this.#seen.get(session);
      if (seen?.lease !== lease) this.#seen.set(session, { lease, since: now });
      else return isOverdue && now - seen.since >= leaseMs;
      return false;
    });
  }

  /** The connection was lost: the others could not renew theirs either. */
  restart(): void {
    this.#seen.clear();
  }
}

export class SessionLease {
  readonly #connection: PersistentConnection<Tables>;
  readonly #clock: Clock;
  readonly #claimant: Claimant;
  readonly #who: Who;
  readonly #events: LeaseEvents;
  readonly #watch = new Watch();
  #session: number | null;
  /** Monotonic milliseconds. */
  #renewedAt: number;
  #timer: Timer | null = null;
  /** When `#timer` is over: monotonic milliseconds. */
  #timerAt = 0;
  #isClosed = false;
  #running: Promise<void> = Promise.resolve();

  /** @param who for the text that says which right is missing */
  constructor(
    persistent: PersistentConnection<Tables>,
    clock: Clock,
    claimant: Claimant,
    who: Who,
    session: number,
    events: LeaseEvents,
  ) {
    this.#connection = persistent;
    this.#clock = clock;
    this.#renewedAt = clock.now();
    this.#claimant = claimant;
    this.#who = who;
    this.#session = session;
    this.#events = events;
    this.#soon(0);
  }

  /** `null`: it has none now. */
  get session(): number | null {
    return this.#session;
  }

  /** A batch found that the session has ended. If another one was taken since, that is known. */
  foundEnded(session: number): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.#events.report({ report: 'ended' });
    this.#soon(0);
  }

  /** The store can be reached again: the session is renewed, or another one taken, at once. */
  returned(): void {
    this.#soon(0);
  }

  /** Runs then, if not sooner. */
  #soon(ms: number): void {
    const at = this.#clock.now() + ms;
    if (this.#isClosed || (this.#timer !== null && this.#timerAt <= at)) return;
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
    this.#timerAt = at;
    this.#timer = this.#clock.later(ms, () => {
      this.#timer = null;
      // One after the other: it may be under way.
      this.#running = this.#running.then(() => this.#run());
    });
  }

  async #run(): Promise<void> {
    const { leaseMs } = this.#claimant;
    try {
      const until = this.#clock.now() + leaseMs / RENEWALS;
      await this.#connection.use(until, (tables) => this.#keep(tables));
    } catch (error) {
      // That there is no connection is reported; the lease runs out by itself.
      this.#watch.restart();
      // Tables of a program that is too new are found again, and told, when it connects.
      if (codeOf(error) === 'ERR_TITANIC_VERSION') this.#connection.connection?.destroy();
      if (this.#clock.now() - this.#renewedAt >= leaseMs) {
        this.#events.report({ report: 'overdue', text: textOf(error) });
      }
    }
    this.#soon(leaseMs / RENEWALS);
  }

  async #keep(tables: Tables): Promise<void> {
    try {
      await this.#renewOrTake(tables);
      await this.#lookAtOthers(tables);
    } catch (error) {
      throw isMissingRight(error) ? await tables.missingRight(error, this.#who) : error;
    }
  }

  async #renewOrTake(tables: Tables): Promise<void> {
    if (this.#session !== null) {
      if (await this.#renew(tables, this.#session)) return;
      this.#session = null;
      this.#events.report({ report: 'ended' });
    }
    const { session: taken } = await tables.take(this.#claimant, 0);
    this.#events.taken(taken);
    this.#events.report({ report: 'taken' });
    this.#session = taken;
    await this.#renew(tables, taken);
  }

  async #renew(tables: Tables, session: number): Promise<boolean> {
    const sentAtMs = this.#clock.now();
    const storeMs = await tables.renew(session, this.#claimant.leaseMs);
    if (storeMs === null) return false;
    this.#renewedAt = sentAtMs;
    this.#events.report({ report: 'renewed', sentAtMs, storeMs });
    return true;
  }

  async #lookAtOthers(tables: Tables): Promise<void> {
    if (this.#session === null) return;
    this.#watch.over(tables);
    const seen = await tables.others(this.#session);
    for (const other of this.#watch.see(seen, this.#claimant.leaseMs, this.#clock.now())) {
      if (!(await tables.endSession(other))) continue;
      this.#events.report({ report: 'otherEnded', node: other.node, session: other.session });
    }
    this.#events.accompanied(seen.length);
    const facts = seen.map(({ session, node, isOverdue }) => ({ session, node, isOverdue }));
    this.#events.report({ report: 'sessions', mine: this.#session, others: facts });
    await tables.free();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
    await this.#running;
  }
}
