/**
 * Group commit: while the store has as many batches as it takes at a time, later changes collect for
 * the next one. Changes of one request are never in two batches at a time. No change is reported
 * before its batch is committed. Parties take turns: a party that stores little gets into the next
 * batch, however much others store (D75).
 */
import { IDENTITY_SHARE } from '../../core/defaults.js';
import { LATE, OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import type { Commits } from './commits.js';
import { FairQueue, type Queued } from '../../core/fair-queue.js';
import type { Replica } from './replica.js';
import {
  type Change,
  type ChangeResult,
  uuidsChanged,
  type StoreFailure,
} from '../../store/store.js';

/** A change, and what to do once it is committed or has failed. */
export interface Intent {
  readonly change: Change;
  /** Changes of the same request that precede it in the same batch: all are committed, or none. */
  readonly before?: readonly Change[];
  /** The party whose turn it takes. */
  readonly party: string;
  /** Bytes that it carries. */
  readonly bytes: number;
  /** @param before the results of `before` */
  committed(result: ChangeResult, before: readonly ChangeResult[]): void;
  /** Whoever wanted it has been answered that it failed (D105): it is not made. */
  isOver?(): boolean;
  /** The batch is about to be sent: values that depend on the order are set now. */
  begins?(): void;
  /**
   * The change is committed here, but it is uncertain whether the peer has it, as `strict` promises.
   * Absent: nobody was promised that.
   */
  doubtful?(result: ChangeResult): void;
  /**
   * The batch was rolled back.
   * @returns true if it is to be tried again, because no client will repeat it
   */
  failed(failure: StoreFailure): boolean;
  /**
   * The store does not take it, and would not take it if it were tried again. Absent: as `failed`.
   */
  refused?(): void;
}

/** Stands for an intent while it waits, and takes less memory. */
export type IntentNumber = number;

/** Makes the intent for a number. Called once for each. */
export type IntentMaker = (number: IntentNumber) => Intent;

interface BatchInProgress {
  readonly intents: readonly Intent[];
  readonly bytes: number;
  readonly beganAt: number;
  /** The peer has not confirmed it yet. */
  awaitsPeer: boolean;
  isDoubtful: boolean;
  /** The store's results; `null`: none yet. */
  results: readonly ChangeResult[] | null;
}

const BATCH_CHANGES_MAX = 256;
/** How many are given up in one turn because they came too late. */
const TURN_OVER_MAX = 4096;
/**
 * An idle store does not wait for the end of a turn: once this many changes wait, the batch begins.
 * Otherwise all clients' requests would be in one batch; the store would be idle while they are
 * answered, and the clients while it is written.
 */
const EARLY_CHANGES_MIN = 8;
/** Maximum that waits for the store, above which more is refused. */
const WAITING_CHANGES_MAX = 200_000;
const WAITING_BYTES_MAX = 256 * 1024 * 1024;
const RETRY_MS = 1000;
const REFUSED: StoreFailure = { kind: 'busy', message: 'the store refuses it' };
const OVER: StoreFailure = { kind: 'busy', message: LATE };
const NONE: readonly ChangeResult[] = [];
const BUSY: StoreFailure = { kind: 'busy', message: 'the store is too busy' };

/** What a writer tells of its batches, after their changes were told. */
interface WriterSink {
  /** Monotonic milliseconds. */
  now(): number;
  committed(): void;
  failed(failure: StoreFailure): void;
  /** A batch is doubtful (see `BatchOutcome`); before its changes are told. */
  doubted(): void;
  released(isDoubtful: boolean): void;
}

export class Writer {
  readonly #replica: Replica;
  readonly #commits: Commits;
  readonly #sink: WriterSink;
  readonly #maker: IntentMaker;
  readonly #waiting = new FairQueue<Intent | IntentNumber>();
  /** Changes that the store could not make, and when each is tried again: the earliest first. */
  #postponed: { readonly intent: Intent; readonly at: number }[] = [];
  #postponedBytes = 0;
  /** The next one: a batch with the store has a change of the same request. */
  #held: Intent | null = null;
  readonly #batches: BatchInProgress[] = [];
  /** Requests of the batches with the store, if it takes several. */
  readonly #underWay = new Set<string>();
  /** How many changes the last two batches had. */
  #lastChanges = 0;
  #changesBefore = 0;
  /** While the store is in trouble: when to try again. Monotonic milliseconds. */
  #retryAt = -Infinity;

  constructor(replica: Replica, commits: Commits, maker: IntentMaker, sink: WriterSink) {
    this.#replica = replica;
    this.#sink = sink;
    this.#commits = commits;
    this.#maker = maker;
  }

  /** D21: `strict` shows no step that is on one disk alone, so it makes none either. */
  get #mayWrite(): boolean {
    return this.#replica.refusal === null;
  }

  /** True if the store cannot keep up: no more may be accepted. */
  get isFull(): boolean {
    const { size, bytes } = this.#waiting;
    return (
      size + this.#postponed.length >= WAITING_CHANGES_MAX ||
      bytes + this.#postponedBytes >= WAITING_BYTES_MAX
    );
  }

  /** True if no more may be accepted from this party. */
  isFullFor(party: string): boolean {
    return (
      this.isFull ||
      this.#waiting.sizeOf(party) >= WAITING_CHANGES_MAX * IDENTITY_SHARE ||
      this.#waiting.bytesOf(party) >= WAITING_BYTES_MAX * IDENTITY_SHARE
    );
  }

  /** The store has committed a batch that the peer has not confirmed: none of it may be shown. */
  get isUnconfirmed(): boolean {
    return this.#batches.some(({ results }) => results !== null);
  }

  get isIdle(): boolean {
    return this.#batches.length === 0 && this.#isEmpty && this.#postponed.length === 0;
  }

  /** Nothing waits. */
  get #isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#held === null;
  }

  /** Bytes on their way to the store. */
  get bytes(): number {
    const inBatches = this.#batches.reduce((sum, { bytes }) => sum + bytes, 0);
    return this.#waiting.bytes + (this.#held?.bytes ?? 0) + inBatches + this.#postponedBytes;
  }

  /** False for a while after a failure, when another attempt is not worthwhile. */
  mayRetry(now: number): boolean {
    return now >= this.#retryAt;
  }

  /** When `run` is next due if no input arrives; Infinity for never. */
  get dueAt(): number {
    const isBusy = this.#batches.length === this.#replica.batchesMax || this.#isHeldBack;
    const dueAt = isBusy || this.#isEmpty || !this.#mayWrite ? Infinity : this.#retryAt;
    return Math.min(dueAt, this.#postponed[0]?.at ?? Infinity);
  }

  add(intent: Intent, now: number): void {
    this.#push(intent);
    this.#runEarly(now);
  }

  /** Adds an intent that is made when its batch is sent to the store, or when it is given up. */
  addNumber(party: string, number: IntentNumber, bytes: number, now: number): void {
    this.#waiting.push(party, number, bytes);
    this.#runEarly(now);
  }

  #runEarly(now: number): void {
    const half = Math.max(this.#lastChanges, this.#changesBefore) / 2;
    if (this.#waiting.size >= Math.max(EARLY_CHANGES_MIN, half)) this.run(now);
  }

  #push(intent: Intent): void {
    this.#waiting.push(intent.party, intent, intent.bytes);
  }

  /** Starts batches while there are changes to commit and the store takes one more. */
  run(now: number): void {
    this.#resume(now);
    const over: Intent[] = [];
    this.#beginBatches(now, over);
    // They may add others.
    for (const intent of over) intent.failed(OVER);
  }

  #beginBatches(now: number, over: Intent[]): void {
    while (this.#batches.length < this.#replica.batchesMax && !this.#isEmpty) {
      if (now < this.#retryAt || this.#isHeldBack || !this.#mayWrite) return;
      const intents = this.#nextBatch(over);
      if (intents.length === 0) return;
      this.#begin(intents, now);
    }
  }

  /** What was postponed until now waits again. */
  #resume(now: number): void {
    if (this.#postponed.length === 0) return;
    const due = this.#postponed.findIndex(({ at }) => at > now);
    for (const { intent } of this.#postponed.splice(0, due < 0 ? Infinity : due)) {
      this.#postponedBytes -= intent.bytes;
      this.#push(intent);
    }
  }

  #begin(intents: readonly Intent[], now: number): void {
    for (const intent of intents) intent.begins?.();
    this.#changesBefore = this.#lastChanges;
    this.#lastChanges = intents.length;
    const changes = intents.flatMap(changesOf);
    if (this.#replica.batchesMax > 1) {
      for (const name of changes.flatMap(namesOf)) this.#underWay.add(name);
    }
    const bytes = intents.reduce((sum, intent) => sum + intent.bytes, 0);
    const batch: BatchInProgress = {
      intents,
      bytes,
      beganAt: now,
      awaitsPeer: false,
      isDoubtful: false,
      results: null,
    };
    this.#batches.push(batch);
    batch.awaitsPeer = this.#replica.commit(changes, {
      done: (results) => this.#committed(batch, results),
      failed: (failure) => this.#failed(batch, failure),
      released: (isDoubtful) => this.#released(batch, isDoubtful),
    });
  }

  /** @param over takes those that are not made any more */
  #nextBatch(over: Intent[]): Intent[] {
    const intents: Intent[] = [];
    let bytes = 0;
    while (intents.length < BATCH_CHANGES_MAX && over.length < TURN_OVER_MAX) {
      bytes += this.#held?.bytes ?? this.#waiting.nextBytes;
      if (intents.length > 0 && bytes > this.#replica.batchBytesMax) break;
      const next = this.#held ?? this.#waiting.shift();
      if (next === undefined) break;
      this.#held = this.#intentOf(next);
      if (this.#isHeldBack) break;
      if (this.#held.isOver?.() === true) {
        bytes -= this.#held.bytes;
        over.push(this.#held);
      } else intents.push(this.#held);
      this.#held = null;
    }
    return intents;
  }

  /** The next one waits for a batch that is with the store. */
  get #isHeldBack(): boolean {
    if (this.#held === null || this.#underWay.size === 0) return false;
    return changesOf(this.#held)
      .flatMap(namesOf)
      .some((name) => this.#underWay.has(name));
  }

  /** Removes a batch that is not with the store any more. */
  #ended(batch: BatchInProgress): void {
    this.#batches.splice(this.#batches.indexOf(batch), 1);
    if (this.#underWay.size === 0) return;
    for (const name of batch.intents.flatMap(changesOf).flatMap(namesOf)) {
      this.#underWay.delete(name);
    }
  }

  #intentOf(waiting: Intent | IntentNumber): Intent {
    return typeof waiting === 'number' ? this.#maker(waiting) : waiting;
  }

  #committed(batch: BatchInProgress, results: readonly ChangeResult[]): void {
    if (!this.#batches.includes(batch)) return;
    const now = this.#sink.now();
    this.#commits.done(batch.intents.length, now - batch.beganAt);
    this.#retryAt = -Infinity;
    batch.results = results;
    if (!batch.awaitsPeer) this.#complete(batch, results, now);
    this.#sink.committed();
  }

  #released(batch: BatchInProgress, isDoubtful: boolean): void {
    if (!this.#batches.includes(batch)) return;
    batch.awaitsPeer = false;
    batch.isDoubtful = isDoubtful;
    if (isDoubtful) this.#sink.doubted();
    if (batch.results !== null) this.#complete(batch, batch.results, this.#sink.now());
    this.#sink.released(isDoubtful);
  }

  /** Starts the next batch before it reports the results of this one. */
  #complete(batch: BatchInProgress, results: readonly ChangeResult[], now: number): void {
    const { intents, isDoubtful } = batch;
    this.#ended(batch);
    this.run(now);
    let at = 0;
    for (const intent of intents) {
      const first = at;
      at += changesOf(intent).length;
      const result = results[at - 1];
      if (result === undefined) continue;
      if (result.kind === 'refused') this.#refused(intent, now);
      else if (result.kind === 'busy') this.#postpone(intent, BUSY, now);
      else if (isDoubtful && intent.doubtful !== undefined) intent.doubtful(result);
      else intent.committed(result, at - first === 1 ? NONE : results.slice(first, at - 1));
    }
  }

  #refused(intent: Intent, now: number): void {
    if (intent.refused !== undefined) intent.refused();
    else this.#postpone(intent, REFUSED, now);
  }

  /** Has a change tried again later, unless a client can repeat it. */
  #postpone(intent: Intent, failure: StoreFailure, now: number): void {
    if (!intent.failed(failure)) return;
    this.#postponed.push({ intent, at: now + RETRY_MS });
    this.#postponedBytes += intent.bytes;
  }

  /** Takes out all that waits, in its order. */
  #drain(): Queued<Intent | IntentNumber>[] {
    const held = this.#held;
    this.#held = null;
    const before = this.#postponed.map(({ intent }) => intent);
    this.#postponed = [];
    this.#postponedBytes = 0;
    const first = held === null ? before : [...before, held];
    const queued = first.map((item) => ({ party: item.party, item, bytes: item.bytes }));
    return [...queued, ...this.#waiting.drain()];
  }

  /** Nothing that waits is written now; changes that a client can repeat are given up. */
  refuse(failure: StoreFailure): void {
    this.#giveUp(this.#drain(), failure);
  }

  #giveUp(queued: readonly Queued<Intent | IntentNumber>[], failure: StoreFailure): void {
    for (const { item } of queued) {
      const intent = this.#intentOf(item);
      if (intent.failed(failure)) this.#push(intent);
    }
  }

  /** Gives up all changes, both waiting and with the store, and ignores later results. */
  abandon(failure: StoreFailure): void {
    this.#retryAt = Infinity;
    const inProgress = this.#batches.splice(0).flatMap(({ intents }) => intents);
    const waiting = this.#drain();
    this.#underWay.clear();
    for (const intent of inProgress) intent.failed(failure);
    for (const { item } of waiting) this.#intentOf(item).failed(failure);
  }

  #failed(batch: BatchInProgress, failure: StoreFailure): void {
    if (!this.#batches.includes(batch)) return;
    this.#ended(batch);
    // After a fatal failure, the store is not written to any more.
    this.#retryAt = failure.kind === 'fatal' ? Infinity : this.#sink.now() + RETRY_MS;
    const again = batch.intents.filter((intent) => intent.failed(failure));
    // Those that wait would wait for another try, too, and that one for a store that is away.
    const isAway = this.#replica.silence !== null;
    if (again.length > 0 || isAway) {
      // Puts them back in their order, before those that arrived since.
      const since = this.#drain();
      for (const intent of again) this.#push(intent);
      if (isAway) this.#giveUp(since, ofUnsent(failure));
      else for (const { party, item, bytes } of since) this.#waiting.push(party, item, bytes);
    }
    this.#sink.failed(failure);
  }
}

/** A failure of what the store has, for what it was not sent: that is not stored. */
function ofUnsent(failure: StoreFailure): StoreFailure {
  return failure.message.startsWith(OUTCOME_UNKNOWN) ? OVER : failure;
}

function changesOf({ before, change }: Intent): readonly Change[] {
  if (before === undefined || before.length === 0) return [change];
  return [...before.map((each): Change => ({ ...each, withNext: true })), change];
}

function namesOf(change: Change): string[] {
  return uuidsChanged(change).map((uuid) => uuid.toString('latin1'));
}
