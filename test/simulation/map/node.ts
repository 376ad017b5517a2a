/**
 * A standalone node that has only a map: machine, store and ports. Its process can end between any two effects; its
 * disk survives it.
 */
import type { MapHost } from '../../../src/extensions/map/host.js';
import type { MapRecord } from '../../../src/store/map-record.js';
import { Standalone } from '../../../src/bstar/replication/standalone.js';
import { MemoryDisk, type StoreCall, type StoreFault } from '../../../src/testing/memory-store.js';
import type { Tally } from '../actors/tally.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import { type MapSabotage, NodeMap } from './node-map.js';
import type { SimMapPorts } from './ports.js';
import type { MapWatch, WatchedNode } from './watch.js';
import type { MapWeather } from './weather.js';

/** Breaks a correct node, to verify that the simulation detects it. */
export interface MapOnlySabotage extends MapSabotage {
  weather?(weather: MapWeather): MapWeather;
  /** The epoch of the next process. */
  epoch?(epoch: number): number;
}

export interface MapNodeSurroundings {
  readonly weather: MapWeather;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly tally: Tally;
  readonly watch: MapWatch;
  readonly sabotage: MapOnlySabotage;
}

/** Thrown at an effect: the process ends there. */
class Crash extends Error {}

const HEALED_MS_MAX = 10;
const TURNS_AT_ONCE_MAX = 2000;

export class SimMapNode implements WatchedNode {
  readonly name = 'node';
  readonly isFixing = true;
  readonly disk: MemoryDisk;
  readonly #in: MapNodeSurroundings;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #own: NodeMap;
  #epoch = 0;
  #effectsLeft = Infinity;
  #isHealed = false;
  #isTurnDue = false;
  #timerAt = Infinity;
  #turnsAt = { time: -1, count: 0 };

  constructor(surroundings: MapNodeSurroundings) {
    this.#in = surroundings;
    const { clock, random, trace, watch, weather, sabotage } = surroundings;
    this.#clock = clock;
    this.#random = random;
    this.disk = new MemoryDisk({
      schedule: (call, run) => {
        this.#schedule(call, run);
      },
      faultOf: (call) => this.#faultOf(call),
    });
    this.#own = new NodeMap({
      ...{ clock, watch, sabotage, ports: weather.ports, bytesMax: weather.bytesMax, node: this },
      host: {
        isReached: () => this.map !== null,
        enter: (part) => {
          this.#enter(this.map, part);
        },
        effect: () => {
          if (--this.#effectsLeft <= 0) throw new Crash();
        },
        note: (what, frames) => {
          trace.note(clock.now, this.name, what, frames);
        },
      },
    });
    this.#start();
  }

  get map(): MapHost | null {
    return this.#own.current;
  }

  get ports(): SimMapPorts {
    return this.#own.ports;
  }

  get mayAnswer(): boolean {
    return this.map?.machine.isServing ?? false;
  }

  disks(): readonly (readonly MapRecord[])[] {
    return [this.disk.mapRecords];
  }

  heal(): void {
    this.#isHealed = true;
    this.#effectsLeft = Infinity;
    if (this.map === null) this.#start();
  }

  // ---------------------------------------------------------------- life and death

  #start(): void {
    if (this.map !== null) return;
    this.#isTurnDue = false;
    this.#timerAt = Infinity;
    this.#effectsLeft = Infinity;
    const { store, recovered } = this.disk.openNow({
      arrived: () => {
        this.#wake();
      },
      mapTombstones: (bytes) => {
        map.machine.mapTombstones(bytes);
      },
      counted: () => undefined,
      fatal: () => undefined,
    });
    const map = this.#own.open({
      replica: new Standalone(store, recovered.firstTransaction).mapIn(store),
      store,
      wake: () => {
        this.#wake();
      },
    });
    this.#in.trace.note(this.#clock.now, this.name, 'starts');
    this.#epoch = Math.max(this.#epoch, recovered.mapEpochMax) + 1;
    const epoch = this.#in.sabotage.epoch?.(this.#epoch) ?? this.#epoch;
    const { crashAfterMax } = this.#in.weather;
    const mayCrash = !this.#isHealed && crashAfterMax < Infinity;
    this.#effectsLeft = mayCrash ? this.#random.int(1, crashAfterMax) : Infinity;
    this.#enter(map, () => {
      map.machine.open();
      map.activate(epoch);
    });
  }

  crash(): void {
    if (this.map === null) return;
    this.#in.tally.fault('node crashes');
    this.#in.trace.note(this.#clock.now, this.name, 'ends');
    this.disk.crash();
    this.#own.close();
    this.#clock.after(this.#random.int(0, this.#in.weather.downMaxMs), () => {
      this.#start();
    });
  }

  #enter(map: MapHost | null, part: () => void): void {
    if (map === null || this.map !== map) return;
    map.setTime(this.#clock.now);
    try {
      part();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.crash();
    }
    this.#own.look();
  }

  // ---------------------------------------------------------------- turns

  #wake(): void {
    const { map } = this;
    if (this.#isTurnDue || map === null) return;
    this.#isTurnDue = true;
    this.#clock.after(this.#random.int(0, this.#in.weather.turnDelayMaxMs), () => {
      this.#enter(map, () => {
        this.#turn(map);
      });
    });
  }

  #turn(map: MapHost): void {
    this.#isTurnDue = false;
    const { now } = this.#clock;
    const { time, count } = this.#turnsAt;
    this.#turnsAt = { time: now, count: time === now ? count + 1 : 0 };
    hold(count < TURNS_AT_ONCE_MAX, 'the map does not come to rest');
    map.run(now);
    const dueInMs = map.dueInMs(now);
    if (dueInMs === 0) this.#wake();
    else this.#arm(map, now + dueInMs);
  }

  #arm(map: MapHost, at: number): void {
    if (at >= this.#timerAt || at === Infinity) return;
    this.#timerAt = at;
    this.#clock.at(Math.ceil(at), () => {
      if (this.map !== map || this.#timerAt !== at) return;
      this.#timerAt = Infinity;
      this.#wake();
    });
  }

  // ---------------------------------------------------------------- the disk

  #schedule(call: StoreCall, run: () => void): void {
    const { map } = this;
    const { commitMaxMs, readMaxMs } = this.#in.weather;
    const most = call === 'commit' ? commitMaxMs : call === 'reported' ? 0 : readMaxMs;
    const within = Math.min(most, this.#isHealed ? HEALED_MS_MAX : Infinity);
    this.#clock.after(this.#random.int(0, within), () => {
      this.#enter(map, run);
    });
  }

  #faultOf(call: StoreCall): StoreFault | null {
    const { failureChance } = this.#in.weather;
    if (this.#isHealed || call === 'reported' || !this.#random.chance(failureChance)) return null;
    const kind = call === 'commit' && this.#random.chance(0.5) ? 'full' : 'busy';
    this.#in.tally.fault(call === 'commit' ? `store ${kind}` : 'store cannot read');
    return { failure: { kind, message: kind === 'full' ? 'no space left' : 'locked' } };
  }
}
