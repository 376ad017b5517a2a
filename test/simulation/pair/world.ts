/**
 * A pair with its clients and workers from one seed: faults occur until it heals; then one node is
 * active, both stores are equal, and every promise was kept.
 */
import type { PairEvent } from '../../../src/bstar/pair-events.js';
import type { Role } from '../../../src/bstar/facts.js';
import type { Surroundings } from '../actors/line.js';
import { Tally } from '../actors/tally.js';
import {
  CASTS,
  checkOwners,
  clientHabits,
  type Services,
  type WorkersHere,
} from '../stored/cast.js';
import { MapStage } from '../map/stage.js';
import { MapWatch } from '../map/watch.js';
import { ScheduleStage } from '../schedules/stage.js';
import { DurableStage } from '../stored/stage.js';
import { INTERVAL_MS, PLENTY } from '../stored/weather.js';
import { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { SimNetwork } from '../world/network.js';
import { SimNode } from '../world/node.js';
import { SimRandom } from '../world/random.js';
import { Trace } from '../world/trace.js';
import { differenceOf } from './difference.js';
import { count } from './figures.js';
import { PeerWire } from './peer-wire.js';
import { isCalm, type PairSabotage, type PairWorldWeather, weatherOf } from './weather.js';
import { Witness } from './witness.js';

const DURATION_MS = 6000;
const HEALED_MS = 30_000;
const STEP_MS = 250;
const SCHEDULERS_MAX = 2;
const SCHEDULING_ONE_IN = 25;
/** What a fault has delayed is tried again within this time. */
const RECOVERS_MS = 7000;
/** A disk as slow as this stores everything before the next second. */
const QUICK_COMMIT_MS = 50;
/** After a link fault or a pause, both nodes may serve for this long. */
const SPLIT_MS_MAX = 10 * INTERVAL_MS;
/** Longer than a node knows uuids. */
const STALLED_MS_MAX = 16_000;
const MISCHIEF: WorkersHere['mischief'] = [
  'returns',
  'fails',
  'quits',
  'crashes',
  'loses its connection',
  'answers twice',
  'never answers',
  'sends garbage',
];
/** Probability of each fault, at each occasion. */
const CHANCES: WorkersHere['chances'] = [0, 0.1, 0.4];
const ROLES: readonly [Role, Role] = ['primary', 'backup'];

export class PairWorld {
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly weather: PairWorldWeather;
  readonly #clock = new SimClock();
  readonly #random: SimRandom;
  readonly #wire: PeerWire;
  readonly #witness: Witness;
  readonly #nodes: Readonly<Record<Role, SimNode>>;
  readonly #around: Readonly<Record<Role, Surroundings>>;
  readonly #services: Services;
  readonly #stage: DurableStage;
  readonly #schedules: ScheduleStage;
  #isStaged = false;
  readonly #mapWatch = new MapWatch();
  /** `null`: the nodes have no map. */
  readonly #map: MapStage | null;
  /** Epochs in which a node was active. */
  readonly #epochs = new Set<number>();
  /** Until when a fault separates or pauses the nodes. */
  #disturbedUntil = -Infinity;
  /** Until when something that writers of the map sent stands still. */
  #stalledUntil = -Infinity;
  #disturbances = 0;

  constructor(seed: number, isTraced = false, sabotage: PairSabotage = {}) {
    this.#random = new SimRandom(seed);
    this.trace = new Trace(isTraced);
    const weather = weatherOf(this.#random.fork(1));
    this.weather = sabotage.weather?.(weather) ?? weather;
    this.#witness = new Witness(this.weather.replication);
    const pipe = { delayMinMs: 0, delayMaxMs: this.weather.linkDelayMaxMs };
    this.#wire = new PeerWire(this.#clock, this.#random.fork(2), {
      ...pipe,
      heartbeatIntervalMs: INTERVAL_MS,
    });
    const node = (role: Role, label: number): SimNode =>
      new SimNode({
        pairing: {
          ...{ role, wire: this.#wire, witness: this.#witness },
          config: this.weather.config,
          epochMaxMs: this.weather.epochMaxMs,
          peerDisk: () => this.#nodes[role === 'primary' ? 'backup' : 'primary'].disk,
          told: (told, event) => this.#told(told, event),
        },
        weather: this.weather,
        clock: this.#clock,
        random: this.#random.fork(label),
        trace: this.trace,
        tally: this.tally,
        mapWatch: this.#mapWatch,
        sabotage,
        changed: (changed) => {
          // A node may crash in its first start, before there is a stage.
          if (this.#isStaged) this.#schedules.look(changed, changed.disk.entries);
        },
      });
    this.#nodes = { primary: node('primary', 3), backup: node('backup', 4) };
    const net = { ...pipe, delayMaxMs: 5, noticeMaxMs: INTERVAL_MS, outputBytesMax: PLENTY };
    const around = (role: Role): Surroundings => ({
      clock: this.#clock,
      network: new SimNetwork(this.#clock, net, this.#nodes[role].end),
      trace: this.trace,
      tally: this.tally,
      heartbeatIntervalMs: INTERVAL_MS,
      tokens: [],
    });
    this.#around = { primary: around('primary'), backup: around('backup') };
    const cast = this.#random.fork(5);
    this.#services = cast.pick(CASTS);
    this.#stage = new DurableStage({
      ...{ clock: this.#clock, wall: this.#wall, titanic: this.weather.titanic },
      workers: { services: this.#services, mischief: MISCHIEF, chances: CHANCES },
      startsWithinMs: DURATION_MS / 2,
    });
    for (let index = cast.int(1, 3); index > 0; index--) this.#addClient(index, cast);
    for (const role of ROLES) {
      for (let index = cast.int(1, 3); index > 0; index--) {
        this.#stage.addWorker(`${role[0] ?? ''}w${index}`, cast, this.#around[role]);
      }
    }
    for (const [place, role] of ROLES.entries()) {
      this.#stage.addSpies(this.#random, 2 * place, role, () => this.#around[role], true);
    }
    this.#schedules = this.#addSchedules(this.#random.fork(7));
    this.#isStaged = true;
    this.#map = this.#addMap(this.#random.fork(8));
    this.#plan(this.#random.fork(6));
    this.#watch();
  }

  /** Runs the faults and the healing, and checks that every promise was kept. */
  run(): void {
    this.#clock.runUntil(DURATION_MS);
    for (const role of ROLES) this.#wire.resume(role);
    for (const role of ROLES) this.#nodes[role].heal();
    for (const client of this.#stage.clients) client.rest();
    this.#stage.heal((service, index) => {
      for (const role of ROLES) {
        const random = this.#random.fork(50 + index);
        this.#stage.addWorker(`healer${index}`, random, this.#around[role], service);
      }
    });
    for (const until of this.#schedules.heal(true)) this.#clock.runUntil(until);
    const until = this.#clock.now + HEALED_MS;
    for (let open = this.#open(); open !== null; open = this.#open()) {
      hold(this.#clock.now < until, `not over: ${open}`);
      this.#clock.runUntil(this.#clock.now + STEP_MS);
    }
    this.#checkPromises();
    this.#clock.runUntil(Math.max(this.#clock.now, this.#stalledUntil));
    this.#map?.heal();
    if (this.weather.events.stalls > 0) this.#mapWatch.ends(this.#nodes.primary.mapOnDisk);
    if (this.#map === null) return;
    count(this.tally, 'acknowledged map changes', this.#map.acknowledged);
    for (const [what, times] of Object.entries(this.#mapWatch.figures)) {
      count(this.tally, `map: ${what}`, times);
    }
  }

  /** What has not completed yet after all faults have healed; `null` for nothing. */
  #open(): string | null {
    const { primary, backup } = this.#nodes;
    for (const client of this.#stage.clients) {
      if (!client.isSatisfied) return JSON.stringify(client.jobs);
    }
    const parted = this.#parted();
    if (parted !== null) return parted;
    const active = primary.isServing ? primary : backup;
    if (active.titanic?.isSettled !== true) return 'the active is not settled';
    if (active.disk.content().requests.some(({ request }) => request.state === 'pending')) {
      return 'a request is pending';
    }
    return differenceOf(primary.disk.content(), backup.disk.content());
  }

  /** Why the nodes are not yet one active and one passive node with the same content. */
  #parted(): string | null {
    const { primary, backup } = this.#nodes;
    const states = [primary, backup].map((node) => node.pair?.machine.facts.state ?? 'down');
    if (states.sort().join() !== 'active,passive') return `the nodes are ${states.join(' and ')}`;
    const active = primary.isServing ? primary : backup;
    return active.pair?.machine.isInSync === true ? null : 'the peer is not in sync';
  }

  #checkPromises(): void {
    const { disk } = this.#nodes.primary;
    this.#stage.check(disk.entries, disk.lookUp.bind(disk), () => {
      count(this.tally, 'checked receipts');
    });
  }

  // ---------------------------------------------------------------- what the pair says

  #told(node: SimNode, event: PairEvent): void {
    const what = 'text' in event ? event.text : JSON.stringify(event);
    this.trace.note(this.#clock.now, node.name, `tells ${event.name} ${what}`);
    switch (event.name) {
      case 'ha.changed':
        this.#changed(event);
        return;
      case 'ha.split':
        count(this.tally, 'splits');
        hold(this.#disturbances > 0, 'both were active, though nothing parted them');
        return;
      case 'ha.merged':
        this.#witness.merges++;
        count(this.tally, 'merges');
        count(this.tally, 'requests joined', event.fromPeer + event.toPeer);
        count(this.tally, 'requests run twice', event.ranTwice);
        return;
      default:
    }
  }

  #changed({ from, to, epoch, reason }: Extract<PairEvent, { readonly name: 'ha.changed' }>): void {
    const isNew = to === 'joining' || (to === 'active' && from !== 'joining');
    if (!isNew) return;
    hold(!this.#epochs.has(epoch), `epoch ${epoch} is led with twice (D13)`);
    // Both were down, and the one that comes back first knows nothing of the last term (D21).
    if (epoch < Math.max(...this.#epochs)) this.#mapWatch.isSplit = true;
    this.#epochs.add(epoch);
    if (reason.startsWith('promoted')) count(this.tally, 'promotions');
    else if (reason.includes('a client sent a request')) {
      hold(!isCalm(this.weather), 'failed over, though nothing was wrong');
      count(this.tally, 'failovers');
    } else if (reason.includes('hands over')) count(this.tally, 'hand-overs');
  }

  /**
   * Both serve at once only after a cut, stall or pause, and not for long once they can
   * communicate.
   */
  #watch(): void {
    this.#clock.after(INTERVAL_MS / 10, () => this.#watch());
    const { primary, backup } = this.#nodes;
    for (const node of [primary, backup]) {
      checkOwners(node.disk.entries);
      this.#schedules.look(node, node.disk.entries);
    }
    if (!primary.isServing || !backup.isServing) return;
    const { now } = this.#clock;
    hold(now < this.#disturbedUntil + SPLIT_MS_MAX, 'both serve, though nothing parts them');
  }

  // ---------------------------------------------------------------- what is done to it

  #plan(random: SimRandom): void {
    const { events } = this.weather;
    const some = (times: number, what: () => void): void => {
      for (let left = times; left > 0; left--) {
        this.#clock.after(random.int(0, DURATION_MS), what);
      }
    };
    const role = (): Role => random.pick(ROLES);
    some(events.crashes, () => this.#nodes[role()].crash());
    some(events.returns, () => {
      const passive = ROLES.find((each) => !this.#nodes[each].isServing);
      if (passive !== undefined && ROLES.some((each) => this.#nodes[each].isServing)) {
        this.#nodes[passive].crash();
      }
    });
    some(events.pauses, () => this.#pause(this.#nodes[role()], random));
    some(events.cuts, () => this.#cut(random));
    some(events.isolations, () => {
      const node = this.#nodes[role()];
      this.tally.fault('clients are cut off');
      node.isolate(true);
      this.#clock.after(random.int(0, 20 * INTERVAL_MS), () => node.isolate(false));
    });
    some(events.switchovers, () => this.#handOver());
    some(events.stalls, () => this.#stall(role(), random));
    some(events.promotions, () => {
      const [node, peer] = random.chance(0.5) ? ROLES : [ROLES[1], ROLES[0]];
      if (this.#nodes[peer].isUp) return;
      this.#nodes[node].order((pair) => void pair.commands.promote());
    });
  }

  /** What writers sent to this node arrives late; sometimes the other one has handed over just then. */
  #stall(role: Role, random: SimRandom): void {
    const ports = this.#nodes[role].ownMap?.ports;
    const ms = random.int(0, STALLED_MS_MAX);
    this.#stalledUntil = Math.max(this.#stalledUntil, this.#clock.now + ms);
    this.tally.fault("the map's writers are stalled");
    ports?.stallWriters();
    if (random.chance(0.5)) {
      this.#clock.after(random.int(0, ms), () => ports?.writers.cut(true));
    }
    this.#clock.after(ms, () => {
      ports?.resumeWriters();
      if (random.chance(0.5)) this.#handOver();
    });
  }

  #handOver(): void {
    for (const role of ROLES) this.#nodes[role].order((pair) => void pair.commands.switchover());
  }

  #disturb(forMs: number): void {
    this.#disturbances++;
    this.#mapWatch.isSplit = true;
    this.#disturbedUntil = Math.max(this.#disturbedUntil, this.#clock.now + forMs);
  }

  #pause(node: SimNode, random: SimRandom): void {
    const ms = random.int(INTERVAL_MS / 2, INTERVAL_MS * 5);
    this.#disturb(ms);
    node.pause();
    this.#clock.after(ms, () => node.resume());
  }

  #cut(random: SimRandom): void {
    const how = random.pick([
      'is broken',
      'is stalled',
      'to primary is stalled',
      'to backup is stalled',
    ]);
    this.tally.fault(`link ${how}`);
    this.trace.note(this.#clock.now, 'link', how);
    const ms = random.int(0, random.pick([5, 30]) * INTERVAL_MS);
    this.#disturb(ms);
    if (how === 'is broken') {
      this.#wire.breakOff();
      return;
    }
    const stalled = ROLES.filter((role) => !how.startsWith('to ') || how.includes(role));
    for (const role of stalled) this.#wire.stall(role);
    this.#clock.after(ms, () => {
      this.trace.note(this.#clock.now, 'link', 'heals');
      for (const role of stalled) this.#wire.resume(role);
    });
  }

  // ---------------------------------------------------------------- who takes part

  #addMap(random: SimRandom): MapStage | null {
    const { primary, backup } = this.#nodes;
    if (primary.ownMap === null || backup.ownMap === null) return null;
    const world = {
      ...{ clock: this.#clock, trace: this.trace, watch: this.#mapWatch, isTight: false },
      nodes: [primary.ownMap.ports, backup.ownMap.ports],
      disks: () => [primary.mapOnDisk, backup.mapOnDisk],
      unsettled: () => this.#parted(),
      takeOver: () => this.#handOver(),
    };
    return new MapStage(world, random, DURATION_MS / 2);
  }

  #addSchedules(random: SimRandom): ScheduleStage {
    const { primary, backup } = this.#nodes;
    const { wallJumpMs, commitMaxMs, readMaxMs, events } = this.weather;
    const mayMiss = !isCalm(this.weather) || events.returns > 0 || commitMaxMs > QUICK_COMMIT_MS;
    const isOne = (): boolean => this.#witness.merges === 0 && this.#epochs.size <= 1;
    const wall = this.#wall;
    const world = {
      ...{ clock: this.#clock, services: this.#services, schedulersMax: SCHEDULERS_MAX },
      ...{ oneIn: SCHEDULING_ONE_IN, dialChance: 0, recoversMs: RECOVERS_MS },
      isWhole: () => this.#parted() === null,
      disks: () => [primary.disk.entries, backup.disk.entries],
      watched: () => ({
        isSteady: wallJumpMs === 0 && isOne(),
        freeSince: mayMiss || readMaxMs > QUICK_COMMIT_MS ? Infinity : -Infinity,
        requestsMax: isOne() ? 1 : Infinity,
        mayBeTwins: !isOne(),
      }),
      wall: () => (wallJumpMs === 0 ? wall.wallLeast : null),
      wallMax: () => wall.wallMax,
    };
    return new ScheduleStage(world, random, (own) => this.#both(own), DURATION_MS / 2);
  }

  /** A client of either node. */
  #both(random: SimRandom): { around: Surroundings; turnElsewhere: () => void } {
    let at: Role = random.pick(ROLES);
    const all = this.#around;
    const around: Surroundings = {
      ...all.primary,
      get network() {
        return all[at].network;
      },
    };
    const turnElsewhere = (): void => {
      at = at === 'primary' ? 'backup' : 'primary';
    };
    return { around, turnElsewhere };
  }

  #addClient(index: number, random: SimRandom): void {
    const some = clientHabits(random, this.#services, [150, 600], DURATION_MS);
    const habits = { ...some, isGrouped: this.weather.limits !== undefined };
    const { around, turnElsewhere } = this.#both(random);
    const pairing = { witness: this.#witness, turnElsewhere, isShared: false };
    const saysHello = random.chance(0.5);
    this.#stage.addClient(index, random, habits, around, { ...pairing, saysHello });
  }

  get #wall(): { readonly wallLeast: number; readonly wallMax: number; readonly endsMax: number } {
    const { primary, backup } = this.#nodes;
    return {
      get wallLeast() {
        return Math.min(primary.wallLeast, backup.wallLeast);
      },
      get wallMax() {
        return Math.max(primary.wallMax, backup.wallMax);
      },
      get endsMax() {
        return Math.max(primary.endsMax, backup.endsMax);
      },
    };
  }
}
