/**
 * One node of a simulated pair: broker, Titanic, store, epoch and link, wired and run as in the
 * daemon. Its process can end between any two effects, and can be paused; its disks survive it.
 */
import { Broker } from '../../../src/broker/broker.js';
import type { Companion } from '../../../src/broker/io/loop.js';
import type { BrokerOptions } from '../../../src/broker/options.js';
import type { PairEvent } from '../../../src/bstar/events.js';
import type { Persisted, Role } from '../../../src/bstar/facts.js';
import type { Config } from '../../../src/config/config.js';
import { present } from '../../../src/core/assert.js';
import type { MapHost } from '../../../src/extensions/map/host.js';
import { type EpochStore, PairNode } from '../../../src/node/pair.js';
import { StoreReports } from '../../../src/node/store-reports.js';
import { turnsOf } from '../../../src/node/turns.js';
import { Mmi } from '../../../src/mmi/mmi.js';
import { Replication } from '../../../src/bstar/replication/replication.js';
import type { NodeStore, NodeStoreEvents } from '../../../src/store/node-store.js';
import type { StoreCounts, StoreFailure } from '../../../src/store/store.js';
import { Titanic } from '../../../src/titanic/machine/titanic.js';
import type { BrokerStatus } from '../../../src/wire/mmi.js';
import { MemoryDisk, type StoreCall, type StoreFault } from '../../../src/testing/memory-store.js';
import type { MapRecord } from '../../../src/store/map-record.js';
import type { Tally } from '../actors/tally.js';
import { type MapSabotage, NodeMap } from '../map/node-map.js';
import type { PortsOptions } from '../map/ports.js';
import type { MapWatch, WatchedNode } from '../map/watch.js';
import { checkServices } from '../stored/cast.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { type Connected, ProcessEnd } from '../world/process-end.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import { WholeMessages } from '../world/whole-messages.js';
import type { PeerWire, WireEnd } from './peer-wire.js';
import type { PairWorldWeather } from './weather.js';
import type { Witness } from './witness.js';

export interface PairWeather {
  readonly broker: BrokerOptions;
  readonly config: Config;
  readonly turnDelayMaxMs: number;
  readonly commitMaxMs: number;
  readonly readMaxMs: number;
  readonly epochMaxMs: number;
  /** Maximum number of effects from the start of a process to its crash; Infinity: no crash. */
  readonly crashAfterMax: number;
  readonly failureChance: number;
  readonly fatalChance: number;
  readonly downMaxMs: number;
  /** How far the wall clock is set back or forward at times. */
  readonly wallJumpMs: number;
  /** The map's ports; `null`: the node has none. */
  readonly mapPorts: PortsOptions | null;
}

/** Breaks the wiring of a correct node, to verify that the simulation detects it. */
export interface PairSabotage extends MapSabotage {
  /** The weather in which the fault shows soon. */
  weather?(weather: PairWorldWeather): PairWorldWeather;
  pair?(node: PairNode): void;
  replication?(replication: Replication): void;
  disk?(store: NodeStore): NodeStore;
  /** The content of the epoch's disk when a write began. */
  epoch?(before: Persisted, next: Persisted): Persisted;
}

/** What a node depends on. */
export interface NodeSurroundings {
  readonly role: Role;
  readonly weather: PairWeather;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly tally: Tally;
  readonly wire: PeerWire;
  readonly witness: Witness;
  readonly mapWatch: MapWatch;
  /** The disk of the other node. */
  readonly peerDisk: () => MemoryDisk;
  readonly sabotage: PairSabotage;
  /** The events of the pair. */
  readonly told: (node: SimPairNode, event: PairEvent) => void;
  /** Its disk has changed. */
  readonly changed: (node: SimPairNode) => void;
}

const WALL_MS = 1_795_132_800_000;
const TURNS_AT_ONCE_MAX = 2000;
/** The duration of a disk write without faults. */
const HEALED_MS_MAX = 10;

/** Thrown at an effect: the process ends there. */
class Crash extends Error {}

interface Process extends Connected {
  readonly titanic: Titanic;
  readonly map: MapHost | null;
  readonly pair: PairNode;
  readonly turns: Companion;
  readonly link: WireEnd;
}

export class SimPairNode implements WatchedNode {
  readonly end: ProcessEnd;
  readonly role: Role;
  readonly disk: MemoryDisk;
  /** `null`: it has no map. */
  readonly ownMap: NodeMap | null;
  crashes = 0;
  wallMax = WALL_MS;
  readonly #in: NodeSurroundings;
  readonly #weather: PairWeather;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  #process: Process | null = null;
  #persisted: Persisted = { epoch: 0, wasActive: false };
  #persisting: Persisted | null = null;
  #effectsLeft = Infinity;
  #isHealed = false;
  #isPaused = false;
  /** Nothing reaches it, and it is not notified. */
  #isIsolated = false;
  /** Input that arrives while it is paused. */
  #waiting: { readonly process: Process; readonly part: () => void }[] = [];
  #isTurnDue = false;
  /** The broker asked for a vote since its last turn. */
  #isVoteOut = false;
  #now = 0;
  #timerAt = Infinity;
  #turnsAt = { time: -1, count: 0 };
  #wallOffset = 0;

  constructor(surroundings: NodeSurroundings) {
    this.#in = surroundings;
    this.role = surroundings.role;
    this.#weather = surroundings.weather;
    this.#clock = surroundings.clock;
    this.#random = surroundings.random;
    this.end = new ProcessEnd(this.#clock, {
      reached: () => (this.#isIsolated ? null : this.#process),
      enter: (part) => {
        const process = this.#process;
        if (process === null) return;
        this.#enter(process, () => {
          part(process);
        });
      },
      wake: () => {
        this.#wake();
      },
      note: (peer, what, frames) => {
        this.#in.trace.note(this.#clock.now, this.role, `> ${peer} ${what}`, frames);
      },
    });
    this.disk = new MemoryDisk({
      schedule: (call, run) => {
        this.#schedule(call, run);
      },
      faultOf: (call) => this.#faultOf(call),
    });
    this.ownMap = this.#mapOf(surroundings);
    this.start();
  }

  #mapOf({ weather, clock, mapWatch, sabotage }: NodeSurroundings): NodeMap | null {
    const { mapPorts } = weather;
    if (mapPorts === null) return null;
    return new NodeMap({
      ...{ clock, watch: mapWatch, ports: mapPorts, bytesMax: Infinity, node: this, sabotage },
      host: {
        isReached: () => !this.#isIsolated && this.#process !== null,
        enter: (part) => {
          if (this.#process !== null) this.#enter(this.#process, part);
        },
        effect: () => {
          this.#effect();
        },
        note: (what, frames) => {
          this.#in.trace.note(clock.now, this.role, what, frames);
        },
      },
    });
  }

  get #wall(): number {
    return WALL_MS + this.#clock.now + this.#wallOffset;
  }

  /** The earliest possible wall time now, however the clock is set. */
  get wallLeast(): number {
    return WALL_MS + this.#clock.now - this.#weather.wallJumpMs;
  }

  get name(): string {
    return this.role;
  }

  get mayAnswer(): boolean {
    const facts = this.#process?.pair.machine.facts;
    return facts?.state === 'active' && !facts.fenced;
  }

  /** What it shows of the map survives any failure of one node (D21). */
  get isFixing(): boolean {
    const pair = this.#process?.pair.machine;
    const isSync = this.#weather.config.titanic.replication !== 'async';
    return isSync && pair?.isInSync === true && !pair.facts.promoted;
  }

  disks(): readonly (readonly MapRecord[])[] {
    const own = this.disk.mapRecords;
    return this.isFixing ? [own, this.#in.peerDisk().mapRecords] : [own];
  }

  get pair(): PairNode | null {
    return this.#process?.pair ?? null;
  }

  get titanic(): Titanic | null {
    return this.#process?.titanic ?? null;
  }

  get isUp(): boolean {
    return this.#process !== null;
  }

  get isAwake(): boolean {
    return this.#process !== null && !this.#isPaused;
  }

  get isServing(): boolean {
    return this.#process?.broker.admission === 'serving';
  }

  get epoch(): number {
    return this.#persisted.epoch;
  }

  /** No faults from now on. */
  heal(): void {
    this.#isHealed = true;
    this.#isIsolated = false;
    this.#effectsLeft = Infinity;
    this.resume();
    if (this.#process === null) this.start();
  }

  // ---------------------------------------------------------------- life and death

  /** Starts a process on the disks, if none runs. */
  start(): void {
    if (this.#process !== null) return;
    const { weather, wire, sabotage } = this.#in;
    const { config } = weather;
    const random = (target: Buffer): void => {
      this.#random.fill(target);
    };
    let pair: PairNode | null = null;
    const sink = {
      ...this.#messages.sink,
      vote: () => {
        this.#isVoteOut = true;
        pair?.voted();
      },
    };
    this.#effectsLeft = Infinity;
    this.#isTurnDue = false;
    this.#isVoteOut = false;
    this.#timerAt = Infinity;
    const broker = new Broker(weather.broker, sink, { emit: () => {} }, random);
    const wake = (): void => {
      this.#wake();
    };
    const time = { now: () => this.#clock.now, wall: () => this.#wall };
    const fatal = (): void => {
      this.#clock.after(this.#random.int(0, 2), () => {
        if (this.#process === process) this.crash();
      });
    };
    const reports = new StoreReports(wake, time, fatal);
    const opened = this.disk.openNow(this.#checked(reports));
    const store = this.#counted(sabotage.disk?.(opened.store) ?? opened.store);
    const events = {
      emit: (event: PairEvent) => {
        this.#in.told(this, event);
      },
    };
    const mode = config.titanic.replication;
    const replication = new Replication(mode, store, opened.recovered, events);
    sabotage.replication?.(replication);
    const { services } = broker.counters.requests;
    const quiet = { emit: () => {} };
    const titanic = new Titanic(config.titanic, store, replication, quiet, random, services);
    replication.serve(titanic);
    reports.titanic = titanic;
    this.#now = this.#clock.now;
    titanic.setTime(this.#now, this.#wall);
    broker.host(new Mmi(() => this.#status()));
    broker.host(titanic);
    broker.setInternalClient(titanic);
    titanic.counted(opened.recovered.counts);
    const map = this.#openMap(store, replication, reports);
    pair = new PairNode({
      config: { ...config, bstar: { ...config.bstar, role: this.role } },
      broker,
      wake,
      epochs: this.#epochs(),
      keys: () => Buffer.alloc(16),
      stored: { titanic, replication },
      served: map === null ? [] : [map],
      events,
      now: this.#now,
    });
    const node = pair;
    if (map !== null) {
      map.voted = () => {
        node.voted();
      };
      map.isFenced = () => node.isFenced;
    }
    sabotage.pair?.(pair);
    const turns = turnsOf(broker, { titanic, pair, served: map === null ? [] : [map] }, time);
    const link = wire.open(this.role, {
      events: pair,
      isAwake: () => this.isAwake,
      enter: (part) => {
        this.#enter(process, part);
      },
    });
    const process = { broker, titanic, map, pair, turns, link, peers: new Map(), links: [] };
    this.#process = process;
    pair.attach(this.#countedLink(link));
    this.#note('starts');
    const { crashAfterMax } = weather;
    const mayCrash = !this.#isHealed && crashAfterMax < Infinity;
    this.#effectsLeft = mayCrash ? this.#random.int(1, crashAfterMax) : Infinity;
    if (map !== null) {
      this.#enter(process, () => {
        map.machine.open();
      });
    }
    this.#wake();
  }

  #openMap(store: NodeStore, replication: Replication, reports: StoreReports): MapHost | null {
    const map = this.ownMap?.open({
      replica: replication.map,
      store,
      wake: () => {
        this.#wake();
      },
    });
    if (map === undefined) return null;
    reports.map = map.machine;
    replication.serveMap(map.machine);
    return map;
  }

  #status(): BrokerStatus {
    const { state, epoch } = present(this.#process, 'who answers runs').pair.machine.facts;
    return {
      ...{ version: '0', uptimeMs: 0, node: this.role, role: this.role, state, epoch, limits: {} },
      ...{
        extensions: ['hello', 'submit', 'wait'],
        pairHeartbeatMs: this.#weather.config.bstar.heartbeatIntervalMs,
        http: null,
        publicUrl: null,
        events: null,
        map: null,
      },
    };
  }

  #counted(store: NodeStore): NodeStore {
    const effect = (): void => {
      this.#effect();
    };
    return new Proxy(store, {
      get: (target, name) => {
        effect();
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  #countedLink(link: WireEnd): WireEnd {
    const send = link.send.bind(link);
    link.send = (message) => {
      this.#effect();
      this.#note(`says ${message.kind}`);
      send(message);
    };
    return link;
  }

  #epochs(): EpochStore {
    return {
      persisted: this.#persisted,
      persist: (state, done) => {
        this.#effect();
        const process = this.#process;
        this.#persisting = state;
        this.#clock.after(this.#random.int(0, this.#weather.epochMaxMs), () => {
          if (this.#process !== process || process === null) return;
          this.#persist(state);
          this.#persisting = null;
          this.#enter(process, done);
        });
      },
      whole: () => undefined,
    };
  }

  #persist(state: Persisted): void {
    const next = this.#in.sabotage.epoch?.(this.#persisted, state) ?? state;
    hold(next.epoch >= this.#persisted.epoch, 'an epoch goes back on the disk');
    this.#persisted = next;
  }

  #effect(): void {
    if (--this.#effectsLeft <= 0) throw new Crash();
  }

  /** Kills the process. */
  crash(): void {
    const process = this.#process;
    if (process === null) return;
    this.crashes++;
    this.#in.tally.fault('node crashes');
    this.#process = null;
    this.#isPaused = false;
    this.#waiting = [];
    this.#messages.clear();
    this.#note('ends');
    this.disk.crash();
    // Whether the write in progress reached the disk is random.
    if (this.#persisting !== null && this.#random.chance(0.5)) this.#persist(this.#persisting);
    this.#persisting = null;
    for (const link of process.links) link?.end();
    this.ownMap?.close();
    this.#in.wire.leave(this.role);
    this.#clock.after(this.#random.int(0, this.#weather.downMaxMs), () => {
      this.start();
    });
  }

  /** Pauses it, with or without its other threads. */
  pause(): void {
    if (!this.isAwake || this.#isHealed) return;
    this.#in.tally.fault('node stands still');
    this.#note('stands still');
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#note('goes on');
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { process, part } of waiting) this.#enter(process, part);
    this.#live(() => {
      this.#wake();
    });
  }

  /** Runs an action in a process: at once, or when it next takes a turn. */
  #enter(process: Process, part: () => void): void {
    if (this.#process !== process) return;
    if (this.#isPaused) this.#waiting.push({ process, part });
    else this.#live(part);
  }

  /** Runs a part of the process, which may end in it. */
  #live(part: () => void): void {
    if (this.#process === null) return;
    try {
      part();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.crash();
    }
    this.ownMap?.look();
  }

  // ---------------------------------------------------------------- the loop, as broker/io/loop.ts

  #wake(): void {
    const process = this.#process;
    if (this.#isTurnDue || process === null) return;
    this.#isTurnDue = true;
    this.#now = this.#clock.now;
    this.#setWall();
    process.turns.setTime(this.#now);
    this.#clock.after(this.#random.int(0, this.#weather.turnDelayMaxMs), () => {
      this.#enter(process, () => {
        this.#turn(process);
      });
    });
  }

  /** The counts of each service are right whenever the store has reported its commits. */
  #checked(reports: StoreReports): NodeStoreEvents {
    const counted = reports.counted.bind(reports);
    return Object.assign(reports, {
      counted: (counts: StoreCounts) => {
        counted(counts);
        this.#in.changed(this);
        if (this.titanic !== null) {
          checkServices(this.titanic.figures.services.all(), this.disk.entries);
        }
      },
    });
  }

  #turn({ broker, turns, titanic }: Process): void {
    this.#isTurnDue = false;
    this.#now = this.#clock.now;
    const { time, count } = this.#turnsAt;
    this.#turnsAt = { time: this.#now, count: time === this.#now ? count + 1 : 0 };
    hold(count < TURNS_AT_ONCE_MAX, 'it does not come to rest');
    this.#setWall();
    let more = broker.run(this.#now);
    turns.run(this.#now);
    if (broker.run(this.#now)) more = true;
    hold(!this.#isVoteOut || broker.admission !== 'voting', 'a vote is decided within its turn');
    this.#isVoteOut = false;
    const dueInMs = turns.dueInMs(this.#now);
    hold(titanic.figures.inFlight <= this.#weather.config.titanic.maxInFlight, 'too many are out');
    if (more || dueInMs === 0) this.#wake();
    this.#arm(Math.min(broker.nextRunAt(), this.#now + dueInMs));
  }

  #arm(at: number): void {
    const process = this.#process;
    if (at >= this.#timerAt || process === null || at === Infinity) return;
    this.#timerAt = at;
    this.#clock.at(Math.ceil(at), () => {
      if (this.#process !== process || this.#timerAt !== at) return;
      this.#enter(process, () => {
        this.#timerAt = Infinity;
        this.#wake();
      });
    });
  }

  #setWall(): void {
    const { wallJumpMs } = this.#weather;
    if (wallJumpMs > 0 && !this.#isHealed && this.#random.chance(0.01)) {
      this.#wallOffset = this.#random.int(-wallJumpMs, wallJumpMs);
      this.#in.tally.fault('clock is set');
    }
    this.wallMax = Math.max(this.wallMax, this.#wall);
  }

  // ---------------------------------------------------------------- the disk

  #schedule(call: StoreCall, run: () => void): void {
    const process = this.#process;
    const { commitMaxMs, readMaxMs } = this.#weather;
    const isWrite = call === 'commit' || call === 'merge';
    const most = Math.min(
      isWrite ? commitMaxMs : readMaxMs,
      this.#isHealed ? HEALED_MS_MAX : Infinity,
    );
    const delay = call === 'reported' ? 0 : this.#random.int(0, most);
    this.#clock.after(delay, () => {
      // The disk's thread may write while the loop is paused.
      const isOnItsOwn = isWrite && this.#isPaused && this.#process === process;
      if (isOnItsOwn) run();
      else if (process !== null) this.#enter(process, run);
    });
  }

  #faultOf(call: StoreCall): StoreFault | null {
    const { failureChance, fatalChance } = this.#weather;
    if (this.#isHealed || this.#isPaused || call === 'reported') return null;
    const isWrite = call === 'commit' || call === 'merge';
    if (isWrite && this.#random.chance(fatalChance)) {
      const failure: StoreFailure = { kind: 'fatal', message: 'fsync failed' };
      this.#in.tally.fault('store fatal');
      return { failure, isApplied: this.#random.chance(0.5) };
    }
    if (!this.#random.chance(failureChance)) return null;
    const kind = isWrite && this.#random.chance(0.5) ? 'full' : 'busy';
    this.#in.tally.fault(isWrite ? `store ${kind}` : 'store cannot read');
    return { failure: { kind, message: kind === 'full' ? 'no space left' : 'locked' } };
  }

  // ---------------------------------------------------------------- from the network

  /** Clients and workers no longer reach it, and it is not notified. */
  isolate(isIsolated: boolean): void {
    this.#isIsolated = isIsolated;
    if (!isIsolated) return;
    this.#note('is cut off');
    for (const link of this.#process?.links ?? []) link?.cut(this.#random.chance(0.5), true);
    this.ownMap?.ports.cut(this.#random.chance(0.5));
  }

  // ---------------------------------------------------------------- operators

  /** Gives the node a command, if its process runs and is not paused. */
  order(give: (pair: PairNode) => void): void {
    const process = this.#process;
    if (process === null || this.#isPaused) return;
    this.#live(() => {
      this.#wake();
      give(process.pair);
    });
  }

  // ---------------------------------------------------------------- effects

  readonly #messages = new WholeMessages({
    effect: () => {
      this.#effect();
    },
    sent: (peer, frames, bytes) => {
      const process = this.#process;
      if (process === null) return;
      this.#in.trace.note(this.#clock.now, this.role, `< ${peer}`, frames);
      const { machine } = process.pair;
      this.#in.witness.sent(frames, machine.isInSync, machine.facts.promoted);
      process.links[peer]?.write(frames, bytes);
    },
    closed: (peer) => {
      this.#process?.links[peer]?.end();
    },
  });

  #note(what: string): void {
    this.#in.trace.note(this.#clock.now, this.role, what);
  }
}
