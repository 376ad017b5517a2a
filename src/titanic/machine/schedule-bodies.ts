/**
 * Reads the bodies of schedules from the store: those that are asked for, and in slices those of the
 * schedules that have become known.
 */
import type { StoredBody } from '../../broker/ports.js';
import type { RequestUuid } from '../../store/store.js';
import type { TitanicContext } from './context.js';
import type { Schedule } from './schedule-table.js';
import type { Scope } from './scope.js';

/** Maximum number of bodies read at once when schedules become known, and of their bytes. */
const READ_MAX = 256;
const READ_BYTES_MAX = 8 * 1024 * 1024;
/** Delay after a read that failed. */
const READ_AGAIN_MS = 1000;

export type Bodies = readonly (StoredBody | null)[];

export class ScheduleBodies {
  readonly #context: TitanicContext;
  readonly #scope: Scope;
  readonly #known: (schedule: Schedule, stored: StoredBody | null) => void;
  /** Schedules whose body is not read yet. */
  #unread: Schedule[] = [];
  #isReading = false;
  #readAgainAt = -Infinity;

  /**
   * @param scope of the activation
   * @param known the body of a schedule that was added is read; `null`: it is not in the store
   */
  constructor(
    context: TitanicContext,
    scope: Scope,
    known: (schedule: Schedule, stored: StoredBody | null) => void,
  ) {
    this.#context = context;
    this.#scope = scope;
    this.#known = known;
  }

  /** The bodies of all schedules that were added are read. */
  get areRead(): boolean {
    return this.#unread.length === 0 && !this.#isReading;
  }

  /** When `readNext` has something to do; Infinity for never. Monotonic milliseconds. */
  get dueAt(): number {
    return this.#unread.length > 0 && !this.#isReading ? this.#readAgainAt : Infinity;
  }

  /** Has the body of a schedule read in one of the next turns. */
  add(schedule: Schedule): void {
    this.#unread.push(schedule);
  }

  /** @param then gets `null` if the read failed */
  read(uuids: readonly RequestUuid[], then: (bodies: Bodies | null) => void): void {
    const completion = this.#scope.completion(then, () => {
      then(null);
    });
    this.#context.store.load(uuids, completion);
  }

  /** Begins to read the next slice, if none is being read. */
  readNext(): void {
    if (this.#isReading || this.#context.now < this.#readAgainAt) return;
    let bytes = 0;
    let count = 0;
    while (count < Math.min(READ_MAX, this.#unread.length)) {
      bytes += this.#unread[count]?.bodyBytes ?? 0;
      if (count > 0 && bytes > READ_BYTES_MAX) break;
      count++;
    }
    if (count === 0) return;
    this.#isReading = true;
    const schedules = this.#unread.splice(0, count);
    const uuids = schedules.map(({ uuid }) => uuid);
    this.read(uuids, (bodies) => {
      this.#isReading = false;
      if (bodies === null) {
        this.#readAgainAt = this.#context.now + READ_AGAIN_MS;
        this.#unread = [...schedules, ...this.#unread];
        return;
      }
      for (const [at, schedule] of schedules.entries()) this.#known(schedule, bodies[at] ?? null);
    });
  }
}
