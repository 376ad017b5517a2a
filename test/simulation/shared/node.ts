/**
 * A broker of a fleet: broker, Titanic and its store in the shared database, wired as in the daemon. Its
 * process can end between any two effects, its threads can be paused, and it comes back with the
 * data directory that it had, or with another.
 */
import { Broker } from '../../../src/broker/broker.js';
import type { BrokerOptions } from '../../../src/broker/options.js';
import type { BrokerSink } from '../../../src/broker/sink.js';
import { Frames } from '../../../src/core/frames.js';
import { unpack } from '../../../src/core/packed.js';
import { SharedStore } from '../../../src/bstar/replication/shared-store.js';
import type { Watch } from '../../../src/extensions/postgres/lease.js';
import type { OtherSession } from '../../../src/extensions/postgres/session.js';
import type { TitanicOptions } from '../../../src/titanic/machine/options.js';
import { Titanic } from '../../../src/titanic/machine/titanic.js';
import type { Change, ClaimedRequest } from '../../../src/store/store.js';
import type { Tally } from '../actors/tally.js';
import type { SimClock } from '../world/clock.js';
import { hold } from '../world/failure.js';
import { type Connected, ProcessEnd } from '../world/process-end.js';
import type { SimRandom } from '../world/random.js';
import type { Trace } from '../world/trace.js';
import { WholeMessages } from '../world/whole-messages.js';
import { Gate } from './gate.js';
import type { Link } from './persistent-connection.js';
import { type Opened, StoreClient, type StoreClientEvents } from './store-client.js';

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
  readonly watch: () => Watch;
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

/** Thrown at an effect: the process ends there. */
class Crash extends Error {}

interface Process extends Connected {
  readonly client: StoreClient;
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
  readonly #machines = new Gate();
  readonly #thread = new Gate();
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
    const { weather, link, name, watch } = this.#in;
    const random = (target: Buffer): void => this.#random.fill(target);
    const broker = new Broker(weather.broker, this.#sink(), NOTHING, random);
    const claimant = { node: name, directoryId: this.#directoryId, leaseMs: weather.leaseMs };
    const started: { process: Process | null } = { process: null };
    const host = {
      clock: this.#clock,
      random: this.#random.fork(this.#random.word()),
      tally: this.#in.tally,
      later: (ms: number, action: () => void) => {
        this.#clock.after(ms, () => {
          if (this.#process === started.process) this.#thread.pass(action);
        });
      },
      tell: (message: () => void) => {
        this.#clock.after(0, () => {
          this.#enter(started.process, () => {
            this.#setTime();
            message();
            this.#plan(this.#clock.now);
          });
        });
      },
      otherEnded: (other: OtherSession) => this.#in.otherEnded(this, other),
    };
    const events = this.#events(started);
    const timeoutMs = weather.storeTimeoutMs;
    const client = new StoreClient(link, host, claimant, timeoutMs, events, watch());
    const process = { broker, client, serving: null, peers: new Map(), links: [] };
    started.process = process;
    this.#process = process;
    this.#effectsLeft = Infinity;
    this.#note('starts');
  }

  #events(started: { readonly process: Process | null }): StoreClientEvents {
    const titanic = (): Titanic => this.#servingOf(started.process).titanic;
    return {
      opened: (opened) => this.#opened(opened),
      notOpened: () => {
        if (started.process !== null) this.#end(started.process);
      },
      hinted: (hint) => titanic().hinted(hint),
      foundClaimed: (requests) => {
        this.#in.tally.fault('kept, though its batch failed');
        titanic().foundClaimed(requests);
      },
      taken: (session) => {
        this.#note(`takes session ${session}`);
        this.#in.tally.fault('session is taken anew');
        this.#servingOf(started.process).session = session;
        titanic().taken();
      },
      counted: (counts) => titanic().counted(counts),
      renewed: (sentAt, storeMs) => {
        const serving = started.process?.serving ?? null;
        if (serving === null) return;
        serving.replica.renewed(sentAt);
        serving.clockOffset = storeMs - sentAt;
        serving.renewedAt = Math.max(serving.renewedAt, sentAt);
        serving.isEnded = false;
      },
      ended: () => {
        this.#note('its session has ended');
        const serving = this.#servingOf(started.process);
        serving.isEnded = true;
        serving.replica.ended();
      },
      lost: () => this.#servingOf(started.process).replica.lost(),
      returned: () => this.#servingOf(started.process).replica.returned(),
    };
  }

  #servingOf(process: Process | null): Serving {
    const serving = process?.serving ?? null;
    hold(serving !== null, 'its store has been opened');
    return serving;
  }

  #opened({ counts, session, firstTransaction, renewedAt, storeMs }: Opened): void {
    const process = this.#process;
    if (process === null) return;
    const { weather } = this.#in;
    const { broker, client } = process;
    const counted = {
      list: () => {
        throw new Error('the requests of a shared store are claimed');
      },
      commit: (...[transaction, changes, completion]: Parameters<StoreClient['commit']>) => {
        this.#effect();
        this.#in.commits(this, changes);
        client.commit(transaction, changes, {
          done: (results) => completion.done(results),
          failed: (failure) => {
            this.#note(`batch fails: ${failure.message}`);
            completion.failed(failure);
          },
        });
      },
      load: (...args: Parameters<StoreClient['load']>) => {
        this.#effect();
        client.load(...args);
      },
      lookUp: (...args: Parameters<StoreClient['lookUp']>) => {
        this.#effect();
        client.lookUp(...args);
      },
      claim: (...[order, completion]: Parameters<StoreClient['claim']>) => {
        this.#effect();
        client.claim(order, {
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
      listKept: (...args: Parameters<StoreClient['listKept']>) => {
        this.#effect();
        client.listKept(...args);
      },
      hint: (...args: Parameters<StoreClient['hint']>) => client.hint(...args),
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
    const clockOffset = storeMs - renewedAt;
    process.serving = { titanic, replica, session, clockOffset, renewedAt, isEnded: false };
    this.#note(`serves with session ${session}`);
    this.#setTime();
    titanic.counted(counts);
    titanic.activate();
    broker.host(titanic);
    broker.storedDeliveries.attach(titanic);
    const mayCrash = !this.#isHealed && weather.crashAfterMax < Infinity;
    this.#effectsLeft = mayCrash ? this.#random.int(1, weather.crashAfterMax) : Infinity;
  }

  #effect(): void {
    if (--this.#effectsLeft <= 0) throw new Crash();
  }

  /** Runs a part of the process, when its machines run; it may end in it. */
  #enter(process: Process | null, part: (process: Process) => void): void {
    if (process === null) return;
    this.#machines.pass(() => {
      if (this.#process !== process) return;
      try {
        part(process);
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        this.#end(process);
      }
    });
  }

  #end(process: Process): void {
    if (this.#process !== process) return;
    this.#in.tally.fault('broker ends');
    this.#note('ends');
    this.#process = null;
    process.client.destroy();
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

  #sink(): BrokerSink {
    const { sink } = this.#messages;
    return {
      ...sink,
      messages: {
        ...sink.messages,
        request: (...message) => {
          sink.messages.request(...message);
          const [, , , body, start, end] = message;
          const frames = new Frames();
          unpack(body.bytes, start, end, frames);
          this.#in.runs(this, frames.view(0).toString('latin1'));
        },
      },
    };
  }

  readonly #messages = new WholeMessages({
    effect: () => this.#effect(),
    sent: (peer, frames, bytes) => {
      this.#in.trace.note(this.#clock.now, `${this.name} peer ${peer}`, '<', frames);
      this.#process?.links[peer]?.write(frames, bytes);
    },
    closed: (peer) => this.#process?.links[peer]?.end(),
  });
}
