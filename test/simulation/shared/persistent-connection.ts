/**
 * A connection of one broker to the database, which is made anew when it breaks, and what is tried again
 * over it: as in src/extensions/postgres/persistent-connection.ts.
 */
import type { Tally } from '../actors/tally.js';
import type { SimClock } from '../world/clock.js';
import type { SimRandom } from '../world/random.js';
import type { SharedDatabase } from './database.js';
import type { Routine, Wait } from './routine.js';
import type { DatabaseServer } from './server.js';

const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 250;
/** How long a statement may be on its way when its connection breaks. */
const DELAYED_MAX_MS = 2000;

/** The connection broke, or none could be made. */
export class Broken extends Error {}

/** The server did not answer in time: the connection was closed. */
class TimeOver extends Error {}

/** Something else than the simulated network failed. @throws it */
export function mustBeOfNetwork(error: unknown): void {
  if (!(error instanceof Broken) && !(error instanceof TimeOver)) throw error;
}

/** What happens to the messages between one broker and the server. */
export interface LinkWeather {
  readonly delayMaxMs: number;
  /** Probability that the connection breaks, for each statement. */
  readonly breakChance: number;
  /** Probability that nothing gets through for a while, when it breaks. */
  readonly cutChance: number;
  /** For how long the commit of a transaction may wait after its connection broke. */
  readonly standbyMaxMs: number;
}

/** The network between one broker and the server. */
export interface Link {
  readonly server: DatabaseServer;
  readonly weather: LinkWeather;
  /** Nothing gets through, and nobody is told. */
  isCut: boolean;
  isHealed: boolean;
  /** Cuts it for a while. */
  readonly cut: () => void;
}

/** What the process of a broker needs. */
export interface ConnectionHost {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly tally: Tally;
  /** Calls back in the process, unless it has ended; if it is paused, when it goes on. */
  later(delayMs: number, action: () => void): void;
  connected(): void;
  unreachable(): void;
}

/** A statement, or a transaction, on the server. */
export interface Statement<Result> {
  readonly run: (database: SharedDatabase) => Result;
  /** The session whose fence it locks, if it writes. */
  readonly fence: number | null;
  /** The sessions whose rows it locks alone: it waits for all that write with them. */
  readonly alone: (database: SharedDatabase) => readonly number[];
}

export const NOBODY = (): readonly number[] => [];

export class PersistentConnection {
  readonly #link: Link;
  readonly #host: ConnectionHost;
  readonly #timeoutMs: number;
  #isOpen = false;
  /** Another one for each connection. */
  connection: object = {};
  /** Counts connections: what is told of an earlier one is nothing to this. */
  #dials = 0;
  /** Ends what is under way, if anything is. */
  #broken: (() => void) | null = null;

  constructor(link: Link, host: ConnectionHost, timeoutMs: number) {
    this.#link = link;
    this.#host = host;
    this.#timeoutMs = timeoutMs;
    link.server.onDown(this.#down);
  }

  readonly #down = (): void => {
    this.#isOpen = false;
    this.#broken?.();
  };

  destroy(): void {
    this.#link.server.offDown(this.#down);
  }

  get #now(): number {
    return this.#host.clock.now;
  }

  /** @param until then the last error is thrown */
  *use<Result>(until: number, work: (until: number) => Routine<Result>): Routine<Result> {
    let pause = PAUSE_MIN_MS;
    for (;;) {
      let error: unknown;
      try {
        if (!this.#isOpen) yield* this.#connect();
        return yield* work(until);
      } catch (caught) {
        error = caught;
      }
      const isTransient = error instanceof Broken || error instanceof TimeOver;
      if (isTransient) this.#isOpen = false;
      if (!isTransient || this.#now + pause >= until) throw error;
      yield this.#sleep(pause);
      pause = Math.min(PAUSE_MAX_MS, pause * 2);
    }
  }

  #sleep(ms: number): Wait {
    return (resume) => this.#host.later(ms, () => resume(null));
  }

  *#connect(): Routine<void> {
    const { server } = this.#link;
    const takesMs = this.#delay();
    const isReached = !this.#link.isCut;
    yield this.#sleep(isReached ? takesMs : this.#timeoutMs);
    if (!isReached || this.#link.isCut || !server.isUp) {
      this.#host.unreachable();
      throw new Broken('the database cannot be reached');
    }
    this.#isOpen = true;
    this.connection = {};
    this.#dials++;
    this.#host.connected();
  }

  #delay(): number {
    const { weather, isHealed } = this.#link;
    return this.#host.random.int(
      0,
      isHealed ? Math.min(2, weather.delayMaxMs) : weather.delayMaxMs,
    );
  }

  /** @param until when there must be an answer */
  *ask<Result>(until: number, statement: Statement<Result>): Routine<Result> {
    const answers: Result[] = [];
    yield (resume) => {
      this.#send(until, statement, resume, (result) => {
        answers.push(result);
      });
    };
    return answers[0] as Result;
  }

  #send<Result>(
    until: number,
    statement: Statement<Result>,
    resume: (error: unknown) => void,
    answered: (result: Result) => void,
  ): void {
    const { server, weather } = this.#link;
    const { clock, random, tally } = this.#host;
    const dial = this.#dials;
    let isOver = false;
    const end = (error: unknown, delayMs: number): void => {
      if (isOver) return;
      isOver = true;
      this.#broken = null;
      if (error !== null) this.#isOpen = false;
      this.#host.later(delayMs, () => resume(error));
    };
    this.#broken = () => end(new Broken('the server has gone'), random.int(0, 5));
    clock.at(until, () => end(new TimeOver('no answer'), 0));
    const breaks = !this.#link.isHealed && random.chance(weather.breakChance);
    const fate = breaks ? random.pick(['lost', 'done', 'late', 'delayed'] as const) : 'answered';
    const isTold = random.chance(0.7);
    clock.after(this.#delay(), () => {
      if (!server.isUp || this.#link.isCut || dial !== this.#dials) return;
      if (breaks) tally.fault(`connection breaks: ${fate}`);
      if (breaks && random.chance(weather.cutChance)) clock.after(0, this.#link.cut);
      if (breaks && isTold) end(new Broken('the connection broke'), random.int(0, 5));
      if (fate === 'lost') return;
      const { alone, fence } = statement;
      const run = (): void => {
        // What it waited for may have taken the server down.
        if (!server.isUp) return;
        const result = statement.run(server.database);
        if (fate !== 'answered') return;
        clock.after(this.#delay(), () => {
          if (!server.isUp || this.#link.isCut || isOver) return;
          answered(result);
          end(null, 0);
        });
      };
      if (fate === 'delayed') {
        // It waits in the network, perhaps until another connection has long been used.
        const arrivedAt = clock.now;
        clock.after(random.int(0, DELAYED_MAX_MS), () => {
          if (server.upSince <= arrivedAt) run();
        });
        return;
      }
      const freeAt = server.freeAt(alone(server.database));
      if (freeAt > clock.now) clock.at(freeAt, run);
      else if (fate !== 'late') run();
      else {
        const doneAt = clock.now + random.int(0, weather.standbyMaxMs);
        if (fence !== null) server.holds(fence, doneAt);
        clock.at(doneAt, run);
      }
    });
  }
}
