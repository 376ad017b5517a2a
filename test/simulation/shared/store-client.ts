/**
 * The store of one broker in the shared database: the thread of src/extensions/postgres, with its
 * connections, in virtual time. Commits and reads take turns; claims and leases have their own.
 */
import { Watch } from '../../../src/extensions/postgres/lease.js';
import type { Claimant, OtherSession } from '../../../src/extensions/postgres/session.js';
import { present } from '../../../src/core/assert.js';
import { messageOf } from '../../../src/core/errors.js';
import { ReportedCounts } from '../../../src/extensions/postgres/reported-counts.js';
import type {
  Change,
  ChangeResult,
  ClaimedRequest,
  ClaimOrder,
  ClaimStore,
  ClaimStoreEvents,
  Completion,
  Found,
  Hint,
  RequestUuid,
  StoreCounts,
  StoredContent,
  StoredRequest,
  StoreFailure,
  Transaction,
} from '../../../src/store/store.js';
import type { BatchDone, FenceValue, SharedDatabase } from './database.js';
import {
  Broken,
  PersistentConnection,
  type ConnectionHost,
  type Link,
  mustBeOfNetwork,
  NOBODY,
} from './persistent-connection.js';
import { SessionLease, take } from './lease.js';
import { begin, type Routine } from './routine.js';
import type { DatabaseServer } from './server.js';

const SESSION_TRANSACTIONS = 2 ** 32;
const LOOK_UPS_MAX = 512;
const WAKE_MS = 200;
const COUNT_PAUSE_MS = 2000;
/** What of the hints arrives. */
const HINT_CHANCE = 0.7;

/** The store does not do what it is asked. */
class Refused extends Error {}

/** The session of this broker is not alive: nothing was changed. */
class FenceDown extends Refused {}

/** It is not known whether a batch was committed. */
class UnknownOutcome extends Refused {}

/** A claim whose answer was lost is not made again. */
class Uncertain extends Broken {}

export interface Opened {
  readonly counts: StoreCounts;
  readonly session: number;
  readonly firstTransaction: number;
  /** When the order was sent that renewed the session first. */
  readonly renewedAt: number;
  readonly storeMs: number;
}

/** What it tells the machines of its broker. */
export interface StoreClientEvents extends Omit<ClaimStoreEvents, 'arrived' | 'fatal' | 'taken'> {
  opened(opened: Opened): void;
  /** The process ends. */
  notOpened(): void;
  taken(session: number): void;
  renewed(sentAt: number, storeMs: number): void;
  ended(): void;
  lost(): void;
  returned(): void;
}

export interface ClientHost extends Omit<ConnectionHost, 'connected' | 'unreachable'> {
  /** A message to the thread of the machines: they come in their order. */
  tell(message: () => void): void;
  otherEnded(other: OtherSession): void;
}

interface LookUp {
  readonly uuid: RequestUuid;
  readonly replyBytesMax: number;
  readonly completion: Completion<Found>;
}

/** Look-ups are made together, other orders one by one. */
type Order = LookUp | (() => Routine<void>);

interface Committed {
  readonly results: readonly ChangeResult[];
  readonly counts: StoreCounts;
}

export class StoreClient implements ClaimStore {
  readonly #host: ClientHost;
  readonly #claimant: Claimant;
  readonly #timeoutMs: number;
  readonly #events: StoreClientEvents;
  readonly #watch: Watch;
  readonly #writes: PersistentConnection;
  readonly #reads: PersistentConnection;
  readonly #claiming: PersistentConnection;
  readonly #leases: PersistentConnection;
  readonly #server: DatabaseServer;
  readonly #delayMaxMs: number;
  readonly #hinted = (hint: Hint): void => this.#tell((events) => events.hinted(hint));
  readonly #orders: Order[] = [];
  #isWorking = false;
  #lease: SessionLease | null = null;
  /** Of the writer and of claims. */
  #fence: FenceValue = { session: 0, token: 0 };
  #counted: ReportedCounts | null = null;
  #mustCount = false;
  #doubtful: RequestUuid[] = [];
  #wokenAt = -Infinity;
  #isLost = false;
  #isServing = false;
  #isAlone = true;
  #isCounting = false;

  constructor(
    link: Link,
    host: ClientHost,
    claimant: Claimant,
    timeoutMs: number,
    events: StoreClientEvents,
    watch: Watch = new Watch(),
  ) {
    this.#host = host;
    this.#claimant = claimant;
    this.#timeoutMs = timeoutMs;
    this.#events = events;
    this.#watch = watch;
    const { clock, random, tally } = host;
    const connectionHost: ConnectionHost = {
      ...{ clock, random, tally },
      later: (ms, action) => host.later(ms, action),
      connected: () => this.#connected(),
      unreachable: () => this.#unreachable(),
    };
    const persistent = (): PersistentConnection =>
      new PersistentConnection(link, connectionHost, timeoutMs);
    this.#writes = persistent();
    this.#reads = persistent();
    this.#claiming = persistent();
    this.#leases = persistent();
    this.#server = link.server;
    this.#delayMaxMs = link.weather.delayMaxMs;
    begin(this.#open(connectionHost));
  }

  /** Its process has ended. */
  destroy(): void {
    this.#server.listeners.delete(this.#hinted);
    for (const persistent of [this.#writes, this.#reads, this.#claiming, this.#leases]) {
      persistent.destroy();
    }
  }

  get #now(): number {
    return this.#host.clock.now;
  }

  get #until(): number {
    return this.#now + this.#timeoutMs;
  }

  // ---------------------------------------------------------------- start

  *#open(connectionHost: ConnectionHost): Routine<void> {
    const claimant = this.#claimant;
    try {
      const session = yield* this.#leases.use(this.#until, (until) =>
        take(this.#leases, until, claimant),
      );
      this.#fence = { session, token: 0 };
      const tally = yield* this.#leases.use(this.#until, (until) =>
        read(this.#leases, until, (database) => database.count()),
      );
      this.#counted = new ReportedCounts(tally);
      const renewedAt = this.#now;
      const storeMs = yield* this.#leases.use(this.#until, (until) =>
        read(this.#leases, until, (database) => database.renew(session)),
      );
      if (storeMs === null) throw new FenceDown('the session was ended at once');
      this.#keep(connectionHost, session);
      const counts = this.#counts.takeAll();
      const firstTransaction = session * SESSION_TRANSACTIONS + 1;
      this.#isServing = true;
      this.#server.listeners.add(this.#hinted);
      this.#tell((events) => {
        events.opened({ counts, session, firstTransaction, renewedAt, storeMs });
      });
    } catch (error) {
      if (!(error instanceof FenceDown)) mustBeOfNetwork(error);
      this.#tell((events) => events.notOpened());
    }
  }

  #keep(connectionHost: ConnectionHost, session: number): void {
    this.#lease = new SessionLease(
      this.#leases,
      connectionHost,
      this.#claimant,
      session,
      this.#watch,
      {
        renewed: (sentAt, storeMs) => this.#tell((events) => events.renewed(sentAt, storeMs)),
        ended: () => this.#tell((events) => events.ended()),
        taken: (taken) => {
          this.#fence = { session: taken, token: 0 };
          this.#doubtful = [];
          this.#tell((events) => events.taken(taken));
        },
        accompanied: (others) => this.#accompanied(others),
        otherEnded: (other) => this.#host.otherEnded(other),
      },
    );
  }

  #tell(message: (events: StoreClientEvents) => void): void {
    this.#host.tell(() => message(this.#events));
  }

  #connected(): void {
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#tell((events) => events.returned());
  }

  #unreachable(): void {
    if (!this.#isServing || this.#isLost) return;
    this.#isLost = true;
    this.#tell((events) => events.lost());
  }

  // ---------------------------------------------------------------- orders of the machines

  commit(
    _transaction: Transaction,
    changes: readonly Change[],
    completion: Completion<readonly ChangeResult[]>,
  ): void {
    // The order is packed when it is sent.
    const packed = changes.map((change) => ({ ...change }));
    this.#order(() => this.#commitOrder(packed, completion));
  }

  list(): void {
    throw new Error('the requests of a shared store are claimed');
  }

  listKept(after: number, completion: Completion<readonly StoredRequest[]>): void {
    this.#order(() => this.#answer((database) => database.listKept(after), completion));
  }

  load(
    uuids: readonly RequestUuid[],
    completion: Completion<readonly (StoredContent | null)[]>,
  ): void {
    this.#order(() => this.#answer((database) => database.load(uuids), completion));
  }

  lookUp(uuid: RequestUuid, replyBytesMax: number, completion: Completion<Found>): void {
    this.#order({ uuid, replyBytesMax, completion });
  }

  claim(order: ClaimOrder, completion: Completion<readonly ClaimedRequest[]>): void {
    this.#host.later(0, () => begin(this.#claim(order, completion)));
  }

  /** Each of the others hears of it, or does not, if it is connected then. */
  hint(hint: Hint): void {
    const { random } = this.#host;
    for (const hinted of this.#server.listeners) {
      if (hinted === this.#hinted || !random.chance(HINT_CHANCE)) continue;
      this.#host.later(random.int(0, this.#delayMaxMs), () => {
        if (this.#server.listeners.has(hinted) && this.#server.isUp) hinted(hint);
      });
    }
  }

  async close(): Promise<void> {
    await Promise.reject(new Error('the simulation ends processes, not stores'));
  }

  #order(order: Order): void {
    this.#host.later(0, () => {
      this.#orders.push(order);
      if (!this.#isWorking) begin(this.#work());
    });
  }

  *#work(): Routine<void> {
    this.#isWorking = true;
    for (let order = this.#orders.shift(); order !== undefined; order = this.#orders.shift()) {
      if (typeof order === 'function') yield* order();
      else yield* this.#lookUpAll(order);
    }
    this.#isWorking = false;
  }

  /** @throws if this broker has no session now */
  #mustBeReady(): void {
    if (this.#lease?.session === null) throw new Refused('this broker has no session now');
  }

  // ---------------------------------------------------------------- commits

  *#commitOrder(
    changes: readonly Change[],
    completion: Completion<readonly ChangeResult[]>,
  ): Routine<void> {
    let { session } = this.#fence;
    try {
      this.#mustBeReady();
      if (this.#mustCount || this.#doubtful.length > 0) yield* this.#settled();
      yield* this.#tellFoundClaimed();
      session = this.#fence.session;
      const { results, counts } = yield* this.#commit(changes);
      if (this.#fence.session !== session && this.#doubt(changes)) {
        this.#tell((events) => events.counted(counts));
        throw new UnknownOutcome('outcome unknown: the session has ended meanwhile');
      }
      this.#tell((events) => {
        events.counted(counts);
        completion.done(results);
      });
    } catch (error) {
      this.#fail([completion], error, session);
    }
  }

  /** Waits until no batch of this session is under way, on whatever connection. */
  *#settled(): Routine<void> {
    yield* this.#writes.use(this.#until, (until) => this.#newToken(this.#writes, until));
  }

  /** When all that was sent in the present one and has arrived has ended. */
  *#newToken(persistent: PersistentConnection, until: number): Routine<void> {
    const { session } = this.#fence;
    const run = (database: SharedDatabase): number => database.newToken(session);
    this.#learn(
      session,
      yield* persistent.ask(until, { run, fence: null, alone: () => [session] }),
    );
  }

  #learn(session: number, token: number): void {
    if (session !== this.#fence.session) return;
    this.#fence = { session, token: Math.max(token, this.#fence.token) };
  }

  /** Sends something that is fenced; and again, if the token was raised meanwhile. */
  *#pass<Result>(
    persistent: PersistentConnection,
    until: number,
    run: (database: SharedDatabase, fence: FenceValue) => Result | null,
  ): Routine<Result> {
    for (;;) {
      const fence = this.#fence;
      const done = yield* persistent.ask(until, {
        run: (database) => run(database, fence),
        ...{ fence: fence.session, alone: NOBODY },
      });
      if (done !== null) return done;
      if (fence.token === this.#fence.token) {
        const { session } = fence;
        const token = yield* read(persistent, until, (database) => database.token(session));
        this.#learn(session, token ?? 0);
      }
      if (fence.session !== this.#fence.session || fence.token === this.#fence.token) {
        throw new FenceDown('the session of this broker has ended');
      }
    }
  }

  *#tellFoundClaimed(): Routine<void> {
    if (this.#doubtful.length === 0) return;
    const asked = this.#doubtful;
    const { session } = this.#fence;
    this.#doubtful = [];
    let claimed: readonly StoredRequest[];
    try {
      claimed = yield* this.#read((database) => database.claimedOf(asked, session));
    } catch (error) {
      this.#doubtful.push(...asked);
      throw error;
    }
    if (claimed.length === 0) return;
    this.#tell((events) => events.foundClaimed(claimed));
  }

  *#commit(changes: readonly Change[]): Routine<Committed> {
    const sent = { mayBeDone: false };
    if (this.#mustCount) yield* this.#countAnew();
    try {
      const committed = yield* this.#writes.use(this.#until, (until) =>
        this.#commitOnce(until, changes, sent),
      );
      if (!this.#mustCount) return committed;
      yield* this.#countQuietly();
      return { results: committed.results, counts: this.#counts.takeAll() };
    } catch (error) {
      if (!sent.mayBeDone) throw error;
      this.#mustCount = true;
      this.#doubt(changes);
      throw new UnknownOutcome('outcome unknown');
    }
  }

  /** @returns false if they claim nothing */
  #doubt(changes: readonly Change[]): boolean {
    const claimed = changes.flatMap((change) =>
      change.kind === 'accept' && change.claim !== undefined ? [change.request.uuid] : [],
    );
    this.#doubtful.push(...claimed);
    return claimed.length > 0;
  }

  *#commitOnce(
    until: number,
    changes: readonly Change[],
    sent: { mayBeDone: boolean },
  ): Routine<Committed> {
    const isAgain = sent.mayBeDone;
    if (isAgain) yield* this.#newToken(this.#writes, until);
    sent.mayBeDone = true;
    let done: BatchDone;
    try {
      done = yield* this.#pass(this.#writes, until, (database, fence) =>
        database.commit(fence, changes, isAgain),
      );
    } catch (error) {
      if (error instanceof FenceDown) sent.mayBeDone = isAgain;
      throw error;
    }
    this.#mustCount = isAgain;
    const counts = this.#counts.apply(done.deltas);
    return { results: done.results, counts };
  }

  get #counts(): ReportedCounts {
    return present(this.#counted, 'it has been opened');
  }

  *#countAnew(): Routine<void> {
    const tally = yield* this.#writes.use(this.#until, (until) =>
      read(this.#writes, until, (database) => database.count()),
    );
    this.#counts.replace(tally);
    this.#mustCount = false;
  }

  /** It is committed, whatever becomes of the counting. */
  *#countQuietly(): Routine<void> {
    try {
      yield* this.#countAnew();
    } catch (error) {
      mustBeOfNetwork(error);
      // It is counted before the next batch.
    }
  }

  // ---------------------------------------------------------------- counts

  #accompanied(others: number): void {
    const wasAlone = this.#isAlone;
    this.#isAlone = others === 0;
    if (!wasAlone || !this.#isAlone) this.#countLater();
  }

  #countLater(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#host.later(COUNT_PAUSE_MS, () => begin(this.#countAgain()));
  }

  *#countAgain(): Routine<void> {
    try {
      this.#counts.replace(yield* this.#read((database) => database.count()));
      this.#mustCount = false;
      const counts = this.#counts.takeAll();
      this.#tell((events) => events.counted(counts));
    } catch (error) {
      mustBeOfNetwork(error);
      // It is tried again with the next one.
    }
    this.#isCounting = false;
    if (!this.#isAlone) this.#countLater();
  }

  // ---------------------------------------------------------------- claims

  *#claim(order: ClaimOrder, completion: Completion<readonly ClaimedRequest[]>): Routine<void> {
    const { session } = this.#fence;
    try {
      this.#mustBeReady();
      const claimed = yield* this.#claimed(session, order);
      if (this.#fence.session !== session) throw new Refused('the session has ended meanwhile');
      this.#tell(() => completion.done(claimed));
    } catch (error) {
      this.#fail([completion], error, session);
    }
  }

  *#claimed(session: number, order: ClaimOrder): Routine<readonly ClaimedRequest[]> {
    let isAgain = false;
    return yield* this.#claiming.use(
      this.#until,
      function* (this: StoreClient, until: number): Routine<readonly ClaimedRequest[]> {
        if (isAgain && order.wanted.length > 0) throw new Uncertain('a claim was under way');
        isAgain = true;
        return yield* this.#claimOnce(until, session, order);
      }.bind(this),
    );
  }

  /** What another session claims would be known to nobody. */
  *#ofSession<Result>(
    until: number,
    session: number,
    run: (database: SharedDatabase, fence: FenceValue) => Result | null,
  ): Routine<Result> {
    if (session !== this.#fence.session) throw new Refused('the session has ended meanwhile');
    return yield* this.#pass(this.#claiming, until, run);
  }

  *#claimOnce(
    until: number,
    session: number,
    { wanted, released, known }: ClaimOrder,
  ): Routine<readonly ClaimedRequest[]> {
    const persistent = this.#claiming;
    if (known !== null) {
      yield* this.#newToken(persistent, until);
      yield* this.#ofSession(until, session, (database, fence) =>
        database.freeUnknown(fence, known),
      );
    }
    if (released.length > 0) {
      yield* this.#ofSession(until, session, (database, fence) =>
        database.release(fence, released),
      );
    }
    if (wanted.length === 0) return [];
    if (this.#now >= this.#wokenAt + WAKE_MS) {
      this.#wokenAt = this.#now;
      const wake = (database: SharedDatabase): void => database.wake();
      yield* persistent.ask(until, { run: wake, fence: null, alone: NOBODY });
    }
    return yield* this.#ofSession(until, session, (database, fence) =>
      database.claim(fence, wanted),
    );
  }

  // ---------------------------------------------------------------- reads

  *#read<Result>(run: (database: SharedDatabase) => Result): Routine<Result> {
    return yield* this.#reads.use(this.#until, (until) => read(this.#reads, until, run));
  }

  *#answer<Result>(
    run: (database: SharedDatabase) => Result,
    completion: Completion<Result>,
  ): Routine<void> {
    try {
      const result = yield* this.#read(run);
      this.#tell(() => completion.done(result));
    } catch (error) {
      this.#fail([completion], error);
    }
  }

  /** With all that follow it at once. */
  *#lookUpAll(first: LookUp): Routine<void> {
    const asked = [first];
    while (asked.length < LOOK_UPS_MAX) {
      const next = this.#orders[0];
      if (next === undefined || typeof next === 'function') break;
      asked.push(next);
      this.#orders.shift();
    }
    try {
      const found = yield* this.#read((database) =>
        asked.map(({ uuid, replyBytesMax, completion }) => ({
          ...{ completion, found: database.lookUp(uuid, replyBytesMax) },
        })),
      );
      this.#tell(() => {
        for (const each of found) each.completion.done(each.found);
      });
    } catch (error) {
      this.#fail(
        asked.map(({ completion }) => completion),
        error,
      );
    }
  }

  /** @throws what is no fault of the simulated world */
  #fail(
    completions: readonly Pick<Completion<never>, 'failed'>[],
    error: unknown,
    session = this.#fence.session,
  ): void {
    if (error instanceof FenceDown) this.#lease?.foundEnded(session);
    if (!(error instanceof Refused)) mustBeOfNetwork(error);
    const failure: StoreFailure = { kind: 'busy', message: messageOf(error) };
    this.#tell(() => {
      for (const completion of completions) completion.failed(failure);
    });
  }
}

function read<Result>(
  persistent: PersistentConnection,
  until: number,
  run: (database: SharedDatabase) => Result,
): Routine<Result> {
  return persistent.ask(until, { run, fence: null, alone: NOBODY });
}
