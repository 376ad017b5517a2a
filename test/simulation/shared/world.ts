/**
 * Brokers on one database, with their clients and workers, from one seed: the database goes away,
 * connections break, brokers are paused, cut off and killed; then everything heals, and every
 * promise is kept.
 */
import type { SharedStore } from '../../../src/bstar/replication/shared-store.js';
import type { OtherSession } from '../../../src/extensions/postgres/session.js';
import type { Tables } from '../../../src/extensions/postgres/tables.js';
import type { ClaimedRequest } from '../../../src/store/store.js';
import type { Titanic } from '../../../src/titanic/machine/titanic.js';
import type { Surroundings } from '../actors/line.js';
import { Tally } from '../actors/tally.js';
import { MISCHIEF } from '../actors/worker.js';
import { CERTAIN } from '../pair/witness.js';
import {
  CASTS,
  checkOwners,
  clientHabits,
  type Services,
  type WorkersHere,
} from '../stored/cast.js';
import { ScheduleStage } from '../schedules/stage.js';
import { DurableStage } from '../stored/stage.js';
import { INTERVAL_MS, PLENTY } from '../stored/weather.js';
import { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { SimNetwork } from '../world/network.js';
import { SimRandom } from '../world/random.js';
import { Trace } from '../world/trace.js';
import { ALL_CONDITIONS, type Conditions } from './database.js';
import { checkEnd, ClaimWatch, leftAt, miscountOf } from './invariants.js';
import { SharedNode } from './node.js';
import type { Link } from './sim-tables.js';
import { DatabaseServer } from './server.js';
import { isCalm, type SharedWeather, weatherOf } from './weather.js';

const DURATION_MS = 6000;
const HEALED_MS = 60_000;
const STEP_MS = 250;
/**
 * How long after the last change the brokers' counts may be old: a hundred times what counting took, in which a broker
 * may have been paused.
 */
const COUNTED_MS = 400_000;
const SCHEDULERS_MAX = 2;
const SCHEDULING_ONE_IN = 5;
/** Schedulers go from broker to broker. */
const SCHEDULER_DIALS: readonly [number, ...number[]] = [0, 0.1, 0.5];
/** After the faults, what was under way comes to its end within this time. */
const QUIET_MS = 5000;
/**
 * What a fault has delayed is tried again within this time: a broker learns with its next batch, or
 * its next sweep, of a schedule that it has stored after all.
 */
const RECOVERS_MS = 14_000;
/** Without faults nothing is late. */
const RECOVERS_CALM_MS = 1000;
/** Probability of a fault of a worker, at each occasion. */
const CHANCES: WorkersHere['chances'] = [0, 0.1, 0.4];

/** Breaks what is correct, to verify that the simulation detects it. */
export interface SharedSabotage {
  readonly conditions?: Partial<Conditions>;
  /** Each connection of a broker to the store. */
  tables?(tables: Tables): void;
  titanic?(titanic: Titanic): void;
  replica?(replica: SharedStore): void;
  claimed?(request: ClaimedRequest): ClaimedRequest;
  /** The weather in which the fault shows soon. */
  weather?(weather: SharedWeather): SharedWeather;
}

export class SharedWorld {
  readonly tally = new Tally();
  readonly trace: Trace;
  readonly weather: SharedWeather;
  readonly #clock = new SimClock();
  readonly #random: SimRandom;
  readonly #sabotage: SharedSabotage;
  readonly #server: DatabaseServer;
  readonly #links: Link[] = [];
  readonly #nodes: SharedNode[] = [];
  readonly #arounds: Surroundings[] = [];
  readonly #watch: ClaimWatch;
  readonly #services: Services;
  readonly #stage: DurableStage;
  readonly #schedules: ScheduleStage;
  /** Virtual time; Infinity: it is not. */
  #healedAt = Infinity;
  /** How many transactions the database had when it was last looked at. */
  #looked = -1;

  constructor(seed: number, isTraced = false, sabotage: SharedSabotage = {}) {
    this.#random = new SimRandom(seed);
    this.#sabotage = sabotage;
    this.trace = new Trace(isTraced);
    const weather = weatherOf(this.#random.fork(1));
    this.weather = sabotage.weather?.(weather) ?? weather;
    const conditions = { ...ALL_CONDITIONS, ...sabotage.conditions };
    this.#server = new DatabaseServer(this.#clock, conditions);
    this.#watch = new ClaimWatch(this.#server, this.weather.leaseMs, this.#nodes, this.#clock);
    for (let n = 0; n < this.weather.brokers; n++) this.#addNode(n);
    const cast = this.#random.fork(3);
    this.#services = cast.pick(CASTS);
    this.#stage = new DurableStage({
      ...{ clock: this.#clock, wall: this.#wall, titanic: this.weather.titanic },
      workers: { services: this.#services, mischief: MISCHIEF, chances: CHANCES },
      startsWithinMs: DURATION_MS / 2,
    });
    for (let index = cast.int(2, 4); index > 0; index--) this.#addClient(index, cast);
    for (let n = 0; n < this.weather.brokers; n++) {
      for (let index = cast.int(0, 3); index > 0; index--) {
        this.#addWorker(`n${n}w${index}`, n, cast);
      }
    }
    this.#stage.addSpies(this.#random, 0, '', (own) => this.#anywhere(own.fork(1)), false);
    this.#schedules = this.#addSchedules(this.#random.fork(7));
    const { database } = this.#server;
    database.abortChance = this.weather.abortChance;
    database.postponeChance = this.weather.postponeChance;
    database.changed = () => this.#schedules.look(database, database.rows);
    this.#plan(this.#random.fork(6));
    this.#look();
  }

  /** Runs the faults and the healing, and checks that every promise was kept. */
  async run(): Promise<void> {
    await this.#clock.drainUntil(DURATION_MS);
    this.#heal();
    for (const until of this.#schedules.heal(true)) await this.#clock.drainUntil(until);
    const until = this.#clock.now + HEALED_MS;
    for (let open = this.#open(); open !== null; open = this.#open()) {
      hold(this.#clock.now < until, `not over: ${open}`);
      await this.#clock.drainUntil(this.#clock.now + STEP_MS);
    }
    this.#checkPromises();
    await this.#untilCounted();
    checkEnd(this.#server.database);
  }

  get #isHealed(): boolean {
    return this.#healedAt < Infinity;
  }

  #heal(): void {
    this.#healedAt = this.#clock.now;
    this.trace.note(this.#clock.now, 'world', 'heals');
    if (!this.#server.isUp) this.#server.comeUp();
    const { database } = this.#server;
    database.refuses = () => false;
    database.abortChance = 0;
    for (const link of this.#links) {
      mend(link);
      link.isHealed = true;
    }
    for (const node of this.#nodes) node.heal();
    for (const client of this.#stage.clients) client.rest();
    // A worker at any broker serves the clients of all.
    this.#stage.heal((service, index) => {
      const random = this.#random.fork(50 + index);
      this.#addWorker(`healer${index}`, random.int(0, this.#nodes.length - 1), random, service);
    });
  }

  /** What has not completed yet after all faults have healed; `null` for nothing. */
  #open(): string | null {
    for (const client of this.#stage.clients) {
      if (!client.isSatisfied) return JSON.stringify(client.jobs);
    }
    const [pending] = this.#server.database.pending;
    if (pending !== undefined) {
      const claim = this.#server.database.claimOf(pending.uuid);
      return `${pending.uuid.toString('hex')} is pending: ${JSON.stringify(claim)}`;
    }
    const unsettled = this.#nodes.find(({ titanic }) => titanic?.isSettled !== true);
    if (unsettled !== undefined) return `${unsettled.name} is not settled`;
    return leftAt(this.#server.database, this.#nodes);
  }

  /** A broker counts again and again what the others change, too. */
  async #untilCounted(): Promise<void> {
    const until = this.#clock.now + COUNTED_MS;
    for (;;) {
      const wrong = miscountOf(this.#server.database, this.#nodes);
      if (wrong === null) return;
      hold(this.#clock.now < until, wrong);
      await this.#clock.drainUntil(this.#clock.now + STEP_MS);
    }
  }

  #checkPromises(): void {
    const { database } = this.#server;
    this.#stage.check(database.rows, database.find.bind(database));
  }

  // ---------------------------------------------------------------- what is done to it

  #plan(random: SimRandom): void {
    const { events } = this.weather;
    const { database } = this.#server;
    const some = (times: number, what: () => void): void => {
      for (let left = times; left > 0; left--) {
        this.#clock.after(random.int(0, DURATION_MS), () => {
          if (!this.#isHealed) what();
        });
      }
    };
    const later = (ms: number, what: () => void): void => {
      this.#clock.after(ms, () => {
        if (!this.#isHealed) what();
      });
    };
    const ms = (): number => this.#faultMs(random);
    const place = (): number => random.int(0, this.#nodes.length - 1);
    some(events.outages, () => {
      if (!this.#server.isUp) return;
      this.#fault('database goes away');
      this.#server.goDown();
      later(ms(), () => {
        this.trace.note(this.#clock.now, 'world', 'database is back');
        this.#server.comeUp();
      });
    });
    some(events.cuts, () => {
      const link = this.#links[place()];
      if (link !== undefined) this.#cut(link);
    });
    some(events.pauses, () => {
      const node = this.#nodes[place()];
      if (node === undefined || node.isPaused) return;
      this.#fault('broker is paused');
      node.pause(random.chance(0.7));
      later(ms(), () => node.resume());
    });
    some(events.lockers, () => {
      const rows = database.pending.filter(() => random.chance(0.5)).map(({ uuid }) => uuid);
      if (rows.length === 0) return;
      this.#fault('rows are locked');
      this.#server.holds(0, rows, this.#clock.now + ms());
    });
    some(events.refusals, () => {
      const [of, which] = [random.int(2, 8), random.word()];
      this.#fault('rows are refused');
      const { refuses } = database;
      database.refuses = (uuid) => ((uuid.at(-1) ?? 0) + which) % of === 0;
      later(ms(), () => {
        database.refuses = refuses;
      });
    });
    some(events.kills, () => this.#nodes[place()]?.kill());
  }

  /** For a short time, or for longer than a lease. */
  #faultMs(random: SimRandom): number {
    const { leaseMs } = this.weather;
    return random.int(1, random.pick([leaseMs / 2, leaseMs * 3]));
  }

  #cut(link: Link): void {
    if (link.isCut || this.#isHealed) return;
    this.#fault('broker is cut off');
    link.isCut = true;
    this.#clock.after(this.#faultMs(this.#random), () => mend(link));
  }

  #fault(what: string): void {
    this.tally.fault(what);
    this.trace.note(this.#clock.now, 'world', what);
  }

  #look(): void {
    this.#clock.after(INTERVAL_MS / 10, () => this.#look());
    const { database } = this.#server;
    if (database.transactions === this.#looked) return;
    this.#looked = database.transactions;
    checkOwners(database.rows);
    this.#watch.look();
  }

  // ---------------------------------------------------------------- who takes part

  #addNode(n: number): void {
    const { weather } = this;
    const { tables } = this.#sabotage;
    const link: Link = {
      ...{ server: this.#server, weather: weather.link, isCut: false, isHealed: false },
      ...{ statements: 0, processes: new Set(), deaf: new Set() },
      cut: () => this.#cut(link),
    };
    const node = new SharedNode({
      name: `n${n}`,
      weather,
      clock: this.#clock,
      random: this.#random.fork(20 + n),
      trace: this.trace,
      tally: this.tally,
      link,
      wallOffsetMs: weather.wallOffsetsMs[n] ?? 0,
      ...(tables === undefined ? {} : { broken: tables }),
      made: (titanic, replica) => {
        this.#sabotage.titanic?.(titanic);
        this.#sabotage.replica?.(replica);
      },
      claimed: (request) => this.#sabotage.claimed?.(request) ?? request,
      runs: (by, text) => this.#watch.runs(by, text),
      commits: (by, changes) => this.#watch.commits(by, changes),
      otherEnded: (by: SharedNode, other: OtherSession) => {
        this.#fault(`session of another is ended`);
        this.#watch.otherEnded(by, other);
      },
    });
    const net = { delayMinMs: 0, delayMaxMs: 5, noticeMaxMs: INTERVAL_MS, outputBytesMax: PLENTY };
    this.#links.push(link);
    this.#nodes.push(node);
    this.#arounds.push({
      clock: this.#clock,
      network: new SimNetwork(this.#clock, net, node.end),
      trace: this.trace,
      tally: this.tally,
      heartbeatIntervalMs: INTERVAL_MS,
      tokens: [],
    });
  }

  /** Every connection goes to any broker. */
  #anywhere(random: SimRandom): Surroundings {
    const all = this.#arounds;
    const [first] = all;
    hold(first !== undefined, 'there is a broker');
    return {
      ...first,
      get network() {
        return (all[random.int(0, all.length - 1)] ?? first).network;
      },
    };
  }

  get #wall(): { readonly wallLeast: number; readonly endsMax: number } {
    const { leaseMs } = this.weather;
    const nodes = this.#nodes;
    const server = this.#server;
    return {
      // A broker knows the clock of the database as of its last renewal.
      get wallLeast() {
        return server.wall - leaseMs;
      },
      get endsMax() {
        return Math.max(server.wall, ...nodes.map(({ wallMax }) => wallMax));
      },
    };
  }

  #addClient(index: number, random: SimRandom): void {
    const habits = {
      ...clientHabits(random, this.#services, [150, 600], DURATION_MS),
      jobs: random.int(2, 12),
      cutChance: random.pick([0.02, 0.2]),
    };
    const around = this.#anywhere(random.fork(100 + index).fork(1));
    this.#stage.addClient(index, random, habits, around, {
      ...{ witness: CERTAIN, turnElsewhere: () => undefined, saysHello: false, isShared: true },
    });
  }

  #addSchedules(random: SimRandom): ScheduleStage {
    const clock = this.#clock;
    const server = this.#server;
    const dialChance = random.pick(SCHEDULER_DIALS);
    const recoversMs = isCalm(this.weather) ? RECOVERS_CALM_MS : RECOVERS_MS;
    const world = {
      ...{ clock, services: this.#services, schedulersMax: SCHEDULERS_MAX, dialChance, recoversMs },
      oneIn: SCHEDULING_ONE_IN,
      isWhole: () => this.#isWhole,
      disks: () => [server.database.rows],
      watched: () => ({
        ...{ isSteady: true, freeSince: this.#freeSince, requestsMax: 1, mayBeTwins: true },
      }),
      wall: () => server.wall,
      wallMax: () => this.#wall.endsMax,
    };
    const client = (own: SimRandom): { around: Surroundings; turnElsewhere: null } => ({
      ...{ around: this.#anywhere(own.fork(2)), turnElsewhere: null },
    });
    return new ScheduleStage(world, random, client, DURATION_MS / 2);
  }

  /** All brokers serve, and none of them has a command of before the healing. */
  get #isWhole(): boolean {
    const areServing = this.#nodes.every(({ hasSession, titanic }) => {
      return hasSession && titanic?.isSettled === true;
    });
    return areServing && this.#clock.now > this.#healedAt + QUIET_MS;
  }

  /** Since when, by the clock of the database, no fault has hindered a broker. */
  get #freeSince(): number {
    if (isCalm(this.weather)) return -Infinity;
    if (!this.#isHealed) return Infinity;
    return this.#server.wall - this.#clock.now + this.#healedAt + RECOVERS_MS;
  }

  #addWorker(name: string, place: number, random: SimRandom, only?: string): void {
    const around = this.#arounds[place];
    hold(around !== undefined, 'there is such a broker');
    this.#stage.addWorker(name, random, around, only);
  }
}

/** Messages get through again. */
function mend(link: Link): void {
  link.isCut = false;
  for (const broke of link.deaf) broke();
  link.deaf.clear();
}
