/**
 * A daemon process on a disk: broker, Titanic and store, wired as in the daemon. It can end between
 * any two effects; what was not committed is lost, and another process starts on the disk.
 */
import { Broker } from '../../../src/broker/broker.js';
import type { BrokerOptions } from '../../../src/broker/options.js';
import type { BrokerSink } from '../../../src/broker/sink.js';
import { Frames } from '../../../src/core/frames.js';
import { unpack } from '../../../src/core/packed.js';
import type { TitanicOptions } from '../../../src/titanic/machine/options.js';
import type { StoreFailure } from '../../../src/store/store.js';
import { Standalone } from '../../../src/bstar/replication/standalone.js';
import { Titanic } from '../../../src/titanic/machine/titanic.js';
import { unpackFailure } from '../../../src/store/failure-codec.js';
import { type Asked, StageDisk, StageStore } from '../../support/stage-store.js';
import type { Tally } from '../actors/tally.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { checkOwners, checkServices } from './cast.js';
import { type Connected, ProcessEnd } from '../world/process-end.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import { WholeMessages } from '../world/whole-messages.js';

export interface StoredWeather {
  readonly broker: BrokerOptions;
  readonly titanic: TitanicOptions;
  readonly turnDelayMaxMs: number;
  readonly commitMaxMs: number;
  readonly readMaxMs: number;
  /** Maximum number of effects from the start of a process to its crash; Infinity: no crash. */
  readonly crashAfterMax: number;
  readonly failureChance: number;
  readonly readFailureChance: number;
  readonly fatalChance: number;
  readonly downMaxMs: number;
  /** How far the wall clock is set back or forward at times. */
  readonly wallJumpMs: number;
}

/** Breaks a correct store or machine, to verify that the simulation detects it. */
export interface StoredSabotage {
  store?(store: StageStore): StageStore;
  titanic?(titanic: Titanic): void;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);

const WALL_MS = 1_795_132_800_000;
const TURNS_AT_ONCE_MAX = 2000;

/** Thrown at an effect: the process ends there. */
class Crash extends Error {}

interface Process extends Connected {
  readonly titanic: Titanic;
  readonly store: StageStore;
  readonly scheduled: Set<Asked>;
}

export class StoredNode {
  readonly end: ProcessEnd;
  readonly disk = new StageDisk();
  /** The latest wall time ever seen. */
  wallMax = WALL_MS;
  /** Deliveries by the first frame of the body. */
  readonly deliveries = new Map<string, number>();
  crashes = 0;
  failures = 0;
  /** Until when, by its wall clock, a fault hinders it at least. */
  hinderedUntil = -Infinity;
  readonly #weather: StoredWeather;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #trace: Trace;
  readonly #tally: Tally;
  readonly #sabotage: StoredSabotage;
  readonly #changed: () => void;
  #process: Process | null = null;
  #effectsLeft = Infinity;
  #isTurnPlanned = Infinity;
  #turnsAt = { time: -1, count: 0 };
  #wallOffset = 0;
  #isHealed = false;

  constructor(
    weather: StoredWeather,
    clock: SimClock,
    random: SimRandom,
    trace: Trace,
    tally: Tally,
    sabotage: StoredSabotage,
    changed: () => void,
  ) {
    this.#weather = weather;
    this.#clock = clock;
    this.#random = random;
    this.#trace = trace;
    this.#tally = tally;
    this.#sabotage = sabotage;
    this.#changed = changed;
    this.end = new ProcessEnd(clock, {
      reached: () => this.#process,
      enter: (part) => {
        this.#live(part);
      },
      wake: () => {
        this.#setTime();
        this.#plan(clock.now);
      },
      note: (peer, what, frames) => {
        trace.note(clock.now, `peer ${peer}`, `> ${what}`, frames);
      },
    });
    this.#start();
  }

  get wall(): number {
    return WALL_MS + this.#clock.now + this.#wallOffset;
  }

  /** The earliest possible wall time now, however the clock is set. */
  get wallLeast(): number {
    return WALL_MS + this.#clock.now - this.#weather.wallJumpMs;
  }

  get titanic(): Titanic | null {
    return this.#process?.titanic ?? null;
  }

  /** No faults from now on. */
  heal(): void {
    this.#isHealed = true;
    this.#effectsLeft = Infinity;
  }

  // ---------------------------------------------------------------- life and death

  #start(): void {
    const { broker: options, titanic: titanicOptions, crashAfterMax } = this.#weather;
    const random = (target: Buffer): void => {
      this.#random.fill(target);
    };
    const broker = new Broker(options, this.#sink(), { emit: () => {} }, random);
    const bare = new StageStore(this.disk);
    const store = this.#sabotage.store?.(bare) ?? bare;
    const counted = {
      list: (...args: Parameters<StageStore['list']>) => {
        this.#effect();
        store.list(...args);
      },
      commit: (...args: Parameters<StageStore['commit']>) => {
        this.#effect();
        store.commit(...args);
      },
      load: (...args: Parameters<StageStore['load']>) => {
        this.#effect();
        store.load(...args);
      },
      lookUp: (...args: Parameters<StageStore['lookUp']>) => {
        this.#effect();
        store.lookUp(...args);
      },
    };
    const replica = new Standalone(counted, this.disk.recovered.firstTransaction);
    const { services } = broker.counters.requests;
    const quiet = { emit: () => {} };
    const titanic = new Titanic(titanicOptions, counted, replica, quiet, random, services);
    this.#sabotage.titanic?.(titanic);
    store.counted = (counts) => {
      titanic.counted(counts);
    };
    const scheduled = new Set<Asked>();
    this.#process = { broker, titanic, store, peers: new Map(), links: [], scheduled };
    this.#setTime();
    this.#effectsLeft = Infinity;
    titanic.counted(this.disk.counts);
    titanic.activate();
    broker.host(titanic);
    broker.setInternalClient(titanic);
    const mayCrash = !this.#isHealed && crashAfterMax < Infinity;
    this.#effectsLeft = mayCrash ? this.#random.int(1, crashAfterMax) : Infinity;
    this.#trace.note(this.#clock.now, 'node', 'starts');
    this.#plan(this.#clock.now);
  }

  #effect(): void {
    if (--this.#effectsLeft <= 0) throw new Crash();
  }

  /** Runs a part of the process, which may end in it. */
  #live(part: (process: Process) => void): void {
    const process = this.#process;
    if (process === null) return;
    try {
      part(process);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#tally.fault('node crashes');
      this.#end(process);
    }
  }

  #end({ store, links }: Process): void {
    this.crashes++;
    this.#process = null;
    this.#messages.clear();
    this.#trace.note(this.#clock.now, 'node', 'ends');
    // Whether the commit in progress reached the disk is random.
    for (const asked of store.asked) {
      if (asked.kind === 'commit' && this.#random.chance(0.5)) store.write(asked);
    }
    this.#hinders();
    this.#changed();
    for (const link of links) link?.end();
    this.#clock.after(this.#random.int(0, this.#weather.downMaxMs), () => {
      this.#start();
    });
  }

  #hinders(): void {
    this.hinderedUntil = Math.max(this.hinderedUntil, this.wall);
  }

  // ---------------------------------------------------------------- turns

  #setTime(): void {
    const { wallJumpMs } = this.#weather;
    if (wallJumpMs > 0 && !this.#isHealed && this.#random.chance(0.01)) {
      this.#wallOffset = this.#random.int(-wallJumpMs, wallJumpMs);
      this.#tally.fault('clock is set');
    }
    this.wallMax = Math.max(this.wallMax, this.wall);
    this.#process?.titanic.setTime(this.#clock.now, this.wall);
  }

  #plan(wanted: number): void {
    if (wanted === Infinity) return;
    const at =
      Math.max(wanted, this.#clock.now) + this.#random.int(0, this.#weather.turnDelayMaxMs);
    if (this.#isTurnPlanned <= at) return;
    this.#isTurnPlanned = at;
    this.#clock.at(at, () => {
      if (this.#isTurnPlanned !== at) return;
      this.#isTurnPlanned = Infinity;
      this.#turn();
    });
  }

  #turn(): void {
    const { now } = this.#clock;
    this.#turnsAt = { time: now, count: this.#turnsAt.time === now ? this.#turnsAt.count + 1 : 0 };
    hold(this.#turnsAt.count < TURNS_AT_ONCE_MAX, 'it does not come to rest');
    this.#setTime();
    this.#live(({ broker, titanic }) => {
      while (broker.run(now));
      titanic.run(now, this.wall, broker.embedded, broker.embedded);
      while (broker.run(now));
      const outs = [...titanic.figures.services.all()].map(
        ({ service }) => titanic.figures.openOf(service).out,
      );
      hold(sum(outs) === titanic.figures.delivered, 'what is out of each service is what is out');
      hold(titanic.figures.inFlight <= this.#weather.titanic.maxInFlight, 'too many are out');
    });
    const process = this.#process;
    if (process === null) return;
    this.#schedule(process);
    const dueAt = now + process.titanic.dueInMs(now, this.wall);
    this.#plan(Math.min(process.broker.nextRunAt(), dueAt));
  }

  // ---------------------------------------------------------------- the disk

  #schedule(process: Process): void {
    const { commitMaxMs, readMaxMs } = this.#weather;
    for (const asked of process.store.asked) {
      if (process.scheduled.has(asked)) continue;
      process.scheduled.add(asked);
      const delay = this.#random.int(0, asked.kind === 'commit' ? commitMaxMs : readMaxMs);
      this.#clock.after(delay, () => {
        if (this.#process === process) this.#answer(process, asked);
      });
    }
  }

  #answer(process: Process, asked: Asked): void {
    const { store, titanic } = process;
    process.scheduled.delete(asked);
    this.#setTime();
    store.failure = asked.kind === 'commit' ? this.#commitFailure() : null;
    store.readFailure =
      asked.kind !== 'commit' && this.#isTime(this.#weather.readFailureChance)
        ? { kind: 'busy', message: 'cannot read now' }
        : null;
    const { failure } = store;
    if (failure !== null || store.readFailure !== null) {
      this.failures++;
      this.#hinders();
      this.#tally.fault(`store ${failure?.kind ?? 'cannot read'}`);
    }
    if (failure?.kind === 'fatal' && asked.kind === 'commit' && this.#random.chance(0.5)) {
      store.write(asked);
    }
    this.#trace.note(this.#clock.now, 'store', `${asked.kind} ${failure?.kind ?? 'done'}`);
    this.#live(() => {
      store.answer(asked);
      const hasTold = asked.kind === 'commit' && failure === null;
      if (hasTold) checkServices(titanic.figures.services.all(), this.disk.rows);
    });
    this.#checkDisk();
    this.#plan(this.#clock.now);
    if (failure?.kind !== 'fatal') return;
    // The daemon ends, though perhaps not before another turn.
    this.#clock.after(this.#random.int(0, 2), () => {
      if (this.#process === process) this.#end(process);
    });
  }

  #commitFailure(): StoreFailure | null {
    const { failureChance, fatalChance } = this.#weather;
    if (this.#isTime(fatalChance)) return { kind: 'fatal', message: 'fsync failed' };
    if (!this.#isTime(failureChance)) return null;
    return this.#random.chance(0.5)
      ? { kind: 'full', message: 'no space left' }
      : { kind: 'busy', message: 'locked' };
  }

  #isTime(chance: number): boolean {
    return !this.#isHealed && chance > 0 && this.#random.chance(chance);
  }

  #checkDisk(): void {
    checkOwners(this.disk.rows);
    this.#changed();
    for (const { request, reply, attempts } of this.disk.rows) {
      hold(request.attempts <= request.maxAttempts, 'more attempts than are allowed');
      const isDead = request.state === 'dead';
      // D63: of the request's current generation.
      const last = request.attempts > 0 ? (attempts.at(-1)?.failure ?? null) : null;
      const isFinal = unpackFailure(last)?.kind === 'final';
      const isOver = isFinal || request.attempts === request.maxAttempts;
      hold(!isDead || isOver, 'dead before its last attempt');
      hold(!isFinal || request.state !== 'pending', 'a final failure is to be delivered again');
      hold(
        (request.state === 'replied') === (reply !== null),
        'a reply and its state belong together',
      );
    }
  }

  // ---------------------------------------------------------------- effects

  #sink(): BrokerSink {
    const { sink } = this.#messages;
    return {
      ...sink,
      request: (...effect) => {
        sink.request(...effect);
        const [, , , body, start, end] = effect;
        const frames = new Frames();
        unpack(body.bytes, start, end, frames);
        const key = frames.view(0).toString('latin1');
        this.deliveries.set(key, (this.deliveries.get(key) ?? 0) + 1);
      },
    };
  }

  readonly #messages = new WholeMessages({
    effect: () => {
      this.#effect();
    },
    sent: (peer, frames, bytes) => {
      this.#trace.note(this.#clock.now, `peer ${peer}`, '<', frames);
      this.#process?.links[peer]?.write(frames, bytes);
    },
    closed: (peer) => {
      this.#process?.links[peer]?.end();
    },
  });
}
