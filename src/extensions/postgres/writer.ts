/** Commits batches, one at a time over each of its connections. */
import { present } from '../../core/assert.js';
import { OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import {
  type Change,
  type ChangeResult,
  requestsOf,
  type RequestUuid,
  type StoreCounts,
} from '../../store/store.js';
import { middleOf, partsOf } from './batch-parts.js';
import { Batch, type Order, type Row, type Sending } from './changes.js';
import type { Connection } from './connection.js';
import { BUSY, REFUSED } from '../../store/store.js';
import type { Fence } from './fence.js';
import {
  FenceDown,
  isOfRow,
  LOCK_TIMEOUT,
  retryReason,
  stateOf,
  UNIQUE_VIOLATION,
} from './failures.js';
import type { Lane } from './lane.js';
import { ReportedCounts } from './reported-counts.js';
import { type LockedRow, RowLocks } from './row-locks.js';
import type { Tally } from './tally.js';

/** A key that another writer takes at this moment is asked for again this often. */
const RACES_MAX = 3;
/** Requests of batches with an unknown outcome, of which the oldest are forgotten. */
const DOUBTFUL_MAX = 100_000;

/** Told of what happens to batches. */
export interface WriterEvents {
  /** A row that the server does not take. */
  refused(error: unknown): void;
  /** A row that another session keeps locked. */
  locked(row: LockedRow): void;
  /** The counts are not right any more. */
  miscounted(): void;
}

export interface Committed {
  readonly results: readonly ChangeResult[];
  readonly counts: StoreCounts;
}

export class BatchWriter {
  /** Those that no batch uses. */
  readonly #free: Lane[];
  readonly #timeoutMs: number;
  readonly #fence: Fence;
  readonly #counts: ReportedCounts;
  readonly #locks: RowLocks;
  readonly #events: WriterEvents;
  /** A batch may still be under way at the server. */
  #isUnsettled = false;
  /** Batches that are being committed. */
  #underWay = 0;
  #pause: Pause | null = null;
  /** Requests that this broker may have claimed by a batch whose outcome is unknown. */
  #doubtful: RequestUuid[] = [];

  /** @param lanes as many batches are committed at a time; never more are given to it */
  constructor(
    lanes: readonly Lane[],
    timeoutMs: number,
    fence: Fence,
    tally: Tally,
    events: WriterEvents,
  ) {
    this.#events = events;
    this.#locks = new RowLocks(timeoutMs, (row) => {
      events.locked(row);
    });
    this.#free = [...lanes];
    this.#timeoutMs = timeoutMs;
    this.#fence = fence;
    this.#counts = new ReportedCounts(tally);
  }

  /** A new session: what batches of the one before it claimed is not this broker's. */
  begin(session: number): void {
    this.#fence.begin(session);
    this.#doubtful = [];
  }

  get session(): number {
    return this.#fence.session;
  }

  /**
   * Runs `snapshot` while no batch is being committed: what is counted in it has all batches before, and
   * none after.
   */
  async counting(snapshot: () => Promise<void>): Promise<void> {
    const pause = new Pause();
    this.#pause = pause;
    try {
      if (this.#underWay > 0) await pause.idle;
      if (this.#isUnsettled) await this.settled();
      await snapshot();
      this.#counts.begin();
    } finally {
      this.#pause = null;
      pause.end();
    }
  }

  /** What the store held at the last snapshot, with the work of the other brokers. */
  counted(tally: Tally): void {
    this.#counts.replace(tally);
  }

  /** What the store holds, to be reported. */
  takeCounts(): StoreCounts {
    return this.#counts.takeAll();
  }

  /** Takes out the requests that may be stored, and claimed, although their batch failed. */
  takeDoubtful(): RequestUuid[] {
    const doubtful = this.#doubtful;
    this.#doubtful = [];
    return doubtful;
  }

  /**
   * The outcome of a batch is unknown: it may still be under way at the server. The next batch is given
   * to it when it has no other.
   */
  get isInDoubt(): boolean {
    return this.#isUnsettled || this.hasDoubtful;
  }

  /**
   * Waits until no batch of this session is under way, on whatever connection: each holds the lock
   * of the fence until it has ended, also while it waits for a standby.
   */
  async settled(): Promise<void> {
    const until = performance.now() + this.#timeoutMs;
    await this.#use(until, (connection) => this.#renew(connection, until));
    this.#isUnsettled = false;
  }

  async #renew(connection: Connection, until: number): Promise<void> {
    for (;;) {
      try {
        await this.#fence.renew(connection);
        return;
      } catch (error) {
        if (stateOf(error) !== LOCK_TIMEOUT || performance.now() >= until) throw error;
      }
    }
  }

  async #use<Result>(
    until: number,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const lane = present(this.#free.pop(), 'a connection that no batch uses');
    try {
      return await lane.use(until, work);
    } finally {
      this.#free.push(lane);
    }
  }

  /** They could not be looked for. */
  doubtAgain(asked: readonly RequestUuid[]): void {
    this.#doubtful.push(...asked);
  }

  get hasDoubtful(): boolean {
    return this.#doubtful.length > 0;
  }

  /**
   * If the server does not take one row, the batch is halved until that row is alone. Changes of rows
   * that another session keeps locked are not made.
   * @throws UnknownOutcome if it may be committed, or a part of it is; any other error: it is not
   */
  async commit(changes: readonly Change[]): Promise<Committed> {
    while (this.#pause !== null) await this.#pause.ended;
    this.#underWay++;
    try {
      return await this.#commitUnlocked(changes);
    } finally {
      this.#underWay--;
      this.#reachPause();
    }
  }

  #reachPause(): void {
    if (this.#underWay === 0) this.#pause?.reached();
  }

  async #commitUnlocked(changes: readonly Change[]): Promise<Committed> {
    const until = performance.now() + this.#timeoutMs;
    let left = changes;
    if (this.#locks.mayConcern(left)) left = await this.#withoutLocked(left, until);
    for (;;) {
      try {
        const committed = await this.#commit(left);
        if (left === changes) return committed;
        const resultOf = new Map(left.map((change, at) => [change, committed.results[at]]));
        const results = changes.map((change) => resultOf.get(change) ?? BUSY);
        return { ...committed, results };
      } catch (error) {
        if (stateOf(error) !== LOCK_TIMEOUT || performance.now() >= until) throw error;
        const unlocked = await this.#withoutLocked(left, until);
        // It was something else than a row of these requests.
        if (unlocked.length === left.length) throw error;
        left = unlocked;
      }
    }
  }

  /** What is left of a batch without the changes of rows that another session has locked. */
  async #withoutLocked(changes: readonly Change[], until: number): Promise<readonly Change[]> {
    const asked = changes.flatMap(requestsOf);
    const locked = await this.#use(until, (connection) =>
      this.#locks.among(connection, asked),
    ).catch((error: unknown) => {
      // Without an answer the batch waits for the lock; what is a fault of this program is thrown.
      if (retryReason(error) === null && stateOf(error) === '') throw error;
      return [];
    });
    if (locked.length === 0) return changes;
    const names = new Set(locked.map((uuid) => uuid.toString('latin1')));
    const isLocked = (change: Change): boolean =>
      requestsOf(change).some((uuid) => names.has(uuid.toString('latin1')));
    return partsOf(changes)
      .filter((part) => !part.some(isLocked))
      .flat();
  }

  async #commit(changes: readonly Change[]): Promise<Committed> {
    if (changes.length === 0) return { results: [], counts: this.#counts.apply([]) };
    try {
      return await this.#commitWhole(changes);
    } catch (error) {
      if (!isOfRow(error)) throw error;
      const middle = middleOf(changes);
      if (middle > 0) return await this.#commitHalves(changes, middle);
      this.#events.refused(error);
      return { results: changes.map(() => REFUSED), counts: this.#counts.apply([]) };
    }
  }

  async #commitHalves(changes: readonly Change[], middle: number): Promise<Committed> {
    const first = await this.#commit(changes.slice(0, middle));
    try {
      const rest = await this.#commit(changes.slice(middle));
      const owners = [...first.counts.owners, ...rest.counts.owners];
      const services = [...first.counts.services, ...rest.counts.services];
      const results = [...first.results, ...rest.results];
      return { results, counts: { ...rest.counts, owners, services } };
    } catch (error) {
      throw error instanceof UnknownOutcome ? error : this.#unknown(changes, error);
    }
  }

  async #commitWhole(changes: readonly Change[]): Promise<Committed> {
    const sent = { mayBeDone: false };
    const until = performance.now() + this.#timeoutMs;
    try {
      return await this.#use(until, async (connection) => {
        const isAgain = sent.mayBeDone;
        // What was sent over another connection has ended then, or comes too late.
        if (isAgain) await this.#renew(connection, until);
        sent.mayBeDone = true;
        let batch: Batch;
        try {
          batch = await this.#sendBatch(connection, changes, isAgain);
        } catch (error) {
          // The server says that it has rolled back, or changed nothing.
          if (!isAgain && isCertain(error)) sent.mayBeDone = false;
          throw error;
        }
        await this.#settleRaced(connection, changes, batch, isAgain ? 'again' : 'careful');
        // Its changes are not all known.
        if (isAgain) this.#events.miscounted();
        return { results: batch.results, counts: this.#counts.apply(batch.deltas) };
      });
    } catch (error) {
      throw sent.mayBeDone ? this.#unknown(changes, error) : error;
    }
  }

  #unknown(changes: readonly Change[], cause: unknown): UnknownOutcome {
    this.#isUnsettled = true;
    this.doubt(changes);
    this.#events.miscounted();
    return new UnknownOutcome(cause);
  }

  async #sendBatch(
    connection: Connection,
    changes: readonly Change[],
    isAgain: boolean,
  ): Promise<Batch> {
    const send = async (sending: Sending): Promise<Batch> =>
      await this.#sendOnce(connection, changes, sending);
    if (isAgain) return await send('again');
    try {
      return await send('first');
    } catch (error) {
      if (stateOf(error) !== UNIQUE_VIOLATION) throw error;
      return await send('careful');
    }
  }

  async #sendOnce(
    connection: Connection,
    changes: readonly Change[],
    sending: Sending,
  ): Promise<Batch> {
    return await this.#fence.pass(
      connection,
      async (fence) => {
        const batch = new Batch(changes, fence, sending);
        await this.#send(connection, batch.orders());
        return batch;
      },
      ({ isFenced }) => isFenced,
    );
  }

  async #send(connection: Connection, orders: readonly Order[]): Promise<void> {
    const sent: Promise<Row[]>[] = [];
    const isTransaction = orders.length > 1;
    // All at once, without waiting for the first answer.
    if (isTransaction) sent.push(connection.ask('BEGIN'));
    for (const { statement, values } of orders) sent.push(connection.run(statement, values));
    if (isTransaction) sent.push(connection.ask('COMMIT'));
    const answers = await Promise.allSettled(sent);
    const rows = answers.map((answer) => {
      // The first error is the cause of the others.
      if (answer.status === 'rejected') throw answer.reason;
      return answer.value;
    });
    if (connection.takeDoubt()) {
      connection.destroy();
      throw new Error('the wait for the standby was cancelled');
    }
    for (const [at, order] of orders.entries()) {
      order.settle(rows[isTransaction ? at + 1 : at] ?? []);
    }
  }

  /** Keys that another writer took in the same moment: now it can be seen whom they lead to. */
  async #settleRaced(
    connection: Connection,
    changes: readonly Change[],
    batch: Batch,
    sending: Sending,
  ): Promise<void> {
    for (let round = 0; batch.raced.length > 0 && round < RACES_MAX; round++) {
      const places = batch.raced.splice(0);
      const raced = places.flatMap((place) => changes[place] ?? []);
      const next = await this.#sendOnce(connection, raced, sending);
      batch.deltas.push(...next.deltas);
      for (const [at, result] of next.results.entries()) {
        const place = places[at];
        if (place !== undefined) batch.results[place] = result;
      }
      batch.raced.push(...next.raced.flatMap((at) => places[at] ?? []));
    }
  }

  /**
   * It is not known whether this broker has claimed what these changes accepted.
   * @returns false if they claim nothing
   */
  doubt(changes: readonly Change[]): boolean {
    const claimed = changes.flatMap((change) =>
      change.kind === 'accept' && change.claim !== undefined ? [change.request.uuid] : [],
    );
    this.#doubtful.push(...claimed);
    this.#doubtful.splice(0, this.#doubtful.length - DOUBTFUL_MAX);
    return claimed.length > 0;
  }
}

/** No batch begins. */
class Pause {
  /** No batch is being committed any more. */
  readonly idle: Promise<void>;
  readonly ended: Promise<void>;
  reached: () => void = () => undefined;
  end: () => void = () => undefined;

  constructor() {
    this.idle = new Promise((resolve) => {
      this.reached = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }
}

/** It is not known whether a batch was committed. */
export class UnknownOutcome extends Error {
  constructor(cause: unknown) {
    super(OUTCOME_UNKNOWN, { cause });
  }
}

/** The transaction did not take place: the server says so, or the fence did not hold. */
function isCertain(error: unknown): boolean {
  if (error instanceof FenceDown) return true;
  const reason = retryReason(error);
  return stateOf(error) !== '' && reason !== 'connection';
}
