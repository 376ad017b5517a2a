/** The part of a world that schedules play: who makes them, and what is checked of them. */
import type { Entry } from '../../../src/testing/memory-rows.js';
import type { Surroundings } from '../actors/line.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import { dialled, KEYS, type Services } from '../stored/cast.js';
import { Scheduler } from './scheduler.js';
import { ScheduleWatch, type Watched } from './watch.js';

const NAMES_MAX = 3;
const STEP_MS = 50;
/** How long it may take until the nodes are whole, and it is certain which schedules there are. */
const CERTAIN_MS = 70_000;
/** Then nothing is missed for this long. */
const SPAN_MS = 4000;
/** A due time is stored after it has passed. */
const LATE_MS = 1000;
/** How long two disks may take to become equal. */
const EQUAL_MS = 3000;

export interface ScheduleWorld {
  readonly clock: SimClock;
  readonly services: Services;
  /** How many clients may make schedules. */
  readonly schedulersMax: number;
  /**
   * One world in so many has schedules: they are due every few seconds, which makes a world several
   * times as long to run.
   */
  readonly oneIn: number;
  /** See `SchedulerOptions`. */
  readonly dialChance: number;
  /** What a fault has delayed is tried again within this time. */
  readonly recoversMs: number;
  /** The nodes run, and none of them has anything of its own. */
  isWhole(): boolean;
  /** The disks, as they are now. */
  disks(): readonly (readonly Entry[])[];
  watched(): Watched;
  /** The wall time of the node that serves; `null`: the clocks were set. */
  wall(): number | null;
  wallMax(): number;
}

export class ScheduleStage {
  readonly #world: ScheduleWorld;
  readonly #schedulers: Scheduler[] = [];
  readonly #watch = new ScheduleWatch();

  /** @param aroundOf the surroundings of one more client, and how it goes to another node */
  constructor(
    world: ScheduleWorld,
    random: SimRandom,
    aroundOf: (random: SimRandom) => { around: Surroundings; turnElsewhere: (() => void) | null },
    startsWithinMs: number,
  ) {
    this.#world = world;
    const isScheduling = world.schedulersMax > 0 && random.int(1, world.oneIn) === 1;
    for (let index = isScheduling ? random.int(1, world.schedulersMax) : 0; index > 0; index--) {
      const own = random.fork(index);
      const { around, turnElsewhere } = aroundOf(own);
      const key = KEYS[(index - 1) % KEYS.length] ?? null;
      const gapMaxMs = own.pick([100, 800]);
      const { services, dialChance } = world;
      const names = own.int(1, NAMES_MAX);
      const options = { names, services, gapMaxMs, turnElsewhere, dialChance };
      const line = dialled(`k${index}`, key);
      const scheduler = new Scheduler(options, around, line, own.fork(1), () => world.wallMax());
      this.#schedulers.push(scheduler);
      world.clock.after(own.int(0, startsWithinMs), () => scheduler.start());
    }
  }

  /** Looks at a disk after it has changed. */
  look(disk: unknown, rows: readonly Entry[]): void {
    if (this.#schedulers.length > 0) this.#watch.look(disk, rows, this.#world.watched());
  }

  /**
   * The faults are over: all schedules become certain, none of them misses a due time, all disks have
   * the same; then they end. Yields until when the world is to go on.
   * @param mayStore no limit keeps anything out of the store
   */
  *heal(mayStore: boolean): Generator<number> {
    const { clock, disks, recoversMs } = this.#world;
    if (this.#schedulers.length === 0) return;
    const isCertain = (): boolean => this.#schedulers.every((scheduler) => scheduler.isCertain);
    yield* this.#until('the nodes are not whole', () => this.#world.isWhole());
    if (mayStore) {
      for (const scheduler of this.#schedulers) scheduler.settle();
      yield* this.#until('a schedule cannot be made', isCertain);
      yield* this.#untilEqual();
      yield clock.now + recoversMs;
      const from = this.#world.wall();
      yield clock.now + SPAN_MS + LATE_MS;
      for (const scheduler of this.#schedulers) {
        if (from !== null) this.#watch.checkSpan(scheduler, from, from + SPAN_MS);
      }
      yield* this.#untilEqual();
    }
    for (const scheduler of this.#schedulers) scheduler.end();
    yield* this.#until('a schedule cannot be ended', isCertain);
    yield* this.#untilEqual();
    for (const scheduler of this.#schedulers) {
      this.#watch.checkEnds(scheduler);
      scheduler.leave();
    }
    for (const rows of disks()) {
      hold(schedulesIn(rows) === '', 'a schedule that was ended is there');
    }
  }

  *#until(fault: string, isSo: () => boolean): Generator<number> {
    const { clock } = this.#world;
    const until = clock.now + CERTAIN_MS;
    while (!isSo()) {
      hold(clock.now < until, fault);
      yield clock.now + STEP_MS;
    }
  }

  /** All disks have what the clients want, and no two schedules of one name. */
  *#untilEqual(): Generator<number> {
    const { clock, disks } = this.#world;
    const until = clock.now + EQUAL_MS;
    for (;;) {
      const all = disks().map(schedulesIn);
      const isOne = disks().every((rows) => !this.#watch.hasTwins(rows));
      if (isOne && all.every((each) => each === all[0])) break;
      const what = isOne ? 'the schedules differ' : 'two schedules have one name';
      hold(clock.now < until, `${what}: ${all.join(' and ')}`);
      yield clock.now + 1;
    }
    for (const rows of disks()) {
      for (const scheduler of this.#schedulers) this.#watch.checkWishes(scheduler, rows);
    }
  }
}

function schedulesIn(rows: readonly Entry[]): string {
  return rows
    .filter(({ request: { kind, state } }) => kind === 'schedule' && state === 'pending')
    .map(({ request: { uuid, notBefore, attempts } }) =>
      [uuid.toString('hex'), notBefore, attempts].join(' '),
    )
    .sort()
    .join();
}
