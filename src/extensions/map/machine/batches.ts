/**
 * Group commit: one batch is at the store at a time, what arrives meanwhile is the next one. A
 * change is numbered when its batch begins, and published when the batch is committed here and, if
 * the replica says so, at the peer (D50).
 */
import { assert } from '../../../core/assert.js';
import { FairQueue } from '../../../core/fair-queue.js';
import type { Content } from './content.js';
import type { MapCounters, MapEvents, MapRefusal } from './map-events.js';
import { compareNumbers, type MapNumber } from '../../../wire/chp-client.js';
import { type CommittedBatch, Outcomes } from './outcomes.js';
import { type Held, type PendingSet, waitingBytesOf } from './pending-sets.js';
import type { RecentUuids } from './recent-uuids.js';
import { bytesOf, type MapRecord } from './record.js';
import type { RankedOutcome } from '../../../store/ranked.js';
import type { MapReplica } from './replica.js';
import type { ServiceKeys } from './service-keys.js';
import { Draft, type SetIntent, type Step } from './steps.js';
import type { StoreFailure } from '../../../store/store.js';

/** Limits of a batch. Others wait for it, so it must take no longer than some tens of ms. */
const BATCH_SETS_MAX = 1024;
const BATCH_BYTES_MAX = 4 * 1024 * 1024;
const BATCH_EXPIRED_MAX = 512;
/** Most of the node's own changes in a batch, of each kind: of the broker's keys, and by merges. */
const BATCH_OWN_MAX = 256;
/** Maximum that waits for the store, above which KVSETs are refused. */
const WAITING_MAX = 100_000;
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** What one identity may have of it (D75). */
const IDENTITY_SHARE = 0.875;
const RETRY_MS = 1000;
/** The counter has 40 bits (D48); a batch takes fewer numbers than this. */
const COUNTERS_MAX = 2 ** 40 - 8192;

interface Batch extends CommittedBatch {
  readonly growing: number;
  isCommitted: boolean;
  awaitsPeer: boolean;
  isDoubtful: boolean;
  isUnpublished: boolean;
}

/** What becomes of changes. */
interface BatchesSink {
  publish(record: MapRecord, uuid: string): void;
  refused(reason: MapRefusal): void;
}

interface BatchesDeps {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** A batch has ended, or failed. */
  readonly ended: () => void;
  readonly content: Content;
  readonly recent: RecentUuids;
  readonly services: ServiceKeys;
  readonly replica: MapReplica;
  readonly counters: MapCounters;
  readonly events: MapEvents;
  readonly sink: BatchesSink;
  readonly held: Held;
}

export class Batches {
  /** `limits.mapBytes`. */
  bytesMax: number;
  /** See `MapStoreEvents.tombstoneBytesChanged`. */
  tombstoneBytes = 0;
  readonly #deps: BatchesDeps;
  readonly #waiting = new FairQueue<PendingSet>();
  /** How many of those that wait are of this key. */
  readonly #waitingOf = new Map<string, number>();
  /** Before those that wait: what a batch that failed leaves, and what came before this node led. */
  #first: SetIntent[] = [];
  /** How many of them have been taken. */
  #firstTaken = 0;
  announced: MapRecord[] = [];
  readonly #outcomes: Outcomes;
  #batch: Batch | null = null;
  #isServing = false;
  /** Changes that came before this node led have not all been tried. */
  #inherits = false;
  #last: MapNumber = { epoch: 0, counter: 0 };
  #trouble: StoreFailure | null = null;
  /** In trouble: when the store is given anything again, and what grows. Monotonic milliseconds. */
  #retryAt = -Infinity;
  #growAt = -Infinity;

  constructor(deps: BatchesDeps, bytesMax: number) {
    this.#deps = deps;
    this.#outcomes = new Outcomes(deps);
    this.bytesMax = bytesMax;
  }

  /** Why new values are dropped, or `null`. */
  get trouble(): StoreFailure | null {
    return this.#trouble;
  }

  /** False until all that came before this node led has been tried, and nothing older is out. */
  get hasCaughtUp(): boolean {
    return !this.#inherits && this.#batch?.isUnpublished !== true;
  }

  /** No batch is at the store, or awaits the peer. */
  get isIdle(): boolean {
    return this.#batch === null;
  }

  /** Number of changes that wait for the store or are there. */
  get waiting(): number {
    return this.#waiting.size + this.#firstLeft + (this.#batch?.steps.length ?? 0);
  }

  get #firstLeft(): number {
    return this.#first.length - this.#firstTaken;
  }

  /** Why the map takes no changes now, or `null`. */
  get #refusal(): MapRefusal | null {
    // `strict` shows nothing that is on one disk alone, so it stores nothing there either.
    if (this.#deps.replica.refusal !== null) return 'replication';
    return this.#last.counter >= COUNTERS_MAX ? 'numbers' : null;
  }

  // ---------------------------------------------------------------- begin and end

  /**
   * Begins to make batches: this node serves.
   * @param last numbers begin above this one
   * @param inherited what writers sent before, in order
   */
  start(last: MapNumber, inherited: readonly PendingSet[]): void {
    this.#isServing = true;
    this.#last = last;
    this.#setFirst(inherited.map((set) => ({ kind: 'set', ...set })));
    this.#inherits = inherited.length > 0;
    if (this.#trouble?.kind !== 'fatal') this.#retryAt = -Infinity;
  }

  /** What changes from now on has higher numbers than this one. */
  raise(number: MapNumber): void {
    if (compareNumbers(number, this.#last) > 0) this.#last = number;
  }

  /** Nothing more is published, and what waits is dropped: its writers see no echo. */
  stop(now: number): void {
    this.#isServing = false;
    this.#takeWaiting();
    this.#setFirst([]);
    this.announced = [];
    this.#inherits = false;
    const batch = this.#batch;
    if (batch === null) return;
    batch.isUnpublished = true;
    batch.awaitsPeer = false;
    if (batch.isCommitted) this.#complete(batch, now);
  }

  #setFirst(intents: SetIntent[]): void {
    this.#first = intents;
    this.#firstTaken = 0;
  }

  // ---------------------------------------------------------------- inputs

  /** Returns why the change is refused; `null`: it waits for its batch. */
  add(set: PendingSet): MapRefusal | null {
    const { writer, record } = set;
    const { identity } = writer;
    const waiting = this.#waiting;
    const share = IDENTITY_SHARE;
    if (
      waiting.size >= WAITING_MAX ||
      waiting.bytes >= WAITING_BYTES_MAX ||
      waiting.sizeOf(identity) >= WAITING_MAX * share ||
      waiting.bytesOf(identity) >= WAITING_BYTES_MAX * share
    ) {
      return 'waiting';
    }
    const bytes = waitingBytesOf(record);
    waiting.push(identity, set, bytes);
    this.#deps.held(identity, bytes);
    this.#waitingOf.set(record.key, 1 + (this.#waitingOf.get(record.key) ?? 0));
    return null;
  }

  /** Drops those of which `is` is true before a batch takes them, and returns them. */
  dropThose(is: (set: PendingSet) => boolean): PendingSet[] {
    const first = this.#first.slice(this.#firstTaken);
    this.#setFirst(first.filter((set) => !is(set)));
    if (this.#batch === null && this.#first.length === 0) this.#inherits = false;
    const dropped: PendingSet[] = first.filter(is);
    for (const set of this.#takeWaiting()) {
      if (is(set)) dropped.push(set);
      else this.add(set);
    }
    return dropped;
  }

  /** A merge put an earlier change of its writer in the place of this one, which is made again (D121). */
  restore(set: PendingSet): void {
    this.#first.push({ kind: 'set', ...set });
  }

  /** A merge put this record on the disk, perhaps over one of the batch that is at the store. */
  merged(record: MapRecord): void {
    if (this.#batch !== null) this.#outcomes.merged.set(record.key, record);
  }

  /** Then no batch begins: the hand-over waits for the one that is out. */
  get #isHandingOver(): boolean {
    return this.#deps.replica.isHandingOver === true;
  }

  /** When `run` is next due if no input arrives, but for keys that expire. */
  get dueAt(): number {
    if (!this.#isServing || this.#batch !== null || this.#isHandingOver) return Infinity;
    if (this.#deps.services.hasChanges || this.announced.length > 0) return -Infinity;
    const isIdle = this.#waiting.size === 0 && this.#firstLeft === 0;
    return isIdle ? Infinity : this.#retryAt;
  }

  /** When keys may expire; Infinity: not while a batch is out. */
  get mayExpireAt(): number {
    const isNever = this.#batch !== null || this.#refusal !== null || this.#isHandingOver;
    return isNever ? Infinity : this.#retryAt;
  }

  /** Begins the next batch, if none is at the store. Returns true if there is more to do at once. */
  run(now: number): boolean {
    const { content, recent, services, replica } = this.#deps;
    if (now < this.dueAt && now < Math.max(content.expiresAt, this.mayExpireAt)) return false;
    if (!this.#isServing || this.#batch !== null) return false;
    // Above all that is here, whoever numbered it: below, the store would not take a change (D54).
    this.raise(content.highest);
    const draft = new Draft(content, recent, services, this.#last, this.tombstoneBytes, now);
    this.#takeOwn(draft);
    const refusal = this.#refusal;
    if (refusal !== null) this.#refuseAll(refusal);
    else if (now >= this.#retryAt) this.#takeChanges(draft, now);
    this.#last = { epoch: this.#last.epoch, counter: draft.counter };
    const { steps, writes, growing } = draft;
    const isWritten = writes.length > 0;
    const state = { isCommitted: !isWritten, awaitsPeer: false, isDoubtful: false };
    const batch: Batch = { steps, growing, ...state, isUnpublished: false };
    this.#batch = batch;
    if (isWritten) {
      batch.awaitsPeer = replica.commit(writes, this.#outcomeOf(batch));
      return false;
    }
    this.#complete(batch, now);
    return now >= this.dueAt;
  }

  #outcomeOf(batch: Batch): RankedOutcome {
    const { now, ended } = this.#deps;
    return {
      done: () => {
        this.#committed(batch, now());
        ended();
      },
      failed: (failure) => {
        this.#failed(batch, failure, now());
        ended();
      },
      released: (isDoubtful) => this.#released(batch, isDoubtful, now()),
    };
  }

  /** The node's own changes. */
  #takeOwn(draft: Draft): void {
    const { services } = this.#deps;
    for (let count = 0; count < BATCH_OWN_MAX; count++) {
      const key = services.take();
      if (key === null) break;
      draft.service({ kind: 'service', key });
    }
    for (const record of this.announced.splice(0, BATCH_OWN_MAX)) {
      draft.announce({ kind: 'announce', record });
    }
  }

  #takeWaiting(): PendingSet[] {
    this.#waitingOf.clear();
    return this.#waiting.drain().map(({ party, item, bytes }) => {
      this.#deps.held(party, -bytes);
      return item;
    });
  }

  /** Refuses everything that writers sent. */
  #refuseAll(reason: MapRefusal): void {
    const refused = this.#takeWaiting().length + this.#firstLeft;
    this.#setFirst([]);
    this.#inherits = false;
    for (let count = 0; count < refused; count++) this.#deps.sink.refused(reason);
  }

  #takeChanges(draft: Draft, now: number): void {
    const { content } = this.#deps;
    let bytes = 0;
    let taken = 0;
    while (taken++ < BATCH_SETS_MAX && bytes < BATCH_BYTES_MAX) {
      const intent = this.#nextSet();
      if (intent === null) break;
      bytes += bytesOf(intent.record);
      this.#take(draft, intent, now);
    }
    // After the changes: one that renews a key comes before its end, also if it waits for a later batch.
    if (this.#firstLeft > 0) return;
    for (let count = 0; count < BATCH_EXPIRED_MAX; count++) {
      const record = content.takeExpired(now);
      if (record === null) break;
      if (this.#waitingOf.has(record.key) || !draft.expire({ kind: 'expire', record })) {
        content.retime(record, now + RETRY_MS);
      }
    }
  }

  #nextSet(): SetIntent | null {
    const first = this.#first[this.#firstTaken];
    if (first !== undefined) {
      this.#firstTaken++;
      // What was taken takes no memory.
      if (this.#firstLeft === 0) this.#setFirst([]);
      return first;
    }
    const set = this.#waiting.shift();
    if (set === undefined) return null;
    const { key } = set.record;
    this.#deps.held(set.writer.identity, -waitingBytesOf(set.record));
    const left = (this.#waitingOf.get(key) ?? 0) - 1;
    if (left > 0) this.#waitingOf.set(key, left);
    else this.#waitingOf.delete(key);
    return { kind: 'set', ...set };
  }

  #take(draft: Draft, intent: SetIntent, now: number): void {
    const { counters, sink } = this.#deps;
    const mayGrow = this.#trouble === null || now >= this.#growAt;
    const refused = draft.set(intent, this.bytesMax, mayGrow);
    if (refused === 'repeated') counters.repeated++;
    else if (refused !== null) sink.refused(refused);
  }

  // ---------------------------------------------------------------- the store's results

  #committed(batch: Batch, now: number): void {
    assert(batch === this.#batch, 'one batch is at the store at a time');
    batch.isCommitted = true;
    if (batch.growing > 0 && this.#trouble !== null) {
      this.#trouble = null;
      this.#deps.events.emit({ name: 'map.healed' });
    }
    this.#retryAt = -Infinity;
    if (!batch.awaitsPeer) this.#complete(batch, now);
  }

  #released(batch: Batch, isDoubtful: boolean, now: number): void {
    if (batch !== this.#batch) return;
    batch.awaitsPeer = false;
    batch.isDoubtful = isDoubtful;
    if (batch.isCommitted) this.#complete(batch, now);
  }

  #complete(batch: Batch, now: number): void {
    this.#batch = null;
    if (this.#firstLeft === 0) this.#inherits = false;
    this.#outcomes.apply(batch, now);
  }

  #failed(batch: Batch, failure: StoreFailure, now: number): void {
    assert(batch === this.#batch, 'one batch is at the store at a time');
    this.#batch = null;
    this.#outcomes.merged.clear();
    if (this.#trouble === null) {
      const { kind, message: text } = failure;
      this.#deps.events.emit({ name: 'map.failed', kind, text });
    }
    this.#trouble = failure;
    this.#growAt = now + RETRY_MS;
    // What does not grow may find room: it is tried alone, at once.
    if (failure.kind === 'fatal') this.#retryAt = Infinity;
    else if (batch.growing === 0) this.#retryAt = now + RETRY_MS;
    const again: SetIntent[] = [];
    for (const step of batch.steps) this.#giveBack(step, batch, again, now);
    const first = this.#first.slice(this.#firstTaken);
    if (first.length === 0) this.#inherits = false;
    this.#setFirst([...again, ...first]);
  }

  #giveBack({ intent, growth }: Step, batch: Batch, again: SetIntent[], now: number): void {
    const { content, services, sink } = this.#deps;
    if (batch.isUnpublished) return;
    if (intent.kind === 'service') services.changed.add(intent.key);
    else if (intent.kind === 'announce') this.announced.push(intent.record);
    else if (intent.kind === 'expire') content.retime(intent.record, now + RETRY_MS);
    else if (growth > 0) sink.refused('store');
    else again.push(intent);
  }
}
