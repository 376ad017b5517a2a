/**
 * The server of the shared database: it goes away and comes back, and what is under way on a connection
 * that breaks may be done, may not be done, or may be done later.
 */
import type { Hint } from '../../../src/store/store.js';
import type { SimClock } from '../world/clock.js';
import { SharedDatabase, type Conditions } from './database.js';

/** The clock of its machine, ahead of the simulated time. */
const WALL_MS = 1_795_132_800_000;

export class DatabaseServer {
  readonly database: SharedDatabase;
  isUp = true;
  /** Since when. */
  upSince = 0;
  readonly #clock: SimClock;
  readonly #onDown = new Set<() => void>();
  /** The brokers that are told hints. */
  readonly listeners = new Set<(hint: Hint) => void>();
  /** Transactions that wait for a standby: by session, until when it has its last one. */
  readonly #underWay = new Map<number, number>();

  constructor(clock: SimClock, conditions: Conditions) {
    this.#clock = clock;
    this.database = new SharedDatabase(() => this.wall, conditions);
  }

  get wall(): number {
    return WALL_MS + this.#clock.now;
  }

  goDown(): void {
    this.isUp = false;
    for (const broken of [...this.#onDown]) broken();
    this.#underWay.clear();
  }

  comeUp(): void {
    this.isUp = true;
    this.upSince = this.#clock.now;
  }

  /** Calls back when all connections break. */
  onDown(broken: () => void): void {
    this.#onDown.add(broken);
  }

  offDown(broken: () => void): void {
    this.#onDown.delete(broken);
  }

  /** The transaction holds the lock of its fence until then. */
  holds(session: number, until: number): void {
    this.#underWay.set(session, Math.max(until, this.#underWay.get(session) ?? 0));
  }

  /** When the rows of these sessions can be locked. */
  freeAt(sessions: readonly number[]): number {
    return Math.max(this.#clock.now, ...sessions.map((each) => this.#underWay.get(each) ?? 0));
  }
}
