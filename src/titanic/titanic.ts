/**
 * The Titanic machine (9/TSP; D12, D16): requests that outlive their client, their workers and this
 * process. `titanic.*` are internal services of the broker; stored requests go out through it as
 * those of its internal client. No I/O: a store, which commits in batches, stands behind it.
 *
 * Two clocks: `now` is monotonic milliseconds (patience), `wall` milliseconds since 1970 (all that
 * is stored). The broker and the store tell it things at any time; it acts on them in `run`.
 */
import type { Frames } from '../core/frames.js';
import { pack, packedBytes } from '../core/packed.js';
import type { RandomFill } from '../core/random.js';
import type {
  BrokerDesk,
  BrokerHost,
  InternalClient,
  InternalRequest,
  InternalService,
} from '../broker/ports.js';
import {
  readTspRequest,
  readTspSubmit,
  readTspUuid,
  readTspWait,
  TITANIC_CLOSE,
  TITANIC_PREFIX,
  TITANIC_REPLY,
  TITANIC_REQUEST,
  TITANIC_SERVICES,
  TITANIC_SUBMIT,
  TITANIC_WAIT,
  type TspFault,
  type TspRequest,
  uuidText,
} from '../wire/tsp.js';
import type { Decided } from './bulk.js';
import { Answers, status, STATUS_OK, unpacked } from './answers.js';
import type { Commits } from './commits.js';
import { Dispatcher } from './dispatcher.js';
import {
  TitanicCounters,
  type TitanicEnd,
  type TitanicEvents,
  type TitanicTrace,
} from './events.js';
import {
  ATTEMPTS,
  ATTEMPTS_MAX,
  ENDING,
  GENERATION,
  NO_SLOT,
  SETTLING,
  type Slot,
  STATE,
} from './open-index.js';
import { Operator } from './operator.js';
import type { TitanicOptions } from './options.js';
import type { Reading } from './reading.js';
import type { Replica } from './replica.js';
import type {
  Change,
  ChangeResult,
  Found,
  RequestUuid,
  Store,
  StoreCounts,
  StoredRequest,
  StoreEvents,
  StoreFailure,
  Transaction,
} from './store.js';
import { Uuids } from './uuid.js';
import { type Handed, Writer } from './writer.js';

const STATUS_NO_SUCH_SERVICE = Buffer.from('501');

const OUTCOME_UNKNOWN = 'outcome unknown';
/** It is in this store; whether it is in the peer's, as was promised, nobody knows. */
const DOUBTFUL: StoreFailure = {
  kind: 'busy',
  message: `${OUTCOME_UNKNOWN}: the peer was lost meanwhile`,
};
/** What becomes of what is under way when a node steps down. */
const STEPPED_DOWN: StoreFailure = {
  kind: 'busy',
  message: `${OUTCOME_UNKNOWN}: this node is not active any more`,
};
const NOT_ACTIVE = 'this node is not active';
/** Reads that one activation can ask for: their numbers are of one row. */
const LIFE_READS = 2 ** 40;

/** How often what is over in the store (unclosed replies, dead requests, keys) is dropped. */
const SWEEP_MS = 10_000;
const SWEEP_REQUESTS_MAX = 1000;
/** After a read that failed. */
const READ_RETRY_MS = 1000;
/** Requests whose time is over that are ended in one turn. */
const TURN_EXPIRIES_MAX = 4096;

/** What follows the commit of a change, or its failure: see `Intent`. */
interface Outcome {
  readonly committed: (result: ChangeResult) => void;
  readonly doubtful?: (result: ChangeResult) => void;
  readonly failed: (failure: StoreFailure) => boolean;
}

/** What Titanic asks of its store; the rest is for the pair. */
export type TitanicStore = Pick<Store, 'commit' | 'list' | 'load' | 'lookUp'>;
export type ToldTitanic = Omit<StoreEvents, 'merged' | 'mergeFailed' | 'chunk' | 'readFailed'>;

/** What is not listed has this for a number: no list has it. */
const NO_LIST = 0;

export class Titanic implements InternalService, InternalClient, ToldTitanic {
  readonly prefix: Buffer = TITANIC_PREFIX;
  readonly counters: TitanicCounters = new TitanicCounters();
  readonly #options: TitanicOptions;
  readonly #events: TitanicEvents;
  readonly #uuids: Uuids;
  readonly #random: RandomFill;
  readonly #replica: Replica;
  readonly #store: TitanicStore;
  #dispatcher: Dispatcher;
  #writer: Writer;
  #answers: Answers;
  /** It serves; else it sleeps, and knows of no request. */
  #isActive = false;
  /** Counts activations: what the store tells of one that is over is of no interest. */
  #life = 0;
  /** The broker's numbers of requests of the life before, which it is to forget. */
  #leftBehind = new Map<Slot, number>();
  /** What was found while a batch that the peer has not confirmed is in the store. */
  #withheld: { readonly look: number; readonly found: Found }[] = [];
  /** Requests that a merge made pending while their end was on its way to the store. */
  readonly #reopening = new Map<string, StoredRequest>();
  #counts: StoreCounts = { pending: 0, replied: 0, dead: 0, bytes: 0, nextNumber: 1 };
  #nextNumber = 1;
  #lastList = NO_LIST;
  /** Pending requests are being listed from the store: which list, after which number, since when. */
  #listing = { list: NO_LIST, after: 0, since: 0 };
  /** When a list that failed is tried again. */
  #listAgainAt = Infinity;
  /** Accepted, but not committed. */
  #accepting = 0;
  /** Not committed yet: see `#recall`. */
  #recalls = 0;
  /** `strict`: the store has what the peer did not confirm before it was lost. */
  #isDoubtful = false;
  #trouble: StoreFailure | null = null;
  #sweepAt = -Infinity;
  #isSweeping = false;
  #trace: TitanicTrace | null = null;
  #now = 0;
  #wall = 0;

  constructor(
    options: TitanicOptions,
    store: TitanicStore,
    replica: Replica,
    events: TitanicEvents,
    random: RandomFill,
  ) {
    this.#options = options;
    this.#events = events;
    this.#random = random;
    this.#uuids = new Uuids(random);
    this.#replica = replica;
    this.#store = store;
    this.#answers = this.#newAnswers();
    this.#dispatcher = this.#newDispatcher();
    this.#writer = this.#newWriter();
  }

  #newAnswers(): Answers {
    const first = this.#life * LIFE_READS;
    return new Answers(
      (look, uuid) => {
        this.#store.lookUp(first + look, uuid);
      },
      () => this.#replica.probe(),
      (uuid) => this.#isWithheld(uuid),
    );
  }

  #newDispatcher(): Dispatcher {
    const first = this.#life * LIFE_READS;
    return new Dispatcher(this.#options.maxInFlight, (load, uuids) => {
      this.#store.load(first + load, uuids);
    });
  }

  #newWriter(): Writer {
    const commit = (changes: readonly Change[]): Handed => {
      const transaction = this.#begin();
      const awaits = this.#replica.shipped(transaction, changes);
      this.#store.commit(transaction, changes);
      return { number: transaction.number, awaits };
    };
    // D21: `strict` shows no step that one disk has alone, so it makes none.
    return new Writer(commit, () => this.#replica.refusal === null);
  }

  /** What is recalled leaves its mark here, too: the peer may be lost before it hears of it. */
  #begin(): Transaction {
    const transaction = this.#replica.begin();
    const isMarked = this.#recalls > 0 && transaction.tombstones === 'known';
    return isMarked ? { ...transaction, tombstones: 'all' } : transaction;
  }

  /** A reply, or that it is dead, is on its way to both disks: it is not called pending any more. */
  #isWithheld(uuid: RequestUuid): boolean {
    const { index } = this.#dispatcher;
    const slot = index.find(uuid);
    return this.#replica.isPaired && slot !== NO_SLOT && index.get(slot, STATE) === SETTLING;
  }

  // ---------------------------------------------------------------- start and end

  /**
   * The time of what comes next, in milliseconds: at the start of each turn, before its inputs.
   * @param now monotonic
   * @param wall since 1970, whole
   */
  setTime(now: number, wall: number): void {
    this.#now = now;
    this.#wall = wall;
  }

  /**
   * From now on it serves, from what is in its store: what is pending comes piece by piece, while
   * new requests, look-ups and closes are done at once.
   * @param counts of the store now
   */
  activate(counts: StoreCounts): void {
    this.#isActive = true;
    this.#counts = counts;
    this.#nextNumber = counts.nextNumber;
    this.#listing.since = this.#now;
    this.#listAfter(0);
  }

  /**
   * It sleeps from now on: what is only in memory is forgotten, nobody is answered any more, and
   * what is with the broker is withdrawn in the next turn. What is on its way to the store gets there.
   */
  deactivate(): void {
    this.#isActive = false;
    this.#life++;
    this.#leftBehind = new Map([...this.#leftBehind, ...this.#dispatcher.withBroker]);
    // Operators are told; what clients would be answered is forgotten with the rest.
    this.#writer.abandon(STEPPED_DOWN);
    this.#dispatcher = this.#newDispatcher();
    this.#answers = this.#newAnswers();
    const { commits } = this.#writer;
    this.#writer = this.#newWriter();
    this.#writer.commits = commits;
    this.#withheld = [];
    this.#reopening.clear();
    this.#listing.list = NO_LIST;
    this.#listAgainAt = Infinity;
    this.#accepting = 0;
    this.#recalls = 0;
    this.#isDoubtful = false;
    this.#isSweeping = false;
    this.#sweepAt = -Infinity;
    this.#trouble = null;
  }

  /** False while some of what is pending is not known yet. */
  get isRestored(): boolean {
    return this.#listing.list === NO_LIST;
  }

  #listAfter(after: number): void {
    this.#listing.list = ++this.#lastList;
    this.#listing.after = after;
    this.#store.list(this.#lastList, after);
  }

  listed(list: number, requests: readonly StoredRequest[]): void {
    if (list !== this.#listing.list) return;
    const last = requests.at(-1);
    if (last === undefined) {
      this.#listing.list = NO_LIST;
      const { pending, replied, dead } = this.#counts;
      const tookMs = Math.round(this.#now - this.#listing.since);
      this.#events.emit({ name: 'titanic.recovered', pending, replied, dead, tookMs });
      return;
    }
    // The store reads the next ones meanwhile.
    this.#listAfter(last.number);
    for (const request of requests) {
      if (this.#dispatcher.index.find(request.uuid) === NO_SLOT) this.#restore(request);
    }
  }

  listFailed(list: number): void {
    if (list === this.#listing.list) this.#listAgainAt = this.#now + READ_RETRY_MS;
  }

  #restore(request: StoredRequest): void {
    const slot = this.#dispatcher.open(request, this.#now, this.#wall);
    // The process ended between its last attempt and its end.
    if (request.attempts < request.maxAttempts) return;
    this.#die(slot, request.attempts, 'the broker stopped');
  }

  get counts(): StoreCounts {
    return this.#counts;
  }

  /** What others than this machine have changed in its store. */
  counted(counts: StoreCounts): void {
    this.#counts = counts;
    this.#nextNumber = Math.max(this.#nextNumber, counts.nextNumber);
  }

  /** Stored requests with the broker. */
  get inFlight(): number {
    return this.#dispatcher.inFlight;
  }

  get commits(): Commits {
    return this.#writer.commits;
  }

  /** Stored requests at workers. */
  get delivered(): number {
    return this.#dispatcher.delivered;
  }

  /** Why nothing can be stored at present, or `null`. */
  get trouble(): StoreFailure | null {
    return this.#trouble;
  }

  /** Everything that was decided is committed. */
  get isSettled(): boolean {
    return this.#writer.isIdle && !this.#answers.areDue;
  }

  /** Every step of every stored request is told from now on; `null`: no longer. */
  follow(trace: TitanicTrace | null): void {
    this.#trace = trace;
  }

  // ---------------------------------------------------------------- titanic.*

  offers(service: Buffer): boolean {
    return TITANIC_SERVICES.includes(service.toString('latin1'));
  }

  onlyAsks(service: Buffer): boolean {
    const name = service.toString('latin1');
    return name === TITANIC_REPLY || name === TITANIC_WAIT;
  }

  request(request: InternalRequest): void {
    const { id, frames, body } = request;
    switch (request.service.toString('latin1')) {
      case TITANIC_REQUEST:
        this.#accept(id, frames, readTspRequest(frames, body));
        return;
      case TITANIC_SUBMIT:
        this.#accept(id, frames, readTspSubmit(frames, body));
        return;
      case TITANIC_REPLY: {
        const uuid = readTspUuid(frames, body);
        if ('fault' in uuid) this.#refuse(id, uuid);
        else this.#lookUp(id, uuid, 0);
        return;
      }
      case TITANIC_WAIT: {
        const wait = readTspWait(frames, body);
        if (wait.fault === null) this.#lookUp(id, wait.uuid, wait.waitMs);
        else this.#refuse(id, wait);
        return;
      }
      case TITANIC_CLOSE: {
        const uuid = readTspUuid(frames, body);
        if ('fault' in uuid) this.#refuse(id, uuid);
        else this.#close(id, uuid);
        return;
      }
      default:
        this.#answers.answer(id, STATUS_NO_SUCH_SERVICE);
    }
  }

  #refuse(id: number, { fault }: TspFault): void {
    this.counters.malformed++;
    this.#events.emit({ name: 'titanic.malformed', reason: fault });
    this.#answers.answer(id, status(400, fault));
  }

  #accept(id: number, frames: Frames, read: TspRequest | TspFault): void {
    if (read.fault !== null) {
      this.#refuse(id, read);
      return;
    }
    const obstacle = this.#storeObstacle() ?? this.#limit();
    if (obstacle !== null) {
      this.#answers.answer(id, status(500, obstacle));
      return;
    }
    const bodyBytes = packedBytes(frames, read.body, frames.count);
    // From the pool: it lives only until it is committed.
    const body = Buffer.allocUnsafe(bodyBytes);
    pack(frames, read.body, frames.count, body, 0, false);
    const { key, priority, delayMs, ttlMs, maxAttempts } = read.options;
    const wall = this.#wall;
    const request: StoredRequest = {
      uuid: this.#uuids.next(wall),
      number: this.#nextNumber++,
      service: frames.copy(read.service),
      state: 'pending',
      priority: priority ?? 0,
      acceptedAt: wall,
      notBefore: wall + (delayMs ?? 0),
      expiresAt: wall + (ttlMs ?? this.#options.requestTtlMs),
      maxAttempts: maxAttempts ?? this.#options.maxAttempts,
      attempts: 0,
      generation: 0,
      bodyBytes,
    };
    this.#accepting++;
    this.#intend({ kind: 'accept', request, body, key }, bodyBytes, {
      committed: (result) => {
        this.#accepting--;
        this.#answers.answer(id, STATUS_OK, this.#accepted(request, result));
      },
      doubtful: (result) => {
        this.#accepting--;
        this.#accepted(request, result);
        this.#answers.answer(id, status(500, DOUBTFUL.message));
      },
      failed: (failure) => {
        this.#accepting--;
        this.#recall(request.uuid, failure);
        // Of a fatal failure nobody knows what is on the disk: it gets no answer, and the process ends.
        if (failure.kind !== 'fatal') this.#answers.answer(id, status(500, this.#lost(failure)));
        return false;
      },
    });
  }

  /** What a client is told of a request that could not be stored. */
  #lost({ message }: StoreFailure): string {
    // Were this node lost before its recall is on a disk, the peer would keep what it was sent.
    const isKnown = !this.#replica.isPaired || message.startsWith(OUTCOME_UNKNOWN);
    return isKnown ? message : `${OUTCOME_UNKNOWN}: ${message}`;
  }

  /** The peer may have what could not be stored here. */
  #recall(uuid: RequestUuid, { kind }: StoreFailure): void {
    if (!this.#replica.isPaired || kind === 'fatal') return;
    this.#recalls++;
    // Its key leads nowhere, whatever the clock on the wall does.
    this.#intend({ kind: 'close', uuid, at: this.#wall, keyUntil: 0 }, 0, {
      committed: () => {
        this.#recalls--;
      },
      failed: () => true,
    });
  }

  /** Returns the uuid that the client is told. */
  #accepted(request: StoredRequest, result: ChangeResult): Buffer {
    if (result.kind === 'known') return Buffer.from(uuidText(result.uuid));
    this.counters.accepted++;
    const slot = this.#dispatcher.open(request, this.#now, this.#wall);
    this.#trace?.({
      name: 'titanic.accepted',
      uuid: beginning(request.uuid),
      service: this.#dispatcher.serviceOf(slot).shown,
    });
    return Buffer.from(uuidText(request.uuid));
  }

  /**
   * Why the store takes no change of a client's now, or `null`. When it has been in trouble for a
   * while, the next change is let through and shows whether it still is.
   */
  #storeObstacle(): string | null {
    if (!this.#isActive) return NOT_ACTIVE;
    const { refusal } = this.#replica;
    if (refusal !== null) {
      this.#events.emit({ name: 'titanic.refused', reason: 'peer', text: refusal });
      return refusal;
    }
    const text =
      this.#trouble !== null && !this.#writer.isWilling(this.#now)
        ? this.#trouble.message
        : this.#writer.isFull
          ? 'the store cannot keep up'
          : null;
    if (text !== null) this.#events.emit({ name: 'titanic.refused', reason: 'store', text });
    return text;
  }

  /** The limit that one more request would break, or `null`. */
  #limit(): string | null {
    const { maxOpen, maxBytes } = this.#options;
    const { pending, replied, dead, bytes } = this.#counts;
    const text =
      pending + replied + dead + this.#accepting >= maxOpen
        ? 'titanic.maxOpen is reached'
        : bytes + this.#writer.bytes >= maxBytes
          ? 'titanic.maxBytes is reached'
          : null;
    if (text !== null) this.#events.emit({ name: 'titanic.refused', reason: 'limit', text });
    return text;
  }

  #lookUp(id: number, uuid: RequestUuid, waitMs: number): void {
    const { index } = this.#dispatcher;
    const slot = index.find(uuid);
    if (slot === NO_SLOT) this.#answers.lookUp(id, uuid, this.#now + waitMs);
    else if (this.#isWithheld(uuid)) this.#answers.withhold(id, uuid);
    else this.#answers.pending(id, uuid, waitMs, this.#now);
  }

  #close(id: number, uuid: RequestUuid): void {
    const obstacle = this.#storeObstacle();
    if (obstacle !== null) {
      this.#answers.answer(id, status(500, obstacle));
      return;
    }
    this.#closeRequest(uuid, (result) => {
      if (result === 'done' || result === 'passed') this.#answers.answer(id, STATUS_OK);
      else if (result.kind !== 'fatal') this.#answers.answer(id, status(500, result.message));
    });
  }

  /** Closes a request, wherever it stands. */
  #closeRequest(uuid: RequestUuid, decided: Decided): void {
    const slot = this.#dispatcher.index.find(uuid);
    const before = slot === NO_SLOT ? 0 : this.#dispatcher.index.get(slot, STATE);
    if (slot !== NO_SLOT && before !== ENDING) {
      this.#dispatcher.withdraw(slot);
      this.#dispatcher.hold(slot, ENDING);
    }
    const at = this.#wall;
    const change: Change = { kind: 'close', uuid, at, keyUntil: at + this.#options.keyTtlMs };
    const tell = once(decided);
    this.#intend(change, 0, {
      committed: ({ kind }) => {
        this.#ends(uuid, 'closed');
        this.#ended(uuid);
        tell(kind === 'done' ? 'done' : 'passed');
      },
      doubtful: () => {
        this.#gone(uuid);
        tell(DOUBTFUL);
      },
      failed: (failure) => {
        tell(failure);
        // The peer may have closed it: it is not shown again.
        const goesOn = this.#replica.isPaired && failure.kind !== 'fatal';
        if (!goesOn && slot !== NO_SLOT && before !== ENDING) this.#resume(uuid, before);
        return goesOn;
      },
    });
  }

  // ---------------------------------------------------------------- operators

  /** @param reading where lists of what is stored come from */
  operator(reading: Reading): Operator {
    const present = (): Dispatcher => this.#dispatcher;
    return new Operator(
      {
        // Another one with each activation.
        get dispatcher() {
          return present();
        },
        counts: () => this.#counts,
        wall: () => this.#wall,
        now: () => this.#now,
        obstacle: () => this.#storeObstacle(),
        close: (uuid, decided) => {
          this.#closeRequest(uuid, decided);
        },
        reopen: (uuid, generation, decided) => {
          this.#reopen(uuid, generation, decided);
        },
      },
      reading,
      this.#events,
    );
  }

  #reopen(uuid: RequestUuid, generation: number, decided: Decided): void {
    const at = this.#wall;
    const expiresAt = at + this.#options.requestTtlMs;
    this.#intend({ kind: 'retry', uuid, generation, at, expiresAt }, 0, {
      committed: (result) => {
        const isDone = result.kind === 'retried';
        // It may be known already, from a list of what is pending.
        if (isDone && this.#dispatcher.index.find(uuid) === NO_SLOT) {
          this.#dispatcher.open(result.request, this.#now, this.#wall);
        }
        decided(isDone ? 'done' : 'passed');
      },
      failed: (failure) => {
        decided(failure);
        return false;
      },
    });
  }

  /** It goes on as if the close had not come; what was at a worker begins anew. */
  #resume(uuid: RequestUuid, before: number): void {
    const slot = this.#dispatcher.index.find(uuid);
    if (slot === NO_SLOT || this.#dispatcher.index.get(slot, STATE) !== ENDING) return;
    // Its reply, or that it is dead, is still to be committed.
    if (before === SETTLING) this.#dispatcher.hold(slot, SETTLING);
    else this.#dispatcher.resume(slot, this.#now);
  }

  // ---------------------------------------------------------------- the broker tells

  /** What the broker tells may be of a life that is over. */
  get #isDeaf(): boolean {
    return !this.#isActive || this.#leftBehind.size > 0;
  }

  roomAt(service: Buffer): void {
    this.#dispatcher.roomAt(service);
  }

  dispatched(slot: Slot, worker: number): void {
    if (this.#isDeaf || !this.#dispatcher.isWithBroker(slot)) return;
    this.#dispatcher.dispatched(slot, worker, this.#wall);
    this.#trace?.({
      name: 'titanic.dispatched',
      uuid: beginning(this.#dispatcher.index.uuid(slot)),
      worker,
    });
  }

  replied(slot: Slot, frames: Frames, from: number): void {
    if (this.#isDeaf) {
      // The broker has forgotten it by itself: its number may be another's by the next turn.
      this.#leftBehind.delete(slot);
      return;
    }
    const { index } = this.#dispatcher;
    const isWanted = this.#dispatcher.isWithBroker(slot);
    this.#dispatcher.forgotten(slot);
    if (!isWanted) return;
    const uuid = index.uuid(slot);
    const reply = Buffer.allocUnsafeSlow(packedBytes(frames, from, frames.count));
    pack(frames, from, frames.count, reply, 0, false);
    const { worker } = this.#dispatcher.delivery(slot, this.#wall);
    this.#dispatcher.hold(slot, SETTLING);
    const change: Change = {
      kind: 'reply',
      uuid,
      generation: index.get(slot, GENERATION),
      reply,
      worker: String(worker),
      at: this.#wall,
      expiresAt: this.#wall + this.#options.replyTtlMs,
    };
    this.#intend(change, reply.length, {
      committed: ({ kind }) => {
        if (kind === 'done') {
          this.counters.completed++;
          this.#ends(uuid, 'replied');
        }
        this.#settled(uuid, kind, () => [STATUS_OK, ...unpacked(reply)]);
      },
      doubtful: () => {
        this.#gone(uuid);
      },
      failed: () => true,
    });
  }

  failed(slot: Slot, reason: string, isKnown: boolean): void {
    if (this.#isDeaf) {
      if (!isKnown) this.#leftBehind.delete(slot);
      return;
    }
    const { index } = this.#dispatcher;
    const wall = this.#wall;
    const { worker, startedAt } = this.#dispatcher.delivery(slot, wall);
    const isWanted = this.#dispatcher.isWithBroker(slot);
    if (!isKnown) this.#dispatcher.forgotten(slot);
    if (!isWanted) return;
    const attempts = index.get(slot, ATTEMPTS) + 1;
    index.set(slot, ATTEMPTS, attempts);
    const uuid = index.uuid(slot);
    const generation = index.get(slot, GENERATION);
    this.#trace?.({ name: 'titanic.failed', uuid: beginning(uuid), attempts, reason });
    const isLast = attempts >= index.get(slot, ATTEMPTS_MAX);
    const pauseMs = isLast ? 0 : this.#pauseMs(attempts);
    const notBefore = wall + pauseMs;
    const attempt = { worker: String(worker), startedAt, endedAt: wall, reason };
    this.#intend(
      { kind: 'attempt', uuid, generation, attempts, attempt, notBefore },
      0,
      LEAVES_NO_TRACE,
    );
    const { shown } = this.#dispatcher.serviceOf(slot);
    this.#dispatcher.hold(slot, SETTLING);
    if (!isLast) {
      this.counters.retried++;
      this.#events.emit({ name: 'titanic.retried', service: shown, reason });
      this.#dispatcher.wait(slot, this.#now + pauseMs, this.#now);
      return;
    }
    this.#die(slot, attempts, reason);
  }

  #die(slot: Slot, attempts: number, reason: string): void {
    const { index } = this.#dispatcher;
    const uuid = index.uuid(slot);
    const generation = index.get(slot, GENERATION);
    const { shown } = this.#dispatcher.serviceOf(slot);
    this.#dispatcher.withdraw(slot);
    this.#dispatcher.hold(slot, SETTLING);
    const text = `dead after ${attempts} attempts, the last: ${reason}`;
    const at = this.#wall;
    const expiresAt = at + this.#options.replyTtlMs;
    this.#intend({ kind: 'dead', uuid, generation, reason: text, at, expiresAt }, 0, {
      committed: ({ kind }) => {
        if (kind === 'done') {
          this.counters.dead++;
          this.#ends(uuid, 'dead');
          this.#events.emit({ name: 'titanic.died', service: shown, attempts, reason });
        }
        this.#settled(uuid, kind, () => [status(500, text)]);
      },
      doubtful: () => {
        this.#gone(uuid);
      },
      failed: () => true,
    });
  }

  handedBack(slot: Slot): void {
    if (this.#isDeaf || !this.#dispatcher.isWithBroker(slot)) return;
    this.#dispatcher.handedBack(slot);
  }

  /** Exponential, with jitter: from half of it to all of it. */
  #pauseMs(attempts: number): number {
    const { retryBaseMs, retryMaxMs } = this.#options;
    const whole = Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(attempts - 1, 40));
    const bytes = Buffer.alloc(4);
    this.#random(bytes);
    return Math.round(whole * (0.5 + bytes.readUInt32BE() / 2 ** 33));
  }

  // ---------------------------------------------------------------- the store tells

  committed(batch: number, results: readonly ChangeResult[], counts: StoreCounts): void {
    this.#counts = counts;
    if (!this.#writer.committed(batch, results, this.#now)) return;
    this.#showWithheld();
    if (this.#trouble !== null) {
      this.#trouble = null;
      this.#events.emit({ name: 'store.healed' });
    }
  }

  /** The peer has that transaction, too. */
  confirmed(number: number): void {
    this.#writer.released(number, false, this.#now);
    this.#showWithheld();
  }

  /** The peer was lost before it confirmed that transaction: it is committed here alone. */
  unconfirmed(number: number): void {
    const isDoubtful = this.#replica.refusal !== null;
    this.#isDoubtful ||= isDoubtful;
    this.#writer.released(number, isDoubtful, this.#now);
    // What was taken in behind it is not written (`strict`), and its client need not wait.
    if (isDoubtful) this.#writer.refuse(DOUBTFUL);
    this.#showWithheld();
  }

  /** See `Replica.probe`. */
  probed(number: number): void {
    this.#answers.probed(number);
  }

  unprobed(): void {
    this.#answers.unprobed(this.#now);
  }

  /** The store has what the peer may not have, and nobody may see (D14). */
  get #mayContainUnsafe(): boolean {
    return this.#writer.isUnconfirmed || (this.#isDoubtful && this.#replica.refusal !== null);
  }

  #showWithheld(): void {
    if (this.#withheld.length === 0 || this.#mayContainUnsafe) return;
    const withheld = this.#withheld;
    this.#withheld = [];
    for (const { look, found } of withheld) this.#answers.found(look, found, this.#now);
  }

  /**
   * What came from the peer's store is in this one.
   * @param opened pending now, and not before, or with other facts
   * @param ended pending before, and not now
   */
  merged(opened: readonly StoredRequest[], ended: readonly RequestUuid[]): void {
    const { index } = this.#dispatcher;
    for (const request of opened) {
      const slot = index.find(request.uuid);
      if (slot !== NO_SLOT && this.#isSettling(slot)) {
        this.#reopening.set(request.uuid.toString('latin1'), request);
        continue;
      }
      if (slot !== NO_SLOT) this.#dispatcher.close(slot);
      this.#restore(request);
    }
    for (const uuid of ended) {
      const slot = index.find(uuid);
      if (slot !== NO_SLOT && !this.#isSettling(slot)) this.#gone(uuid);
    }
    this.#answers.merged();
  }

  /** What follows from it comes with what is on its way to the store. */
  #isSettling(slot: Slot): boolean {
    const state = this.#dispatcher.index.get(slot, STATE);
    return state === SETTLING || state === ENDING;
  }

  batchFailed(batch: number, failure: StoreFailure): void {
    if (!this.#writer.failed(batch, failure, this.#now) && failure.kind !== 'fatal') return;
    if (this.#trouble === null) {
      this.#events.emit({ name: 'store.failed', kind: failure.kind, text: failure.message });
    }
    this.#trouble = failure;
    if (failure.kind === 'fatal') {
      // What was written before may be lost: nothing is acknowledged or shown any more.
      this.#sweepAt = Infinity;
      this.#answers.isUntrusted = true;
    }
  }

  /** The number of a read as it was asked in this life, or `null`. */
  #ofThisLife(read: number): number | null {
    const first = this.#life * LIFE_READS;
    return read > first && read < first + LIFE_READS ? read - first : null;
  }

  loaded(load: number, bodies: readonly (Buffer | null)[]): void {
    const asked = this.#ofThisLife(load);
    if (asked !== null) this.#dispatcher.loaded(asked, bodies);
  }

  found(look: number, found: Found): void {
    const asked = this.#ofThisLife(look);
    if (asked === null) return;
    if (this.#mayContainUnsafe) this.#withheld.push({ look: asked, found });
    else this.#answers.found(asked, found, this.#now);
  }

  lookFailed(look: number): void {
    const asked = this.#ofThisLife(look);
    if (asked !== null) this.#answers.lookFailed(asked, this.#now);
  }

  loadFailed(load: number): void {
    const asked = this.#ofThisLife(load);
    if (asked !== null) this.#dispatcher.loadFailed(asked, this.#now, READ_RETRY_MS);
  }

  // ---------------------------------------------------------------- a turn

  /** Everything that is due. `host` and `desk` are the broker, which is not inside of an input now. */
  run(now: number, wall: number, host: BrokerHost, desk: BrokerDesk): void {
    this.setTime(now, wall);
    for (const id of this.#leftBehind.values()) desk.withdraw(id);
    this.#leftBehind.clear();
    if (!this.#isActive) return;
    if (this.#replica.refusal === null) this.#isDoubtful = false;
    this.#showWithheld();
    this.#answers.run(now);
    if (now >= this.#listAgainAt) {
      this.#listAgainAt = Infinity;
      this.#listAfter(this.#listing.after);
    }
    const areExpired = this.#expire(wall);
    this.#sweep(now, wall);
    for (const slot of this.#dispatcher.run(desk, now, areExpired && this.#mayWork)) {
      this.#gone(this.#dispatcher.index.uuid(slot));
    }
    this.#writer.run(now);
    for (const { id, body } of this.#answers.take()) host.answer(id, body);
  }

  /** Milliseconds until `run` is due although nothing comes; Infinity for never. */
  dueInMs(now: number, wall: number): number {
    if (!this.#isActive) return this.#leftBehind.size > 0 ? 0 : Infinity;
    if (this.#answers.areDue) return 0;
    const mayWork = this.#mayWork;
    if (mayWork && this.#dispatcher.isHungry) return 0;
    const maySweep = !this.#isSweeping && this.#replica.refusal === null;
    const sweepAt = maySweep ? this.#sweepAt : Infinity;
    const { dueAt } = this.#dispatcher;
    const patienceMs =
      Math.min(this.#answers.dueAt, this.#writer.dueAt, sweepAt, dueAt, this.#listAgainAt) - now;
    const expiryMs = mayWork ? this.#dispatcher.expiryAt - wall : Infinity;
    return Math.max(0, Math.min(patienceMs, expiryMs));
  }

  /** False while what would come of it could not be stored: then nothing new is begun. */
  get #mayWork(): boolean {
    return this.#trouble === null && !this.#writer.isFull && this.#replica.refusal === null;
  }

  /** @returns true if none is left whose time is over */
  #expire(wall: number): boolean {
    for (let left = TURN_EXPIRIES_MAX; this.#mayWork; left--) {
      if (left === 0) return false;
      const slot = this.#dispatcher.nextExpired(wall);
      if (slot === NO_SLOT) return true;
      const uuid = this.#dispatcher.index.uuid(slot);
      const state = this.#dispatcher.index.get(slot, STATE);
      // What is being answered, closed or found dead right now is not late.
      if (state === SETTLING || state === ENDING) continue;
      const { shown } = this.#dispatcher.serviceOf(slot);
      this.#dispatcher.withdraw(slot);
      this.#dispatcher.hold(slot, ENDING);
      const keyUntil = wall + this.#options.keyTtlMs;
      this.#intend({ kind: 'expire', uuid, at: wall, keyUntil }, 0, {
        committed: ({ kind }) => {
          if (kind !== 'done') {
            this.#gone(uuid);
            return;
          }
          this.counters.expired++;
          this.#ends(uuid, 'expired');
          this.#events.emit({ name: 'titanic.expired', service: shown });
          this.#ended(uuid);
        },
        doubtful: () => {
          this.#gone(uuid);
        },
        failed: () => true,
      });
    }
    return false;
  }

  /** Replies that nobody closed, and the dead, are dropped when their time is over. */
  #sweep(now: number, wall: number): void {
    if (now < this.#sweepAt || this.#isSweeping || this.#replica.refusal !== null) return;
    this.#sweepAt = now + SWEEP_MS;
    this.#isSweeping = true;
    const keyUntil = wall + this.#options.keyTtlMs;
    this.#intend({ kind: 'sweep', now: wall, keyUntil, most: SWEEP_REQUESTS_MAX }, 0, {
      committed: (result) => {
        this.#isSweeping = false;
        if (result.kind !== 'swept') return;
        this.counters.expired += result.replied + result.dead;
        if (result.more) this.#sweepAt = -Infinity;
      },
      failed: () => {
        this.#isSweeping = false;
        return false;
      },
    });
  }

  // ---------------------------------------------------------------- parts

  #intend(change: Change, bytes: number, outcome: Outcome): void {
    this.#writer.add({ change, bytes, ...outcome });
  }

  #ends(uuid: RequestUuid, outcome: TitanicEnd): void {
    this.#trace?.({ name: 'titanic.ended', uuid: beginning(uuid), outcome });
  }

  /** Replied or dead: not open any more, and those who wait can be answered. */
  #settled(uuid: RequestUuid, result: ChangeResult['kind'], body: () => readonly Buffer[]): void {
    if (result !== 'done') {
      this.#gone(uuid);
      return;
    }
    const slot = this.#dispatcher.index.find(uuid);
    if (slot !== NO_SLOT) this.#dispatcher.close(slot);
    this.#answers.tell(uuid, body);
  }

  /** Not open any more, though not by us: the store knows what those who wait are to be told. */
  #gone(uuid: RequestUuid): void {
    const slot = this.#dispatcher.index.find(uuid);
    if (slot !== NO_SLOT) this.#dispatcher.close(slot);
    const key = uuid.toString('latin1');
    const request = this.#reopening.get(key);
    if (this.#reopening.delete(key) && request !== undefined) this.#restore(request);
    this.#answers.tellByLookUp(uuid);
  }

  /** Closed or expired: unknown from now on. */
  #ended(uuid: RequestUuid): void {
    const slot = this.#dispatcher.index.find(uuid);
    if (slot !== NO_SLOT) this.#dispatcher.close(slot);
    this.#answers.tellUnknown(uuid);
  }
}

const LEAVES_NO_TRACE: Outcome = {
  committed: () => undefined,
  failed: () => true,
};

/** Tells the first of what it is given. */
function once(decided: Decided): Decided {
  let isTold = false;
  return (result) => {
    if (!isTold) decided(result);
    isTold = true;
  };
}

/** What may be shown of it: time and twelve of its random bits. */
function beginning(uuid: RequestUuid): string {
  return uuidText(uuid).slice(0, 16);
}
