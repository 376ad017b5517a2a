/**
 * The server of the shared database: it goes away and comes back, and locks what transactions that wait for a
 * standby, or people, have not let go yet.
 */
import type { RequestUuid } from '../../../src/store/store.js';
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
  /** The connections that are open, by the processes that serve them, and what tells them that they break. */
  readonly #connections = new Map<number, () => void>();
  #processes = 0;
  /** Who is told what others send to the channel. */
  readonly listeners = new Map<number, (payload: string, from: number) => void>();
  /** Until when sessions, and rows of requests, are locked: sessions by their numbers, rows by their uuids. */
  readonly #locked = new Map<number | string, number>();

  constructor(clock: SimClock, conditions: Conditions) {
    this.#clock = clock;
    this.database = new SharedDatabase(() => this.wall, conditions);
    this.database.isLocked = (uuid) => this.freeAt([], [uuid]) > clock.now;
  }

  get wall(): number {
    return WALL_MS + this.#clock.now;
  }

  get processes(): ReadonlySet<number> {
    return new Set(this.#connections.keys());
  }

  goDown(): void {
    this.isUp = false;
    const all = [...this.#connections.values()];
    this.#connections.clear();
    this.listeners.clear();
    this.#locked.clear();
    for (const broken of all) broken();
  }

  comeUp(): void {
    this.isUp = true;
    this.upSince = this.#clock.now;
  }

  /** @param broken called when the server goes away. @returns the process that serves the connection */
  connected(broken: () => void): number {
    this.#connections.set(++this.#processes, broken);
    return this.#processes;
  }

  disconnected(id: number): void {
    this.#connections.delete(id);
    this.listeners.delete(id);
  }

  /** A transaction holds the lock of its fence (0: none), and these rows, until then. */
  holds(session: number, rows: readonly RequestUuid[], until: number): void {
    const names = rows.map((uuid) => uuid.toString('latin1'));
    for (const key of [...(session === 0 ? [] : [session]), ...names]) {
      this.#locked.set(key, Math.max(until, this.#locked.get(key) ?? 0));
    }
  }

  /** When the rows of these sessions and requests can be locked. */
  freeAt(sessions: readonly number[], rows: readonly RequestUuid[]): number {
    const { now } = this.#clock;
    const keys = [...sessions, ...rows.map((uuid) => uuid.toString('latin1'))];
    return Math.max(now, ...keys.map((key) => this.#locked.get(key) ?? 0));
  }
}
