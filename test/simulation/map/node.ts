/**
 * A standalone node that has only a map: machine, store and ports. Its process can end between any two effects; its
 * disk survives it.
 */
import { MapMachine } from '../../../src/map/map-machine.js';
import type { MapRecord } from '../../../src/map/record.js';
import type { MapStore } from '../../../src/map/store.js';
import { MemoryMapDisk, type MapStoreCall } from '../../../src/testing/memory-map-store.js';
import type { StoreFailure } from '../../../src/titanic/store/store.js';
import type { Tally } from '../actors/tally.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import { MapPorts } from './ports.js';
import type { MapWatch, WatchedNode } from './watch.js';
import type { MapWeather } from './weather.js';

/** Breaks a correct node, to verify that the simulation detects it. */
export interface MapSabotage {
  weather?(weather: MapWeather): MapWeather;
  machine?(machine: MapMachine): void;
  store?(store: MapStore): MapStore;
  ports?(ports: MapPorts): void;
  /** That of the next process. */
  epoch?(epoch: number): number;
}

export interface MapNodeSurroundings {
  readonly weather: MapWeather;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly tally: Tally;
  readonly watch: MapWatch;
  readonly sabotage: MapSabotage;
}

/** Thrown at an effect: the process ends there. */
class Crash extends Error {}

const HEALED_MS_MAX = 10;
const TURNS_AT_ONCE_MAX = 2000;

export class SimMapNode implements WatchedNode {
  readonly name = 'node';
  readonly isFixing = true;
  readonly ports: MapPorts;
  readonly disk: MemoryMapDisk;
  readonly #in: MapNodeSurroundings;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  #machine: MapMachine | null = null;
  #epoch = 0;
  #effectsLeft = Infinity;
  #isHealed = false;
  #isTurnDue = false;
  #timerAt = Infinity;
  #turnsAt = { time: -1, count: 0 };

  constructor(surroundings: MapNodeSurroundings) {
    this.#in = surroundings;
    const { clock, random, weather, sabotage } = surroundings;
    this.#clock = clock;
    this.#random = random;
    this.disk = new MemoryMapDisk({
      schedule: (call, run) => {
        this.#schedule(call, run);
      },
      faultOf: (call) => this.#faultOf(call),
    });
    this.ports = new MapPorts(clock, weather.ports, {
      isReached: () => this.#machine !== null,
      enter: (part) => {
        this.#enter(this.#machine, part);
      },
      wake: () => {
        this.#wake();
      },
      effect: () => {
        if (--this.#effectsLeft <= 0) throw new Crash();
      },
      vote: () => {
        // It serves as soon as its records are loaded.
      },
      note: (what, frames) => {
        this.#in.trace.note(clock.now, this.name, what, frames);
      },
      published: (message) => {
        this.#in.watch.published(this, message, clock.now);
      },
      answered: (message) => {
        this.#in.watch.answered(this, message);
      },
    });
    sabotage.ports?.(this.ports);
    this.#start();
  }

  get isServing(): boolean {
    return this.#machine?.isServing ?? false;
  }

  disks(): readonly (readonly MapRecord[])[] {
    return [this.disk.records];
  }

  get machine(): MapMachine | null {
    return this.#machine;
  }

  heal(): void {
    this.#isHealed = true;
    this.#effectsLeft = Infinity;
    if (this.#machine === null) this.#start();
  }

  // ---------------------------------------------------------------- life and death

  #start(): void {
    if (this.#machine !== null) return;
    const { weather, watch, sabotage } = this.#in;
    this.#isTurnDue = false;
    this.#timerAt = Infinity;
    this.#effectsLeft = Infinity;
    const within = (part: (machine: MapMachine) => void): void => {
      this.#enter(machine, part);
      this.#wake();
    };
    const now = (): number => this.#clock.now;
    const opened = this.disk.openNow({
      committed: (number) => {
        within((running) => {
          running.committed(number, now());
        });
      },
      batchFailed: (number, failure) => {
        within((running) => {
          running.batchFailed(number, failure, now());
        });
      },
      merged: () => undefined,
      mergeFailed: () => undefined,
      listed: (list, records) => {
        within((running) => {
          const was = running.isServing;
          running.listed(list, records, now());
          if (!was && running.isServing) watch.serves(this, now());
        });
      },
      chunk: () => undefined,
      listFailed: (list) => {
        within((running) => {
          running.listFailed(list, now());
        });
      },
      readFailed: () => undefined,
    });
    const store = sabotage.store?.(opened.store) ?? opened.store;
    let transaction = opened.recovered.firstTransaction;
    const machine = new MapMachine(
      { bytesMax: weather.bytesMax, mayWrite: () => true },
      {
        sink: this.ports.sink,
        store,
        replica: {
          refusal: null,
          commit: (changes) => {
            watch.committing(this, changes, now());
            const number = transaction++;
            store.commit({ number, tombstones: 'none', holds: null, peerHolds: 0 }, changes);
            return { number, awaitsPeer: false };
          },
        },
        events: { emit: () => undefined },
      },
    );
    sabotage.machine?.(machine);
    this.#machine = machine;
    this.#in.trace.note(this.#clock.now, this.name, 'starts');
    this.#epoch = Math.max(this.#epoch, opened.recovered.epochMax) + 1;
    const epoch = sabotage.epoch?.(this.#epoch) ?? this.#epoch;
    const { crashAfterMax } = weather;
    const mayCrash = !this.#isHealed && crashAfterMax < Infinity;
    this.#effectsLeft = mayCrash ? this.#random.int(1, crashAfterMax) : Infinity;
    this.#enter(machine, () => {
      machine.open();
      machine.activate(epoch, now());
    });
    this.#wake();
  }

  crash(): void {
    if (this.#machine === null) return;
    this.#in.tally.fault('node crashes');
    this.#in.trace.note(this.#clock.now, this.name, 'ends');
    this.#machine = null;
    this.disk.crash();
    this.ports.clear();
    this.#clock.after(this.#random.int(0, this.#in.weather.downMaxMs), () => {
      this.#start();
    });
  }

  #enter(machine: MapMachine | null, part: (machine: MapMachine) => void): void {
    if (machine === null || this.#machine !== machine) return;
    try {
      part(machine);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.crash();
    }
  }

  // ---------------------------------------------------------------- turns

  #wake(): void {
    const machine = this.#machine;
    if (this.#isTurnDue || machine === null) return;
    this.#isTurnDue = true;
    this.#clock.after(this.#random.int(0, this.#in.weather.turnDelayMaxMs), () => {
      this.#enter(machine, () => {
        this.#turn(machine);
      });
    });
  }

  #turn(machine: MapMachine): void {
    this.#isTurnDue = false;
    const { now } = this.#clock;
    const { time, count } = this.#turnsAt;
    this.#turnsAt = { time: now, count: time === now ? count + 1 : 0 };
    hold(count < TURNS_AT_ONCE_MAX, 'the map does not come to rest');
    const hasMore = machine.run(now);
    if (hasMore || machine.dueAt <= now) this.#wake();
    else this.#arm(machine, machine.dueAt);
  }

  #arm(machine: MapMachine, at: number): void {
    if (at >= this.#timerAt || at === Infinity) return;
    this.#timerAt = at;
    this.#clock.at(Math.ceil(at), () => {
      if (this.#machine !== machine || this.#timerAt !== at) return;
      this.#timerAt = Infinity;
      this.#wake();
    });
  }

  // ---------------------------------------------------------------- the disk

  #schedule(call: MapStoreCall, run: () => void): void {
    const machine = this.#machine;
    const { commitMaxMs, readMaxMs } = this.#in.weather;
    const most = call === 'commit' ? commitMaxMs : call === 'told' ? 0 : readMaxMs;
    const within = Math.min(most, this.#isHealed ? HEALED_MS_MAX : Infinity);
    this.#clock.after(this.#random.int(0, within), () => {
      this.#enter(machine, run);
    });
  }

  #faultOf(call: MapStoreCall): StoreFailure | null {
    const { failureChance } = this.#in.weather;
    if (this.#isHealed || call === 'told' || !this.#random.chance(failureChance)) return null;
    const kind = call === 'commit' && this.#random.chance(0.5) ? 'full' : 'busy';
    this.#in.tally.fault(call === 'commit' ? `store ${kind}` : 'store cannot read');
    return { kind, message: kind === 'full' ? 'no space left' : 'locked' };
  }
}
