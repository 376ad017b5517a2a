/**
 * A broker of a fleet: broker, Titanic and its store in the shared database, wired as in the daemon. Its
 * process can end between any two effects, its threads can be paused, and it comes back with the
 * data directory that it had, or with another.
 */
import { Broker } from '../../../src/broker/broker.js';
import type { BrokerOptions } from '../../../src/broker/options.js';
import { present } from '../../../src/core/assert.js';
import { databaseAddressOf } from '../../../src/core/postgres-url.js';
import { SharedStore } from '../../../src/bstar/replication/shared-store.js';
import type { OpenPostgres, StoreReport } from '../../../src/extensions/postgres/postgres-store.js';
import type { OtherSession } from '../../../src/extensions/postgres/session.js';
import type { Tables } from '../../../src/extensions/postgres/tables.js';
import type { Recovered } from '../../../src/store/store.js';
import { ThreadStore, type ThreadStoreEvents } from '../../../src/store/thread/thread-store.js';
import type { TitanicOptions } from '../../../src/titanic/machine/requests/options.js';
import { Titanic } from '../../../src/titanic/machine/titanic.js';
import type { Change, ClaimedRequest, ClaimStore } from '../../../src/store/store.js';
import type { Tally } from '../actors/tally.js';
import type { SimClock } from '../world/clock.js';
import { hold, violated } from '../world/failure.js';
import { type Connected, ProcessEnd } from '../world/process-end.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import { WholeMessages } from '../world/whole-messages.js';
import { STORE_ID } from './database.js';
import { Gate } from './gate.js';
import type { Link } from './sim-tables.js';
import { SimThread, type ThreadHost } from './sim-thread.js';

export interface NodeWeather {
  readonly broker: BrokerOptions;
  readonly titanic: TitanicOptions;
  readonly leaseMs: number;
  readonly storeTimeoutMs: number;
  readonly turnDelayMaxMs: number;
  /** Maximum number of effects from the start of a process to its crash; Infinity: no crash. */
  readonly crashAfterMax: number;
  readonly downMaxMs: number;
  /** Probability that it comes back with another data directory. */
  readonly moveChance: number;
}

export interface NodeSurroundings {
  readonly name: string;
  readonly weather: NodeWeather;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly trace: Trace;
  readonly tally: Tally;
  readonly link: Link;
  /** How far its own wall clock is from that of the database. */
  readonly wallOffsetMs: number;
  readonly broken?: (tables: Tables) => void;
  readonly made: (titanic: Titanic, replica: SharedStore) => void;
  /** What its machines are told that they have claimed. */
  readonly claimed: (request: ClaimedRequest) => ClaimedRequest;
  /** A worker gets a request with this first frame. */
  readonly runs: (node: SharedNode, text: string) => void;
  readonly commits: (by: SharedNode, changes: readonly Change[]) => void;
  readonly otherEnded: (by: SharedNode, other: OtherSession) => void;
}

const TURNS_AT_ONCE_MAX = 2000;
const DIRECTORY_ID_BYTES = 16;
const NOTHING = { emit: () => {} };
/** Nothing is connected to. */
const ADDRESS = databaseAddressOf('postgresql://majordomo@127.0.0.1/db');

/** Thrown at an effect: the process ends there. */
class Crash extends Error {}

interface Process extends Connected {
  readonly store: ThreadStore<StoreReport>;
  /** Sessions that its thread has taken, of which its machines do not know yet. */
  readonly took: number[];
  /** What was last reported, also before its store is open. */
  renewed: { readonly sentAt: number; readonly offset: number } | null;
  /** `null` until its store is open. */
  serving: Serving | null;
}

interface Serving {
  readonly titanic: Titanic;
  readonly replica: SharedStore;
  /** The session that its machines know of. */
  session: number;
  /** The clock of the store minus the monotonic one. */
  clockOffset: number;
  renewedAt: number;
  isEnded: boolean;
}

export class SharedNode {
  readonly end: ProcessEnd;
  readonly name: string;
  /** The latest wall time that its machines were given. */
  wallMax = -Infinity;
  readonly #in: NodeSurroundings;
  readonly #clock: SimClock;
  readonly #random: SimRandom;
  readonly #machines: Gate;
  readonly #thread: Gate;
  #process: Process | null = null;
  #directoryId: Buffer;
  #effectsLeft = Infinity;
  #isTurnPlanned = Infinity;
  #turnsAt = { time: -1, count: 0 };
  #isHealed = false;

  constructor(surroundings: NodeSurroundings) {
    this.#in = surroundings;
    const { clock, random, trace, name } = surroundings;
    this.name = name;
    this.#clock = clock;
    this.#machines = new Gate(clock);
    this.#thread = new Gate(clock);
    this.#random = random;
    this.#directoryId = this.#newDirectoryId();
    this.end = new ProcessEnd(clock, {
      reached: () => ((this.#process?.serving ?? null) === null ? null : this.#process),
      enter: (part) => this.#enter(this.#process, part),
      wake: () => {
        this.#setTime();
        this.#plan(clock.now);
      },
      note: (peer, what, frames) => {
        trace.note(clock.now, `${name} peer ${peer}`, `> ${what}`, frames);
      },
    });
    this.#start();
  }

  get titanic(): Titanic | null {
    return this.#process?.serving?.titanic ?? null;
  }

  /** The session that its machines know of; `null`: they do not run. */
  get session(): number | null {
    return this.#process?.serving?.session ?? null;
  }

  get isPaused(): boolean {
    return this.#machines.isShut;
  }

  /** It was told that its session lasts, less than a lease ago. */
  get hasSession(): boolean {
    const serving = this.#process?.serving ?? null;
    if (serving === null || serving.isEnded) return false;
    return this.#clock.now < serving.renewedAt + this.#in.weather.leaseMs;
  }

  /** The wall time of its machines. */
  get wall(): number {
    const offset = this.#process?.serving?.clockOffset;
    const own = this.#in.link.server.wall + this.#in.wallOffsetMs;
    return offset === undefined ? own : Math.round(this.#clock.now + offset);
  }

  // ---------------------------------------------------------------- what is done to it

  heal(): void {
    this.#isHealed = true;
    this.#effectsLeft = Infinity;
    if (this.isPaused) this.resume();
  }

  kill(): void {
    if (this.#process !== null) this.#end(this.#process);
  }

  /** @param isWhole the whole process, not only the thread of the machines */
  pause(isWhole: boolean): void {
    this.#note(isWhole ? 'is paused' : 'stalls');
    this.#machines.shut();
    if (isWhole) this.#thread.shut();
  }

  resume(): void {
    this.#note('goes on');
    const gates = [this.#machines, this.#thread];
    if (this.#random.chance(0.5)) gates.reverse();
    const process = this.#process;
    for (const gate of gates) {
      if (process === this.#process) gate.open();
    }
    this.#plan(this.#clock.now);
  }

  // ---------------------------------------------------------------- life and death

  #newDirectoryId(): Buffer {
    const directoryId = Buffer.alloc(DIRECTORY_ID_BYTES);
    this.#random.fill(directoryId);
    return directoryId;
  }

  #note(what: string): void {
    this.#in.trace.note(this.#clock.now, this.name, what);
  }

  #start(): void {
    const { weather, link, name } = this.#in;
    const random = (target: Buffer): void => this.#random.fill(target);
    const broker = new Broker(weather.broker, this.#messages.sink, NOTHING, random);
    const started: { process: Process | null } = { process: null };
    const took: number[] = [];
    const message = (act: () => void) => (): void => {
      this.#setTime();
      act();
      this.#plan(this.#clock.now);
    };
    const host: ThreadHost = {
      clock: this.#clock,
      random: this.#random.fork(this.#random.word()),
      tally: this.#in.tally,
      later: (ms, action) => {
        this.#clock.after(ms, () => {
          if (this.#process === started.process) this.#thread.pass(action);
        });
      },
      tell: (act) => this.#clock.after(0, () => this.#enter(started.process, message(act))),
      took: (session) => took.push(session),
      otherEnded: (other) => this.#in.otherEnded(this, other),
      ...(this.#in.broken === undefined ? {} : { broken: this.#in.broken }),
    };
    hold(typeof ADDRESS !== 'string', 'an address');
    const open: OpenPostgres = {
      login: { address: ADDRESS, passwordFile: null, isLoopback: true },
      ...{ name: 'db', node: name, storeId: STORE_ID.toString('hex'), hints: true },
      ...{ timeoutMs: weather.storeTimeoutMs, leaseMs: weather.leaseMs },
      directoryId: this.#directoryId.toString('hex'),
    };
    const { thread } = new SimThread(open, link, host);
    const news = (report: StoreReport): void => this.#reported(started.process, report);
    const store = new ThreadStore({ thread, name, news }, this.#events(started));
    const process = {
      ...{ broker, store, took, renewed: null, serving: null, peers: new Map(), links: [] },
    };
    void store.opened.then(
      (recovered) =>
        this.#run(
          process,
          message(() => this.#opened(process, recovered)),
        ),
      () => this.#end(process),
    );
    started.process = process;
    this.#process = process;
    this.#effectsLeft = Infinity;
    this.#note('starts');
  }

  #events(started: { readonly process: Process | null }): ThreadStoreEvents {
    const titanic = (): Titanic => this.#servingOf(started.process).titanic;
    return {
      arrived: () => undefined,
      fatal: ({ message }) => violated(message),
      hinted: (hint) => titanic().hinted(hint),
      foundClaimed: (requests) => {
        this.#in.tally.fault('kept, though its batch failed');
        titanic().foundClaimed(requests);
      },
      taken: () => {
        const serving = this.#servingOf(started.process);
        serving.session = present(started.process?.took.shift(), 'a session that was taken');
        this.#note(`takes session ${serving.session}`);
        this.#in.tally.fault('session is taken anew');
        titanic().taken();
      },
      counted: (counts) => titanic().counted(counts),
    };
  }

  /** As `Database` in src/extensions/postgres/start.ts. */
  #reported(process: Process | null, report: StoreReport): void {
    const serving = process?.serving ?? null;
    switch (report.report) {
      case 'renewed': {
        const { sentAtMs: sentAt, storeMs } = report;
        if (process !== null) process.renewed = { sentAt, offset: storeMs - sentAt };
        if (serving === null) return;
        serving.replica.renewed(sentAt);
        serving.clockOffset = storeMs - sentAt;
        serving.renewedAt = Math.max(serving.renewedAt, sentAt);
        serving.isEnded = false;
        break;
      }
      case 'ended':
        this.#note('its session has ended');
        if (serving === null) return;
        serving.isEnded = true;
        serving.replica.ended();
        break;
      case 'lost':
        serving?.replica.lost();
        break;
      case 'returned':
        serving?.replica.returned();
        if (serving?.isEnded === false) serving.titanic.regained();
        break;
      case 'refused':
      case 'locked':
      case 'retried':
        this.#in.tally.fault(`${report.report} ${'reason' in report ? report.reason : ''}`.trim());
        break;
      case 'unread':
        violated(`${this.name} cannot read: ${report.text}`);
      default:
    }
  }

  #servingOf(process: Process | null): Serving {
    const serving = process?.serving ?? null;
    hold(serving !== null, 'its store has been opened');
    return serving;
  }

  #opened(process: Process, { counts, firstTransaction }: Recovered): void {
    const { weather } = this.#in;
    const { broker, store, took } = process;
    const session = present(took.shift(), 'a session that was taken');
    const { sentAt: renewedAt, offset: clockOffset } = present(process.renewed, 'it was renewed');
    const counted = {
      list: () => {
        throw new Error('the requests of a shared store are claimed');
      },
      commit: (...[transaction, changes, completion]: Parameters<ClaimStore['commit']>) => {
        this.#effect();
        this.#in.commits(this, changes);
        store.commit(transaction, changes, {
          done: (results) => completion.done(results),
          failed: (failure) => {
            this.#note(`batch fails: ${failure.message}`);
            completion.failed(failure);
          },
        });
      },
      load: (...args: Parameters<ClaimStore['load']>) => {
        this.#effect();
        store.load(...args);
      },
      lookUp: (...args: Parameters<ClaimStore['lookUp']>) => {
        this.#effect();
        store.lookUp(...args);
      },
      claim: (...[order, completion]: Parameters<ClaimStore['claim']>) => {
        this.#effect();
        store.claim(order, {
          done: (claimed) => {
            if (claimed.length > 0) this.#note(`claims ${claimed.length}`);
            completion.done(claimed.map(this.#in.claimed));
          },
          failed: (failure) => {
            this.#note(`claim fails: ${failure.message}`);
            completion.failed(failure);
          },
        });
      },
      listKept: (...args: Parameters<ClaimStore['listKept']>) => {
        this.#effect();
        store.listKept(...args);
      },
      hint: (...args: Parameters<ClaimStore['hint']>) => store.hint(...args),
    };
    const now = (): number => this.#clock.now;
    const replica = new SharedStore(
      counted,
      firstTransaction,
      weather.leaseMs,
      weather.storeTimeoutMs,
      now,
      renewedAt,
    );
    const random = (target: Buffer): void => this.#random.fill(target);
    const { services } = broker.counters.requests;
    const titanic = new Titanic(
      ...([weather.titanic, counted, replica, NOTHING, random, services, counted] as const),
    );
    this.#in.made(titanic, replica);
    process.serving = { titanic, replica, session, clockOffset, renewedAt, isEnded: false };
    this.#note(`serves with session ${session}`);
    this.#setTime();
    titanic.counted(counts);
    titanic.activate();
    broker.internals.all.push(titanic);
    broker.storedDeliveries.attach(titanic);
    const mayCrash = !this.#isHealed && weather.crashAfterMax < Infinity;
    this.#effectsLeft = mayCrash ? this.#random.int(1, weather.crashAfterMax) : Infinity;
  }

  #effect(): void {
    if (--this.#effectsLeft <= 0) throw new Crash();
  }

  /** Runs a part of the process, when its machines run; it may end in it. */
  #enter(process: Process | null, part: (process: Process) => void): void {
    if (process !== null) this.#machines.pass(() => this.#run(process, part));
  }

  #run(process: Process, part: (process: Process) => void): void {
    if (this.#process !== process) return;
    try {
      part(process);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#end(process);
    }
  }

  #end(process: Process): void {
    if (this.#process !== process) return;
    this.#in.tally.fault('broker ends');
    this.#note('ends');
    this.#process = null;
    const { server, processes } = this.#in.link;
    for (const id of processes) server.disconnected(id);
    processes.clear();
    this.#machines.clear();
    this.#thread.clear();
    this.#messages.clear();
    for (const link of process.links) link?.end();
    if (this.#random.chance(this.#in.weather.moveChance)) {
      this.#directoryId = this.#newDirectoryId();
    }
    this.#clock.after(this.#random.int(1, this.#in.weather.downMaxMs), () => this.#start());
  }

  // ---------------------------------------------------------------- turns

  #setTime(): void {
    const { wall } = this;
    this.wallMax = Math.max(this.wallMax, wall);
    this.titanic?.setTime(this.#clock.now, wall);
  }

  #plan(wanted: number): void {
    if (wanted === Infinity) return;
    const delay = this.#random.int(0, this.#in.weather.turnDelayMaxMs);
    const at = Math.max(wanted, this.#clock.now) + delay;
    if (this.#isTurnPlanned <= at) return;
    this.#isTurnPlanned = at;
    this.#clock.at(at, () => {
      if (this.#isTurnPlanned !== at) return;
      this.#isTurnPlanned = Infinity;
      this.#enter(this.#process, () => this.#turn());
    });
  }

  #turn(): void {
    const process = this.#process;
    if (process === null) return;
    const { now } = this.#clock;
    this.#turnsAt = { time: now, count: this.#turnsAt.time === now ? this.#turnsAt.count + 1 : 0 };
    hold(this.#turnsAt.count < TURNS_AT_ONCE_MAX, `${this.name} does not come to rest`);
    const { broker, serving } = process;
    this.#setTime();
    while (broker.run(now));
    serving?.titanic.run(now, this.wall, broker.internalRequests, broker.storedDeliveries);
    while (broker.run(now));
    const titanicDueMs = serving?.titanic.dueInMs(now, this.wall) ?? Infinity;
    this.#plan(Math.min(broker.nextRunAt(), now + titanicDueMs));
  }

  // ---------------------------------------------------------------- effects

  readonly #messages = new WholeMessages({
    effect: () => this.#effect(),
    sent: (peer, frames, bytes) => {
      this.#in.trace.note(this.#clock.now, `${this.name} peer ${peer}`, '<', frames);
      this.#process?.links[peer]?.write(frames, bytes);
    },
    closed: (peer) => this.#process?.links[peer]?.end(),
    delivered: (key) => this.#in.runs(this, key),
  });
}
