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
} from './store.js';
import { Uuids } from './uuid.js';
import { Writer } from './writer.js';

const STATUS_NO_SUCH_SERVICE = Buffer.from('501');

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
  readonly #dispatcher: Dispatcher;
  readonly #writer: Writer;
  readonly #answers: Answers;
  readonly #list: (list: number, after: number) => void;
  #counts: StoreCounts = { pending: 0, replied: 0, dead: 0, bytes: 0, nextNumber: 1 };
  #nextNumber = 1;
  #lastList = NO_LIST;
  /** Pending requests are being listed from the store: which list, after which number, since when. */
  #listing = { list: NO_LIST, after: 0, since: 0 };
  /** When a list that failed is tried again. */
  #listAgainAt = Infinity;
  /** Accepted, but not committed. */
  #accepting = 0;
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
    this.#answers = new Answers((look, uuid) => {
      store.lookUp(look, uuid);
    });
    this.#dispatcher = new Dispatcher(options.maxInFlight, (load, uuids) => {
      store.load(load, uuids);
    });
    this.#writer = new Writer((changes) => {
      store.commit(replica.begin(), changes);
    });
    this.#list = (list, after) => {
      store.list(list, after);
    };
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
    this.#counts = counts;
    this.#nextNumber = counts.nextNumber;
    this.#listing.since = this.#now;
    this.#listAfter(0);
  }

  /** False while some of what is pending is not known yet. */
  get isRestored(): boolean {
    return this.#listing.list === NO_LIST;
  }

  #listAfter(after: number): void {
    this.#listing.list = ++this.#lastList;
    this.#listing.after = after;
    this.#list(this.#lastList, after);
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
        this.#accepted(id, request, result);
      },
      failed: (failure) => {
        this.#accepting--;
        // Of a fatal failure nobody knows what is on the disk: it gets no answer, and the process ends.
        if (failure.kind !== 'fatal') this.#answers.answer(id, status(500, failure.message));
        return false;
      },
    });
  }

  #accepted(id: number, request: StoredRequest, result: ChangeResult): void {
    if (result.kind === 'known') {
      this.#answers.answer(id, STATUS_OK, Buffer.from(uuidText(result.uuid)));
      return;
    }
    this.counters.accepted++;
    const slot = this.#dispatcher.open(request, this.#now, this.#wall);
    this.#trace?.({
      name: 'titanic.accepted',
      uuid: beginning(request.uuid),
      service: this.#dispatcher.serviceOf(slot).shown,
    });
    this.#answers.answer(id, STATUS_OK, Buffer.from(uuidText(request.uuid)));
  }

  /**
   * Why the store takes no change of a client's now, or `null`. When it has been in trouble for a
   * while, the next change is let through and shows whether it still is.
   */
  #storeObstacle(): string | null {
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
    if (this.#dispatcher.index.find(uuid) === NO_SLOT) {
      this.#answers.lookUp(id, uuid, this.#now + waitMs);
    } else this.#answers.pending(id, uuid, waitMs, this.#now);
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
    this.#intend(change, 0, {
      committed: ({ kind }) => {
        this.#ends(uuid, 'closed');
        this.#ended(uuid);
        decided(kind === 'done' ? 'done' : 'passed');
      },
      failed: (failure) => {
        if (slot !== NO_SLOT && before !== ENDING) this.#resume(uuid, before);
        decided(failure);
        return false;
      },
    });
  }

  // ---------------------------------------------------------------- operators

  /** @param reading where lists of what is stored come from */
  operator(reading: Reading): Operator {
    return new Operator(
      {
        dispatcher: this.#dispatcher,
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

  roomAt(service: Buffer): void {
    this.#dispatcher.roomAt(service);
  }

  dispatched(slot: Slot, worker: number): void {
    if (!this.#dispatcher.isWithBroker(slot)) return;
    this.#dispatcher.dispatched(slot, worker, this.#wall);
    this.#trace?.({
      name: 'titanic.dispatched',
      uuid: beginning(this.#dispatcher.index.uuid(slot)),
      worker,
    });
  }

  replied(slot: Slot, frames: Frames, from: number): void {
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
      failed: () => true,
    });
  }

  failed(slot: Slot, reason: string, isKnown: boolean): void {
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
      failed: () => true,
    });
  }

  handedBack(slot: Slot): void {
    if (this.#dispatcher.isWithBroker(slot)) this.#dispatcher.handedBack(slot);
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

  committed(_batch: number, results: readonly ChangeResult[], counts: StoreCounts): void {
    this.#counts = counts;
    if (this.#trouble !== null) {
      this.#trouble = null;
      this.#events.emit({ name: 'store.healed' });
    }
    this.#writer.committed(results, this.#now);
  }

  batchFailed(_batch: number, failure: StoreFailure): void {
    if (this.#trouble === null) {
      this.#events.emit({ name: 'store.failed', kind: failure.kind, text: failure.message });
    }
    this.#trouble = failure;
    if (failure.kind === 'fatal') {
      // What was written before may be lost: nothing is acknowledged or shown any more.
      this.#sweepAt = Infinity;
      this.#answers.isUntrusted = true;
    }
    this.#writer.failed(failure, this.#now);
  }

  loaded(load: number, bodies: readonly (Buffer | null)[]): void {
    this.#dispatcher.loaded(load, bodies);
  }

  found(look: number, found: Found): void {
    this.#answers.found(look, found, this.#now);
  }

  lookFailed(look: number): void {
    this.#answers.lookFailed(look, this.#now);
  }

  loadFailed(load: number): void {
    this.#dispatcher.loadFailed(load, this.#now, READ_RETRY_MS);
  }

  // ---------------------------------------------------------------- a turn

  /** Everything that is due. `host` and `desk` are the broker, which is not inside of an input now. */
  run(now: number, wall: number, host: BrokerHost, desk: BrokerDesk): void {
    this.setTime(now, wall);
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
    if (this.#answers.areDue) return 0;
    const mayWork = this.#mayWork;
    if (mayWork && this.#dispatcher.isHungry) return 0;
    const sweepAt = this.#isSweeping ? Infinity : this.#sweepAt;
    const { dueAt } = this.#dispatcher;
    const patienceMs =
      Math.min(this.#answers.dueAt, this.#writer.dueAt, sweepAt, dueAt, this.#listAgainAt) - now;
    const expiryMs = mayWork ? this.#dispatcher.expiryAt - wall : Infinity;
    return Math.max(0, Math.min(patienceMs, expiryMs));
  }

  /** False while what would come of it could not be stored: then nothing new is begun. */
  get #mayWork(): boolean {
    return this.#trouble === null && !this.#writer.isFull;
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
        failed: () => true,
      });
    }
    return false;
  }

  /** Replies that nobody closed, and the dead, are dropped when their time is over. */
  #sweep(now: number, wall: number): void {
    if (now < this.#sweepAt || this.#isSweeping) return;
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

/** What may be shown of it: time and twelve of its random bits. */
function beginning(uuid: RequestUuid): string {
  return uuidText(uuid).slice(0, 16);
}
