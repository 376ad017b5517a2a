/**
 * The port of a store (src/extensions/postgres/tables.ts), carried out by the simulated database: over a connection to
 * its server that may break at each statement, which is then done, not done, done later, or still under way.
 */
import { MajordomoError } from '../../../src/core/errors.js';
import type { Sending } from '../../../src/extensions/postgres/changes.js';
import { type Clock, sleep } from '../../../src/extensions/postgres/clock.js';
import { LOCK_TIMEOUT, stateOf, within } from '../../../src/extensions/postgres/failures.js';
import type { LockedRow } from '../../../src/extensions/postgres/locked-rows.js';
import type { Snapshots } from '../../../src/extensions/postgres/looks.js';
import type { Dial } from '../../../src/extensions/postgres/persistent-connection.js';
import type {
  Asked,
  BodyKey,
  LargeContent,
  LookedUp,
  Part,
} from '../../../src/extensions/postgres/reader.js';
import { lockLimitMs } from '../../../src/extensions/postgres/server.js';
import type { FenceValue, OtherSession, Taken } from '../../../src/extensions/postgres/session.js';
import type { Made, Tables } from '../../../src/extensions/postgres/tables.js';
import {
  type Change,
  type ClaimedRequest,
  type Release,
  type RequestUuid,
  type StoredContent,
  type StoredRequest,
  uuidsChanged,
  type Wanted,
} from '../../../src/store/store.js';
import type { Tally as StoreTally } from '../../../src/store/tally.js';
import type { Tally } from '../actors/tally.js';
import type { SimClock } from '../world/clock.js';
import type { SimRandom } from '../world/random.js';
import { type SharedDatabase, SqlError, STORE_ID } from './database.js';
import type { DatabaseServer } from './server.js';

/** How long a statement may be on its way when its connection breaks. */
const DELAYED_MAX_MS = 2000;
/** What of the hints arrives. */
const HINT_CHANCE = 0.7;
const IDENTITY = { host: 'db', systemId: '1', timeline: '00000001' };

/** What happens to the messages between one broker and the server. */
export interface LinkWeather {
  readonly delayMaxMs: number;
  /** Probability that the connection breaks, for each statement. */
  readonly breakChance: number;
  /** A connection breaks with each statement whose number can be divided by this. */
  readonly breaksEvery: number;
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
  /** Breaks connections of which something was lost: that is noticed when messages get through again. */
  readonly deaf: Set<() => void>;
  isHealed: boolean;
  statements: number;
  /** The processes of the server that serve its connections. */
  readonly processes: Set<number>;
  /** Cuts it for a while. */
  readonly cut: () => void;
}

/** What the process of a broker gives its store. */
export interface TablesHost {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly tally: Tally;
  /** Calls back in the process, unless it has ended; if it is paused, when it goes on. */
  later(delayMs: number, action: () => void): void;
  /** A session was taken, and its broker has the answer. */
  readonly took: (session: number) => void;
  /** The session of another broker was ended, at the server. */
  readonly otherEnded: (other: OtherSession) => void;
  /** Breaks each connection on purpose. */
  readonly broken?: (tables: Tables) => void;
}

/** What is asked of the server. */
interface Statement<Result> {
  readonly run: (database: SharedDatabase) => Result;
  /** The session whose fence it locks, if it writes. */
  readonly fence?: number;
  /** The requests whose rows it locks. */
  readonly rows?: readonly RequestUuid[];
  /** The sessions whose rows it locks alone: it waits for all that write with them. */
  readonly alone?: (database: SharedDatabase) => readonly number[];
}

function broken(): Error {
  return Object.assign(new Error('the connection broke'), { code: 'ECONNRESET' });
}

export function simDial(link: Link, host: TablesHost, clock: Clock): Dial<Tables> {
  return async (_known, timeoutMs, check) => {
    const isReached = !link.isCut;
    await sleep(clock, isReached ? host.random.int(0, link.weather.delayMaxMs) : timeoutMs);
    if (!isReached || link.isCut || !link.server.isUp) {
      throw new MajordomoError('ERR_TITANIC_STORE_AWAY', 'the database cannot be reached');
    }
    const connection = new SimTables(link, host);
    host.broken?.(connection);
    const end = (): void => connection.destroy();
    try {
      await within(clock, timeoutMs, check(connection, IDENTITY), 'no answer', end);
    } catch (error) {
      end();
      throw error;
    }
    return { connection, server: IDENTITY, hostIndex: 0 };
  };
}

class SimTables implements Tables {
  readonly #link: Link;
  readonly #host: TablesHost;
  readonly #id: number;
  #isOpen = true;
  #snapshot: StoreTally | null = null;
  /** For how long it waits for a lock. */
  #lockMs = Infinity;
  /** When the last statement, and the last answer, arrive: they stay in their order. */
  #arrivesAt = 0;
  #answeredAt = 0;
  /** Settled when the server has done what was sent before. */
  #before: Promise<void> = Promise.resolve();
  readonly #pending = new Set<(error: unknown) => void>();

  constructor(link: Link, host: TablesHost) {
    this.#link = link;
    this.#host = host;
    this.#id = link.server.connected(this.#broke);
    link.processes.add(this.#id);
  }

  readonly #broke = (): void => this.#host.later(this.#host.random.int(0, 5), () => this.destroy());

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get isIdle(): boolean {
    return this.#snapshot === null;
  }

  destroy(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#link.server.disconnected(this.#id);
    for (const failed of this.#pending) failed(broken());
    this.#pending.clear();
  }

  async close(): Promise<void> {
    this.destroy();
    await Promise.resolve();
  }

  // ---------------------------------------------------------------- statements

  async #ask<Result>(statement: Statement<Result>): Promise<Result> {
    return await new Promise<Result>((resolve, reject) => {
      if (!this.#isOpen) {
        reject(broken());
        return;
      }
      this.#pending.add(reject);
      this.#send(statement, (answer) => {
        if (!this.#pending.delete(reject)) return;
        if ('error' in answer) reject(answer.error);
        else resolve(answer.result);
      });
    });
  }

  #delay(): number {
    const { weather, isHealed } = this.#link;
    const most = isHealed ? Math.min(2, weather.delayMaxMs) : weather.delayMaxMs;
    return this.#host.random.int(0, most);
  }

  #send<Result>(
    statement: Statement<Result>,
    answered: (answer: { readonly result: Result } | { readonly error: SqlError }) => void,
  ): void {
    const { server, weather, isHealed } = this.#link;
    const { clock, random, tally } = this.#host;
    const isNext = ++this.#link.statements % weather.breaksEvery === 0;
    const breaks = !isHealed && (isNext || random.chance(weather.breakChance));
    const fate = breaks ? random.pick(['lost', 'done', 'late', 'delayed'] as const) : 'answered';
    const isTold = random.chance(0.7);
    const answer: typeof answered = (given) => {
      if (fate !== 'answered' || !server.isUp) return;
      this.#answeredAt = Math.max(this.#answeredAt, clock.now + this.#delay());
      clock.at(this.#answeredAt, () => {
        if (!server.isUp || this.#link.isCut) {
          this.#link.deaf.add(this.#broke);
          return;
        }
        this.#host.later(0, () => answered(given));
      });
    };
    const { before, done } = this.#queued();
    this.#arrivesAt = Math.max(this.#arrivesAt, clock.now + this.#delay());
    clock.at(this.#arrivesAt, () => {
      if (!server.isUp || this.#link.isCut || !this.#isOpen) {
        this.#link.deaf.add(this.#broke);
        done();
        return;
      }
      if (breaks) tally.fault(`connection breaks: ${fate}`);
      if (breaks && random.chance(weather.cutChance)) clock.after(0, this.#link.cut);
      // After the healing nothing else would tell it.
      if (breaks && (isTold || this.#link.isHealed)) this.#broke();
      else if (breaks) this.#link.deaf.add(this.#broke);
      if (fate === 'lost') {
        done();
        return;
      }
      // It waits in the network, perhaps until another connection has long been used.
      const lateMs = fate === 'delayed' ? random.int(0, DELAYED_MAX_MS) : 0;
      const { upSince } = server;
      const began = { at: -1 };
      const run = (): void => {
        if (!server.isUp || server.upSince !== upSince) {
          done();
          return;
        }
        if (began.at < 0) began.at = clock.now;
        const freeAt = server.freeAt(
          statement.alone?.(server.database) ?? [],
          statement.rows ?? [],
        );
        if (freeAt > clock.now) {
          const limit = began.at + this.#lockMs;
          if (freeAt <= limit) {
            clock.at(freeAt, run);
            return;
          }
          tally.fault('a lock is waited for in vain');
          clock.at(limit, () => {
            done();
            answer({ error: new SqlError(LOCK_TIMEOUT) });
          });
          return;
        }
        const end = (): void => {
          done();
          if (!server.isUp || server.upSince !== upSince) return;
          try {
            answer({ result: statement.run(server.database) });
          } catch (error) {
            if (stateOf(error) === '') throw error;
            tally.fault(`the server says ${stateOf(error)}`);
            answer({ error: error as SqlError });
          }
        };
        if (fate !== 'late') {
          end();
          return;
        }
        const doneAt = clock.now + random.int(0, weather.standbyMaxMs);
        server.holds(statement.fence ?? 0, statement.rows ?? [], doneAt);
        clock.at(doneAt, end);
      };
      before(() => clock.after(lateMs, run));
    });
  }

  /** The server does one after the other. */
  #queued(): { before: (next: () => void) => void; done: () => void } {
    const last = this.#before;
    let done = (): void => undefined;
    this.#before = new Promise((resolve) => {
      done = resolve;
    });
    return { before: (next) => void last.then(next), done };
  }

  // ---------------------------------------------------------------- start

  async migrate(): ReturnType<Tables['migrate']> {
    return await this.#ask({ run: () => ({ storeId: STORE_ID, format: 1, isMade: false }) });
  }

  async setAside(): Promise<string | null> {
    return await this.#ask({ run: () => null });
  }

  async mustBeStore(): Promise<void> {
    await this.#ask({ run: () => null });
  }

  async newestAt(): Promise<number> {
    return await this.#ask({ run: (database) => database.newestAt() });
  }

  // ---------------------------------------------------------------- sessions

  async take(...given: Parameters<Tables['take']>): Promise<Taken> {
    const taken = await this.#ask({
      run: (database) => database.take(...given),
      alone: (database) => database.sessionsOf(given[0]),
    });
    this.#host.took(taken.session);
    return taken;
  }

  async renew(session: number): Promise<number | null> {
    return await this.#ask({ run: (database) => database.renew(session) });
  }

  async others(mine: number): Promise<OtherSession[]> {
    return await this.#ask({ run: (database) => database.others(mine) });
  }

  async endSession(other: OtherSession): Promise<boolean> {
    const { server } = this.#link;
    // While it writes, its row is skipped.
    const isHeld = (): boolean => server.freeAt([other.session], []) > this.#host.clock.now;
    return await this.#ask({
      run: (database) => {
        const isEnded = !isHeld() && database.endSession(other);
        if (isEnded) this.#host.otherEnded(other);
        return isEnded;
      },
    });
  }

  async free(): Promise<void> {
    await this.#ask({ run: (database) => database.free() });
  }

  async leave(session: number): Promise<void> {
    await this.#ask({ run: (database) => database.leave(session), alone: () => [session] });
  }

  async raiseToken(session: number): Promise<number> {
    return await this.#ask({
      run: (database) => database.newToken(session),
      alone: () => [session],
    });
  }

  async token(session: number): Promise<number> {
    return await this.#ask({ run: (database) => database.token(session) });
  }

  // ---------------------------------------------------------------- batches

  async limitLocks(timeoutMs: number, leftMs: number): Promise<void> {
    const ms = lockLimitMs(timeoutMs, leftMs);
    if (ms === this.#lockMs) return;
    await this.#ask({ run: () => null });
    this.#lockMs = ms;
  }

  async commit(
    fence: FenceValue,
    changes: readonly Change[],
    sending: Sending,
  ): Promise<Made | null> {
    const { random } = this.#host;
    const rows = changes.flatMap((change) =>
      change.kind === 'accept' ? [] : uuidsChanged(change),
    );
    return await this.#ask({
      run: (database) => database.commit(fence, changes, sending, random),
      ...{ rows, fence: fence.session },
    });
  }

  async locked(asked: readonly RequestUuid[]): Promise<RequestUuid[]> {
    return await this.#ask({ run: (database) => asked.filter(database.isLocked) });
  }

  async lockHolders(asked: readonly RequestUuid[]): Promise<LockedRow[]> {
    const [first] = asked;
    return first === undefined ? [] : await this.#ask({ run: () => [{ uuid: first, pid: null }] });
  }

  async claimedOf(asked: readonly RequestUuid[], session: number): Promise<StoredRequest[]> {
    return await this.#ask({ run: (database) => database.claimedOf(asked, session) });
  }

  // ---------------------------------------------------------------- claims

  async claim(fence: FenceValue, wanted: readonly Wanted[]): Promise<ClaimedRequest[] | null> {
    return await this.#ask({
      run: (database) => database.claim(fence, wanted),
      fence: fence.session,
    });
  }

  async release(fence: FenceValue, released: readonly Release[]): Promise<Release[] | null> {
    return await this.#ask({
      run: (database) => database.release(fence, released),
      fence: fence.session,
    });
  }

  async freeUnknown(fence: FenceValue, known: readonly Release[]): Promise<Release[] | null> {
    return await this.#ask({
      run: (database) => database.freeUnknown(fence, known),
      fence: fence.session,
    });
  }

  async wake(most: number): Promise<void> {
    await this.#ask({ run: (database) => database.wake(most) });
  }

  // ---------------------------------------------------------------- reads

  async count(): Promise<StoreTally> {
    return await this.#ask({ run: (database) => database.count() });
  }

  async snapshot(): Promise<void> {
    this.#snapshot = await this.#ask({ run: (database) => database.count() });
  }

  async countSnapshot(): Promise<StoreTally> {
    const counted = this.#snapshot;
    if (counted === null) throw new Error('there is no snapshot');
    await this.#ask({ run: () => null });
    this.#snapshot = null;
    return counted;
  }

  async list(after: number): Promise<StoredRequest[]> {
    return await this.#ask({ run: (database) => database.list(after) });
  }

  async listKept(after: number): Promise<StoredRequest[]> {
    return await this.#ask({ run: (database) => database.listKept(after) });
  }

  async load(asked: readonly RequestUuid[]): Promise<(StoredContent | LargeContent | null)[]> {
    return await this.#ask({ run: (database) => database.load(asked) });
  }

  async lookUp(asked: readonly Asked[]): Promise<LookedUp> {
    return await this.#ask({
      run: (database) =>
        asked.map(({ uuid, replyBytesMax }) => database.lookUp(uuid, replyBytesMax)),
    });
  }

  async part({ uuid }: BodyKey, done: number): Promise<Part | null> {
    return await this.#ask({ run: (database) => database.part(uuid, done) });
  }

  async unclaimed(): Promise<Map<string, number>> {
    return await this.#ask({ run: () => new Map<string, number>() });
  }

  async snapshots(): Promise<Snapshots> {
    return await this.#ask({ run: () => ({ areAllSeen: true, holders: [] }) });
  }

  async missingRight(error: unknown): Promise<unknown> {
    return await this.#ask({ run: () => error });
  }

  // ---------------------------------------------------------------- hints

  async listen(heard: (payload: string, processId: number) => void): Promise<void> {
    await this.#ask({ run: () => null });
    this.#link.server.listeners.set(this.#id, (payload, from) => {
      this.#host.later(0, () => {
        if (this.#isOpen) heard(payload, from);
      });
    });
  }

  async listenAgain(): Promise<void> {
    await this.#ask({ run: () => null });
  }

  async unlisten(): Promise<void> {
    await this.#ask({ run: () => this.#link.server.listeners.delete(this.#id) });
  }

  /** Each of the others hears of it, or does not, if it is connected then. */
  async notify(payload: Buffer): Promise<void> {
    const { server, weather } = this.#link;
    const { clock, random } = this.#host;
    await this.#ask({
      run: () => {
        for (const id of server.listeners.keys()) {
          if (id === this.#id || !random.chance(HINT_CHANCE)) continue;
          clock.after(random.int(0, weather.delayMaxMs), () => {
            if (server.isUp) server.listeners.get(id)?.(payload.toString(), this.#id);
          });
        }
      },
    });
  }

  async senders(): Promise<ReadonlySet<unknown>> {
    return await this.#ask({ run: () => this.#link.server.processes });
  }
}
