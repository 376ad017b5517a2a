/** Keeps the session of one broker, as src/extensions/postgres/lease.ts does. */
import type { Claimant, OtherSession } from '../../../src/extensions/postgres/session.js';
import type { Watch } from '../../../src/extensions/postgres/lease.js';
import type { SharedDatabase } from './database.js';
import {
  type PersistentConnection,
  type ConnectionHost,
  mustBeOfNetwork,
  NOBODY,
} from './persistent-connection.js';
import { begin, type Routine } from './routine.js';

const RENEWALS = 3;

export interface LeaseEvents {
  /** By an order that was sent then, when the clock of the store was that. */
  renewed(sentAt: number, storeMs: number): void;
  ended(): void;
  /** Called before the new session is used. */
  taken(session: number): void;
  accompanied(others: number): void;
  otherEnded(other: OtherSession): void;
}

export class SessionLease {
  readonly #connection: PersistentConnection;
  readonly #host: ConnectionHost;
  readonly #claimant: Claimant;
  readonly #watch: Watch;
  readonly #events: LeaseEvents;
  #session: number | null;
  /** The timer that counts. */
  #timer = 0;
  #isRunning = false;
  /** Its time came while it was running. */
  #runsAgain = false;

  constructor(
    persistent: PersistentConnection,
    host: ConnectionHost,
    claimant: Claimant,
    session: number,
    watch: Watch,
    events: LeaseEvents,
  ) {
    this.#connection = persistent;
    this.#host = host;
    this.#claimant = claimant;
    this.#session = session;
    this.#watch = watch;
    this.#events = events;
    this.#soon(0);
  }

  /** `null`: it has none now. */
  get session(): number | null {
    return this.#session;
  }

  foundEnded(session: number): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.#events.ended();
    this.#soon(0);
  }

  #soon(ms: number): void {
    const timer = ++this.#timer;
    this.#host.later(ms, () => {
      if (timer !== this.#timer) return;
      // One after the other.
      if (this.#isRunning) this.#runsAgain = true;
      else begin(this.#run());
    });
  }

  *#run(): Routine<void> {
    const { leaseMs } = this.#claimant;
    this.#isRunning = true;
    try {
      const until = this.#host.clock.now + leaseMs / RENEWALS;
      yield* this.#connection.use(until, (left) => this.#all(left));
    } catch (error) {
      mustBeOfNetwork(error);
      this.#watch.restart();
    }
    this.#isRunning = false;
    this.#soon(this.#runsAgain ? 0 : leaseMs / RENEWALS);
    this.#runsAgain = false;
  }

  *#all(until: number): Routine<void> {
    yield* this.#renewOrTake(until);
    yield* this.#lookAtOthers(until);
  }

  *#renewOrTake(until: number): Routine<void> {
    if (this.#session !== null) {
      if (yield* this.#renew(until, this.#session)) return;
      this.#session = null;
      this.#events.ended();
    }
    const taken = yield* take(this.#connection, until, this.#claimant);
    this.#events.taken(taken);
    this.#session = taken;
    yield* this.#renew(until, taken);
  }

  *#renew(until: number, session: number): Routine<boolean> {
    const sentAt = this.#host.clock.now;
    const run = (database: SharedDatabase): number | null => database.renew(session);
    const storeMs = yield* this.#connection.ask(until, { run, fence: null, alone: NOBODY });
    if (storeMs !== null) this.#events.renewed(sentAt, storeMs);
    return storeMs !== null;
  }

  *#lookAtOthers(until: number): Routine<void> {
    const mine = this.#session;
    if (mine === null) return;
    const ask = <Result>(
      run: (database: SharedDatabase) => Result,
      alone: readonly number[] = [],
    ) => this.#connection.ask(until, { run, fence: null, alone: () => alone });
    this.#watch.over(this.#connection.connection);
    const seen = yield* ask((database) => database.others(mine));
    const { now } = this.#host.clock;
    for (const other of this.#watch.see(seen, this.#claimant.leaseMs, now)) {
      const isEnded = yield* ask((database) => database.endSession(other), [other.session]);
      if (isEnded) this.#events.otherEnded(other);
    }
    this.#events.accompanied(seen.length);
    yield* ask((database) => database.free());
  }
}

export function* take(
  persistent: PersistentConnection,
  until: number,
  claimant: Claimant,
): Routine<number> {
  const run = (database: SharedDatabase): number => database.take(claimant);
  const alone = (database: SharedDatabase): number[] => database.sessionsOf(claimant);
  return yield* persistent.ask(until, { run, fence: null, alone });
}
