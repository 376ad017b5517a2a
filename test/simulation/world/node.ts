/**
 * A simulated node, standalone or of a pair: broker, Titanic, map and store, of a pair also epoch and
 * link, wired and run as in the daemon. Its process can end between any two effects, and can be
 * paused; its disks survive it.
 */
import { Broker } from '../../../src/broker/broker.js';
import type { Companion } from '../../../src/broker/io/loop.js';
import type { BrokerOptions, ServiceLimits } from '../../../src/broker/options.js';
import type { BrokerSink } from '../../../src/broker/sink.js';
import type { PairEvent } from '../../../src/bstar/pair-events.js';
import type { Persisted, Role } from '../../../src/bstar/facts.js';
import type { Config } from '../../../src/config/config.js';
import { present } from '../../../src/core/assert.js';
import type { MapHost } from '../../../src/extensions/map/host.js';
import { type EpochStore, PairNode } from '../../../src/node/pair.js';
import { StoreReports } from '../../../src/node/store-reports.js';
import { turnsOf } from '../../../src/node/turns.js';
import { Mmi } from '../../../src/mmi/mmi.js';
import { Replication } from '../../../src/bstar/replication/replication.js';
import { Standalone } from '../../../src/bstar/replication/standalone.js';
import type { NodeRecovered, NodeStore, NodeStoreEvents } from '../../../src/store/node-store.js';
import { MAP_PART } from '../../../src/extensions/map/part.js';
import { mapStorage } from '../../../src/extensions/map/storage.js';
import type { RankedReplica } from '../../../src/store/ranked.js';
import type { Replica } from '../../../src/titanic/machine/requests/replica.js';
import type { StoreCounts, StoreFailure } from '../../../src/store/store.js';
import type { TitanicOptions } from '../../../src/titanic/machine/requests/options.js';
import { Titanic } from '../../../src/titanic/machine/titanic.js';
import type { BrokerStatus } from '../../../src/wire/mmi-answers.js';
import type { StoreCall, StoreFault } from '../../../src/testing/memory-store.js';
import { MemoryDisk } from '../../support/memory-disk.js';
import type { MapRecord } from '../../../src/extensions/map/machine/record.js';
import type { Tally } from '../actors/tally.js';
import { mapRecords } from '../../support/map-rows.js';
import { type MapSabotage, NodeMap } from '../map/node-map.js';
import type { PortsOptions } from '../map/ports.js';
import type { MapWatch, WatchedNode } from '../map/watch.js';
import { checkServices } from '../stored/cast.js';
import { LimitWatch } from '../stored/limits.js';
import type { SimClock } from './clock.js';
import { hold } from './failure.js';
import { type Connected, ProcessEnd } from './process-end.js';
import type { SimRandom } from './random.js';
import type { Trace } from './trace.js';
import { WholeMessages } from './whole-messages.js';
import type { PeerWire, WireEnd } from '../pair/peer-wire.js';
import type { Witness } from '../pair/witness.js';

export interface NodeWeather {
  readonly broker: BrokerOptions;
  readonly titanic: TitanicOptions;
  readonly turnDelayMaxMs: number;
  readonly commitMaxMs: number;
  readonly readMaxMs: number;
  /** Maximum number of effects from the start of a process to its crash; Infinity: no crash. */
  readonly crashAfterMax: number;
  /** Of a write. */
  readonly failureChance: number;
  readonly readFailureChance: number;
  readonly fatalChance: number;
  readonly downMaxMs: number;
  /** How far the wall clock is set back or forward at times. */
  readonly wallJumpMs: number;
  /** Those of each service, whose requests have groups; absent: requests have none. */
  readonly limits?: ServiceLimits | null;
  /** The map's ports; `null`: the node has none. */
  readonly mapPorts: PortsOptions | null;
  /** `limits.mapBytes`. */
  readonly mapBytesMax: number;
}

/** Breaks the wiring of a correct node, to verify that the simulation detects it. */
export interface NodeSabotage extends MapSabotage {
  /** Before its begin is watched. */
  broker?(broker: Broker, weather: NodeWeather): void;
  titanic?(titanic: Titanic): void;
  disk?(store: NodeStore, disk: MemoryDisk): NodeStore;
  /** Of a standalone node: the epoch of its map in the next process. */
  mapEpoch?(epoch: number): number;
  /** The following are of a pair. */
  pair?(node: PairNode): void;
  replication?(replication: Replication): void;
  /** The content of the epoch's disk when a write began. */
  epoch?(before: Persisted, next: Persisted): Persisted;
}

/** What makes it a node of a pair. */
export interface Pairing {
  readonly role: Role;
  readonly config: Config;
  readonly epochMaxMs: number;
  readonly wire: PeerWire;
  readonly witness: Witness;
  /** The disk of the other node. */
  readonly peerDisk: () => MemoryDisk;
  /** The events of the pair. */
  readonly told: (node: SimNode, event: PairEvent) => void;
}

/** What a node depends on. */
export interface NodeSurroundings {
  /** `null`: it is standalone. */
  readonly pairing: Pairing | null;
  readonly weather: NodeWeather;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly tally: Tally;
  readonly mapWatch: MapWatch;
  readonly sabotage: NodeSabotage;
  /** Its disk has changed. */
  readonly changed: (node: SimNode) => void;
  /** A worker is sent a request for the first time. */
  readonly started?: (node: SimNode, key: string) => void;
}

const WALL_MS = 1_795_132_800_000;
/** D110: a larger difference is a step, which ends nothing for so long. */
const STEP_MS = 5000;
const HOLD_MS = 60_000;
const TURNS_AT_ONCE_MAX = 2000;
/** The duration of a disk write without faults. */
const HEALED_MS_MAX = 10;
const QUIET = { emit: () => {} };

/** Thrown at an effect: the process ends there. */
class Crash extends Error {}

interface Process extends Connected {
  readonly titanic: Titanic;
  readonly map: MapHost | null;
  /** `null`: a standalone node. */
  readonly pair: PairNode | null;
  readonly turns: Companion;
}

/** What a pair is made for. */
interface Machines extends Pick<Process, 'broker' | 'titanic' | 'map'> {
  readonly replication: Replication;
}

/** What the machines of a process commit through. */
interface Replicas {
  readonly replica: Replica;
  readonly map: RankedReplica;
  /** `null`: a standalone node. */
  readonly replication: Replication | null;
}

/** The map's records and tombstones. */
function mapOn(disk: MemoryDisk): readonly MapRecord[] {
  return mapRecords(disk.ranked(MAP_PART.number));
}

export class SimNode implements WatchedNode {
  readonly end: ProcessEnd;
  readonly name: string;
  readonly disk: MemoryDisk;
  /** `null`: it has no map. */
  readonly ownMap: NodeMap | null;
  crashes = 0;
  failures = 0;
  wallMax = WALL_MS;
  /** The latest by which anything may have ended by time (D110). */
  endsMax = WALL_MS;
  /** Until when, by its wall clock, a fault hinders it at least. */
  hinderedUntil = -Infinity;
  /** Deliveries by the first frame of the body. */
  readonly deliveries = new Map<string, number>();
  readonly #in: NodeSurroundings;
  readonly #weather: NodeWeather;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  #process: Process | null = null;
  /** Of its process. */
  #limitWatch = new LimitWatch(null, 0);
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
  /** The offset when the process last read the clock. */
  #readOffset = 0;
  /** Until when a step of the clock ends nothing (D110). */
  #heldUntil = -Infinity;
  /** The time to which it was set then. */
  #heldFrom = 0;
  #mapEpoch = 0;

  constructor(surroundings: NodeSurroundings) {
    this.#in = surroundings;
    this.name = surroundings.pairing?.role ?? 'node';
    this.#weather = surroundings.weather;
    this.#clock = surroundings.clock;
    this.#random = surroundings.random;
    this.end = new ProcessEnd(this.#clock, {
      reached: () => (this.#isIsolated ? null : this.#process),
      enter: (part) => {
        const process = this.#process;
        if (process === null) return;
        this.#enter(process, () => part(process));
      },
      wake: () => this.#wake(),
      note: (peer, what, frames) => {
        this.#in.trace.note(this.#clock.now, this.name, `> ${peer} ${what}`, frames);
      },
      heard: (peer, intent) => this.#limitWatch.heard(peer, intent),
    });
    this.disk = new MemoryDisk({
      schedule: (call, run) => this.#schedule(call, run),
      faultOf: (call) => this.#faultOf(call),
    });
    this.ownMap = this.#mapOf(surroundings);
    this.start();
  }

  #mapOf({ weather, clock, mapWatch, sabotage }: NodeSurroundings): NodeMap | null {
    const { mapPorts, mapBytesMax: bytesMax } = weather;
    if (mapPorts === null) return null;
    return new NodeMap({
      ...{ clock, watch: mapWatch, ports: mapPorts, bytesMax, node: this, sabotage },
      host: {
        isReached: () => !this.#isIsolated && this.#process !== null,
        enter: (part) => {
          if (this.#process !== null) this.#enter(this.#process, part);
        },
        effect: () => this.#effect(),
        note: (what, frames) => this.#in.trace.note(clock.now, this.name, what, frames),
      },
    });
  }

  get wall(): number {
    return WALL_MS + this.#clock.now + this.#wallOffset;
  }

  /** The earliest possible wall time now, however the clock is set. */
  get wallLeast(): number {
    return WALL_MS + this.#clock.now - this.#weather.wallJumpMs;
  }

  get mayAnswer(): boolean {
    if (this.#in.pairing === null) return this.#process?.map?.machine.isServing ?? false;
    const facts = this.pair?.machine.facts;
    return facts?.state === 'active' && !facts.fenced;
  }

  /** What it shows of the map survives any failure of one node (D21). */
  get isFixing(): boolean {
    const { pairing } = this.#in;
    if (pairing === null) return true;
    const pair = this.pair?.machine;
    const isSync = pairing.config.titanic.replication !== 'async';
    return isSync && pair?.isInSync === true && !pair.facts.promoted;
  }

  /** The map's records and tombstones on its disk. */
  get mapOnDisk(): readonly MapRecord[] {
    return mapOn(this.disk);
  }

  disks(): readonly (readonly MapRecord[])[] {
    const own = this.mapOnDisk;
    const { pairing } = this.#in;
    return pairing !== null && this.isFixing ? [own, mapOn(pairing.peerDisk())] : [own];
  }

  get pair(): PairNode | null {
    return this.#process?.pair ?? null;
  }

  get map(): MapHost | null {
    return this.#process?.map ?? null;
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
    const { wallJumpMs } = this.#weather;
    if (wallJumpMs > STEP_MS) {
      // In the end the clock is right: nothing was stored with a later time. A wait that was counted from a wrong one ends.
      this.#wallOffset = wallJumpMs;
      if (this.#in.pairing === null) this.crash();
    }
    if (this.#process === null) this.start();
  }

  // ---------------------------------------------------------------- life and death

  /** Starts a process on the disks, if none runs. */
  start(): void {
    if (this.#process !== null) return;
    const { weather, sabotage } = this.#in;
    const random = (target: Buffer): void => this.#random.fill(target);
    this.#effectsLeft = Infinity;
    this.#isTurnDue = false;
    this.#isVoteOut = false;
    this.#timerAt = Infinity;
    const broker = this.#newBroker(random);
    const wake = (): void => this.#wake();
    const time = { now: () => this.#clock.now, wall: () => this.#readWall() };
    this.#readOffset = this.#wallOffset;
    this.#heldUntil = -Infinity;
    const fatal = (): void => {
      this.#clock.after(this.#random.int(0, 2), () => {
        if (this.#process === process) this.crash();
      });
    };
    const reports = new StoreReports(wake, time, fatal);
    const { store: bare, recovered } = this.disk.openNow(this.#checked(reports));
    if (this.#in.pairing === null) this.#checkEnds(bare);
    const store = this.#counted(sabotage.disk?.(bare, this.disk) ?? bare);
    const replicas = this.#replicasOf(store, recovered);
    const { replica, replication } = replicas;
    const { services } = broker.counters.requests;
    const titanic = new Titanic(weather.titanic, store, replica, QUIET, random, services);
    sabotage.titanic?.(titanic);
    replication?.serve(titanic);
    reports.titanic = titanic;
    this.#now = this.#clock.now;
    titanic.setTime(this.#now, time.wall());
    broker.internals.all.push(new Mmi(broker.listing, () => this.#status()));
    broker.internals.all.push(titanic);
    broker.storedDeliveries.attach(titanic);
    titanic.counted(recovered.counts);
    titanic.opened(recovered.newestAt);
    const map = this.#openMap(store, recovered, replicas, reports);
    const served = map === null ? [] : [map];
    const pair = replication === null ? null : this.#pairOf({ broker, titanic, map, replication });
    const turns = turnsOf(broker, { titanic, pair, served }, time);
    const process = { broker, titanic, map, pair, turns, peers: new Map(), links: [] };
    this.#process = process;
    if (pair === null) {
      if (weather.limits !== undefined) broker.begin(this.#now);
      titanic.activate();
    } else pair.attach(this.#linkOf(process, pair));
    this.#note('starts');
    const { crashAfterMax } = weather;
    const mayCrash = !this.#isHealed && crashAfterMax < Infinity;
    this.#effectsLeft = mayCrash ? this.#random.int(1, crashAfterMax) : Infinity;
    if (map !== null) {
      this.#enter(process, () => {
        map.machine.open();
        if (pair === null) map.activate(this.#nextMapEpoch(recovered));
      });
    }
    this.#wake();
  }

  #newBroker(random: (target: Buffer) => void): Broker {
    const { weather, sabotage } = this.#in;
    const { heartbeatIntervalMs, heartbeatLiveness } = weather.broker;
    const { limits = null } = weather;
    const watch = new LimitWatch(limits, heartbeatIntervalMs * heartbeatLiveness);
    this.#limitWatch = watch;
    const broker = new Broker(
      weather.broker,
      this.#sink(),
      { emit: (each) => watch.told(each) },
      random,
    );
    broker.setServiceLimits(() => limits);
    sabotage.broker?.(broker, weather);
    const begin = broker.begin.bind(broker);
    broker.begin = (now) => {
      watch.begins(now);
      begin(now);
    };
    return broker;
  }

  #replicasOf(store: NodeStore, recovered: NodeRecovered): Replicas {
    const { pairing, sabotage } = this.#in;
    if (pairing === null) {
      const replica = new Standalone(store, recovered.firstTransaction);
      return { replica, map: replica.partIn(store, MAP_PART.number), replication: null };
    }
    const mode = pairing.config.titanic.replication;
    const replication = new Replication(mode, store, recovered, this.#pairEvents(pairing));
    sabotage.replication?.(replication);
    return { replica: replication, map: replication.partReplica(MAP_PART.number), replication };
  }

  #pairEvents({ told }: Pairing): { emit(event: PairEvent): void } {
    return {
      emit: (event) => told(this, event),
    };
  }

  #nextMapEpoch({ epochMax }: NodeRecovered): number {
    this.#mapEpoch = Math.max(this.#mapEpoch, epochMax) + 1;
    return this.#in.sabotage.mapEpoch?.(this.#mapEpoch) ?? this.#mapEpoch;
  }

  #pairOf({ broker, titanic, map, replication }: Machines): PairNode {
    const pairing = present(this.#in.pairing, 'it is of a pair');
    const { config, role } = pairing;
    const pair = new PairNode({
      config: { ...config, bstar: { ...config.bstar, role } },
      broker,
      wake: () => this.#wake(),
      epochs: this.#epochs(pairing),
      keys: () => Buffer.alloc(16),
      listenerKeys: () => Buffer.alloc(32),
      stored: { titanic, replication },
      served: map === null ? [] : [map],
      events: this.#pairEvents(pairing),
      now: this.#now,
    });
    if (map !== null) {
      map.voted = () => pair.voted();
      map.isFenced = () => pair.isFenced;
    }
    this.#in.sabotage.pair?.(pair);
    return pair;
  }

  #linkOf(process: Process, pair: PairNode): WireEnd {
    const { role, wire } = present(this.#in.pairing, 'it is of a pair');
    const link = wire.open(role, {
      events: pair,
      isAwake: () => this.isAwake,
      enter: (part) => this.#enter(process, part),
    });
    const send = link.send.bind(link);
    link.send = (message) => {
      this.#effect();
      this.#note(`says ${message.kind}`);
      send(message);
    };
    return link;
  }

  #openMap(
    store: NodeStore,
    recovered: NodeRecovered,
    replicas: Replicas,
    reports: StoreReports,
  ): MapHost | null {
    const { number } = MAP_PART;
    const storage = mapStorage(
      {
        replica: replicas.map,
        list: (after, completion) => store.listRanked(number, after, completion),
        epochMax: recovered.epochMax,
        tombstones: recovered.parts.find(({ part }) => part === number) ?? {
          ...{ part: number, count: 0, keyBytes: 0 },
        },
        serve: (part) => {
          reports.parts.set(number, part);
          replicas.replication?.parts.set(number, part);
        },
      },
      (key) => hold(false, `the map cannot read its own record of ${key}`),
    );
    const map = this.ownMap?.open({
      replica: storage.replica,
      store: storage.store,
      wake: () => this.#wake(),
    });
    if (map === undefined) return null;
    storage.serve(map.machine);
    return map;
  }

  #status(): BrokerStatus {
    const { pairing } = this.#in;
    const facts = this.pair?.machine.facts;
    const { state, epoch } = facts ?? { state: 'active', epoch: 0 };
    const role = pairing?.role ?? 'standalone';
    return {
      ...{ version: '0', uptimeMs: 0, node: this.name, role, state, epoch, limits: {} },
      ...{
        extensions: ['hello', 'submit', 'wait'],
        pairHeartbeatMs: pairing?.config.bstar.heartbeatIntervalMs ?? 0,
        http: null,
        publicUrl: null,
        events: null,
        map: null,
      },
    };
  }

  #counted(store: NodeStore): NodeStore {
    const effect = (): void => this.#effect();
    return new Proxy(store, {
      get: (target, name) => {
        effect();
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  /** While a step of its clock holds it, a standalone node decides about no end by time (D110). */
  #checkEnds(store: NodeStore): void {
    const commit = store.commit.bind(store);
    store.commit = (transaction, changes, completion) => {
      for (const change of changes) {
        const at = change.kind === 'expire' ? change.at : change.kind === 'sweep' ? change.now : 0;
        const isNew = this.isHeld && this.#heldFrom <= at && at <= this.wall;
        hold(!isNew, `the clock was set, and a change ends something: ${change.kind}`);
      }
      commit(transaction, changes, completion);
    };
  }

  #epochs({ epochMaxMs }: Pairing): EpochStore {
    return {
      persisted: this.#persisted,
      persist: (state, done) => {
        this.#effect();
        const process = this.#process;
        this.#persisting = state;
        this.#clock.after(this.#random.int(0, epochMaxMs), () => {
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
    const { pairing } = this.#in;
    this.crashes++;
    this.#in.tally.fault('node crashes');
    this.#process = null;
    this.#isPaused = false;
    this.#waiting = [];
    this.#messages.clear();
    this.#note('ends');
    this.#hinders();
    this.disk.crash();
    this.#in.changed(this);
    // Whether the write in progress reached the disk is random.
    if (this.#persisting !== null && this.#random.chance(0.5)) this.#persist(this.#persisting);
    this.#persisting = null;
    for (const link of process.links) link?.end();
    this.ownMap?.close();
    if (pairing !== null) pairing.wire.leave(pairing.role);
    this.#clock.after(this.#random.int(0, this.#weather.downMaxMs), () => this.start());
  }

  #hinders(): void {
    this.hinderedUntil = Math.max(this.hinderedUntil, this.wall);
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
    this.#live(() => this.#wake());
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
      this.#enter(process, () => this.#turn(process));
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
          checkServices(this.titanic.figures.services.services.values(), this.disk.entries);
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
    this.#limitWatch.passes(this.#now);
    let more = broker.run(this.#now);
    turns.run(this.#now);
    if (broker.run(this.#now)) more = true;
    hold(!this.#isVoteOut || broker.admission !== 'voting', 'a vote is decided within its turn');
    this.#isVoteOut = false;
    const dueInMs = turns.dueInMs(this.#now);
    const { figures } = titanic;
    let services = 0;
    let out = 0;
    for (const { service } of figures.services.services.values()) {
      services++;
      out += figures.openOf(service).out;
    }
    const most = this.#weather.titanic.maxInFlight + Math.max(0, services - 1);
    hold(figures.inFlight <= most, 'too many are out');
    hold(out === figures.delivered, 'what is out of each service is what is out');
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
    this.wallMax = Math.max(this.wallMax, this.wall);
  }

  /** Its clock was set, which ends nothing. */
  get isHeld(): boolean {
    return this.#clock.now < this.#heldUntil;
  }

  /** The process reads its clock. */
  #readWall(): number {
    const { now } = this.#clock;
    if (Math.abs(this.#wallOffset - this.#readOffset) > STEP_MS) {
      this.#heldUntil = now + HOLD_MS;
      this.#heldFrom = this.wall;
    }
    this.#readOffset = this.#wallOffset;
    if (now >= this.#heldUntil) this.endsMax = Math.max(this.endsMax, this.wall);
    return this.wall;
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
    if (this.#isHealed || this.#isPaused || call === 'reported') return null;
    const fault = this.#drawFault(call === 'commit' || call === 'merge');
    if (fault === null) return null;
    this.failures++;
    this.#hinders();
    return fault;
  }

  #drawFault(isWrite: boolean): StoreFault | null {
    const { failureChance, readFailureChance, fatalChance } = this.#weather;
    if (isWrite && this.#random.chance(fatalChance)) {
      const failure: StoreFailure = { kind: 'fatal', message: 'fsync failed' };
      this.#in.tally.fault('store fatal');
      return { failure, isApplied: this.#random.chance(0.5) };
    }
    if (!this.#random.chance(isWrite ? failureChance : readFailureChance)) return null;
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
    const { pair } = this;
    if (pair === null || this.#isPaused) return;
    this.#live(() => {
      this.#wake();
      give(pair);
    });
  }

  // ---------------------------------------------------------------- effects

  #sink(): BrokerSink {
    return {
      ...this.#messages.sink,
      vote: () => {
        this.#isVoteOut = true;
        this.pair?.voted();
      },
    };
  }

  readonly #messages = new WholeMessages({
    effect: () => this.#effect(),
    sent: (peer, frames, bytes) => {
      const process = this.#process;
      if (process === null) return;
      this.#in.trace.note(this.#clock.now, this.name, `< ${peer}`, frames);
      const machine = process.pair?.machine;
      if (machine !== undefined) {
        const { witness } = present(this.#in.pairing, 'it is of a pair');
        witness.sent(frames, machine.isInSync, machine.facts.promoted);
      }
      process.links[peer]?.write(frames, bytes);
    },
    closed: (peer) => this.#process?.links[peer]?.end(),
    delivered: (key, peer, token) => {
      this.#limitWatch.delivered(key, peer, token);
      const before = this.deliveries.get(key) ?? 0;
      if (before === 0) this.#in.started?.(this, key);
      this.deliveries.set(key, before + 1);
    },
  });

  #note(what: string): void {
    this.#in.trace.note(this.#clock.now, this.name, what);
  }
}
