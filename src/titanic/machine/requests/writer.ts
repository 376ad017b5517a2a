/**
 * Group commit: while the store has as many batches as it takes at a time, later changes collect for
 * the next one. Changes of one request are never in two batches at a time. No change is reported
 * before its batch is committed. Parties take turns: a party that stores little gets into the next
 * batch, however much others store (D75).
 */
import { IDENTITY_SHARE } from '../../../core/defaults.js';
import { LATE, OUTCOME_UNKNOWN } from '../../../core/failure-words.js';
import type { Commit, CommitOutcome } from './commit.js';
import type { Commits } from './commits.js';
import { FairQueue, type Queued } from '../../../core/fair-queue.js';
import type { Replica } from './replica.js';
import type { StoreWaits } from './store-waits.js';
import {
  type Change,
  type ChangeResult,
  uuidsChanged,
  type StoreFailure,
} from '../../../store/store.js';

/** Stands for a commit while it waits, and takes less memory. */
export type CommitNumber = number;

interface BatchInProgress {
  readonly commits: readonly Commit[];
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
const REFUSED: CommitOutcome = {
  kind: 'refused',
  failure: { kind: 'busy', message: 'the store refuses it' },
};
const OVER: StoreFailure = { kind: 'busy', message: LATE };
const NONE: readonly ChangeResult[] = [];
const NO_CHANGES: readonly Change[] = [];
const BUSY: CommitOutcome = {
  kind: 'failed',
  failure: { kind: 'busy', message: 'the store is too busy' },
};

/** What a writer asks for, and what it tells of its batches after the outcomes of their commits. */
export interface WriterHost {
  /** Monotonic milliseconds. */
  now(): number;
  /** The number of the next request that is stored. */
  takeNumber(): number;
  readonly waits: StoreWaits;
  /** Makes the commit for a number. Called once for each. */
  commitOf(number: CommitNumber): Commit;
  committed(): void;
  failed(failure: StoreFailure): void;
  /** A batch is doubtful (see `BatchOutcome`). Told before the outcomes of its commits. */
  doubted(): void;
  released(isDoubtful: boolean): void;
}

export class Writer {
  readonly #replica: Replica;
  readonly #commits: Commits;
  readonly #host: WriterHost;
  readonly #waiting = new FairQueue<Commit | CommitNumber>();
  /** Changes that the store could not make, and when each is tried again: the earliest first. */
  #postponed: { readonly commit: Commit; readonly at: number }[] = [];
  #postponedBytes = 0;
  /** The next one: a batch with the store has a change of the same request. */
  #held: Commit | null = null;
  readonly #batches: BatchInProgress[] = [];
  /** Requests of the batches with the store, if it takes several. */
  readonly #underWay = new Set<string>();
  /** How many changes the last two batches had. */
  #lastChanges = 0;
  #changesBefore = 0;
  /** While the store is in trouble: when to try again. Monotonic milliseconds. */
  #retryAt = -Infinity;

  constructor(replica: Replica, commits: Commits, host: WriterHost) {
    this.#replica = replica;
    this.#host = host;
    this.#commits = commits;
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

  add(commit: Commit, now: number): void {
    this.#push(commit);
    this.#runEarly(now);
  }

  /** Adds a commit that is made when its batch is sent to the store, or when it is given up. */
  addNumber(party: string, number: CommitNumber, bytes: number, now: number): void {
    this.#waiting.push(party, number, bytes);
    this.#runEarly(now);
  }

  #runEarly(now: number): void {
    const half = Math.max(this.#lastChanges, this.#changesBefore) / 2;
    if (this.#waiting.size >= Math.max(EARLY_CHANGES_MIN, half)) this.run(now);
  }

  #push(commit: Commit): void {
    this.#waiting.push(commit.party, commit, commit.bytes);
  }

  /** Starts batches while there are changes to commit and the store takes one more. */
  run(now: number): void {
    this.#resume(now);
    const over: Commit[] = [];
    this.#beginBatches(now, over);
    // They may add others.
    for (const commit of over) commit.ended({ kind: 'failed', failure: OVER });
  }

  #beginBatches(now: number, over: Commit[]): void {
    while (this.#batches.length < this.#replica.batchesMax && !this.#isEmpty) {
      if (now < this.#retryAt || this.#isHeldBack || !this.#mayWrite) return;
      const commits = this.#nextBatch(over);
      if (commits.length === 0) return;
      this.#begin(commits, now);
    }
  }

  /** What was postponed until now waits again. */
  #resume(now: number): void {
    if (this.#postponed.length === 0) return;
    const due = this.#postponed.findIndex(({ at }) => at > now);
    for (const { commit } of this.#postponed.splice(0, due < 0 ? Infinity : due)) {
      this.#postponedBytes -= commit.bytes;
      this.#push(commit);
    }
  }

  #begin(commits: readonly Commit[], now: number): void {
    for (const commit of commits) this.#beginOne(commit);
    this.#changesBefore = this.#lastChanges;
    this.#lastChanges = commits.length;
    const changes = commits.flatMap(changesOf);
    if (this.#replica.batchesMax > 1) {
      for (const name of changes.flatMap(namesOf)) this.#underWay.add(name);
    }
    const bytes = commits.reduce((sum, commit) => sum + commit.bytes, 0);
    const batch: BatchInProgress = {
      commits,
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

  #beginOne(commit: Commit): void {
    if (commit.answer !== undefined) this.#host.waits.handsOver(commit.answer);
    for (const change of commit.before ?? NO_CHANGES) this.#number(change);
    this.#number(commit.change);
    commit.begins?.();
  }

  /** Requests are numbered in the order in which they are stored. */
  #number(change: Change): void {
    if (change.kind === 'accept') change.request.number = this.#host.takeNumber();
  }

  #isOver({ answer }: Commit): boolean {
    return answer !== undefined && this.#host.waits.isOver(answer);
  }

  /** @param over takes those that are not made any more */
  #nextBatch(over: Commit[]): Commit[] {
    const commits: Commit[] = [];
    let bytes = 0;
    while (commits.length < BATCH_CHANGES_MAX && over.length < TURN_OVER_MAX) {
      bytes += this.#held?.bytes ?? this.#waiting.nextBytes;
      if (commits.length > 0 && bytes > this.#replica.batchBytesMax) break;
      const next = this.#held ?? this.#waiting.shift();
      if (next === undefined) break;
      this.#held = this.#commitOf(next);
      if (this.#isHeldBack) break;
      if (this.#isOver(this.#held)) {
        bytes -= this.#held.bytes;
        over.push(this.#held);
      } else commits.push(this.#held);
      this.#held = null;
    }
    return commits;
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
    for (const name of batch.commits.flatMap(changesOf).flatMap(namesOf)) {
      this.#underWay.delete(name);
    }
  }

  #commitOf(waiting: Commit | CommitNumber): Commit {
    return typeof waiting === 'number' ? this.#host.commitOf(waiting) : waiting;
  }

  #committed(batch: BatchInProgress, results: readonly ChangeResult[]): void {
    if (!this.#batches.includes(batch)) return;
    const now = this.#host.now();
    this.#commits.done(batch.commits.length, now - batch.beganAt);
    this.#retryAt = -Infinity;
    batch.results = results;
    if (!batch.awaitsPeer) this.#complete(batch, results, now);
    this.#host.committed();
  }

  #released(batch: BatchInProgress, isDoubtful: boolean): void {
    if (!this.#batches.includes(batch)) return;
    batch.awaitsPeer = false;
    batch.isDoubtful = isDoubtful;
    if (isDoubtful) this.#host.doubted();
    if (batch.results !== null) this.#complete(batch, batch.results, this.#host.now());
    this.#host.released(isDoubtful);
  }

  /** Starts the next batch before it reports the results of this one. */
  #complete(batch: BatchInProgress, results: readonly ChangeResult[], now: number): void {
    const { commits, isDoubtful } = batch;
    this.#ended(batch);
    this.run(now);
    let at = 0;
    for (const commit of commits) {
      const first = at;
      at += changesOf(commit).length;
      const result = results[at - 1];
      if (result === undefined) continue;
      const before = at - first === 1 ? NONE : results.slice(first, at - 1);
      if (commit.ended(outcomeOf(result, before, isDoubtful))) this.#postpone(commit, now);
    }
  }

  /** Has a commit tried again later. */
  #postpone(commit: Commit, now: number): void {
    this.#postponed.push({ commit, at: now + RETRY_MS });
    this.#postponedBytes += commit.bytes;
  }

  /** Takes out all that waits, in its order. */
  #drain(): Queued<Commit | CommitNumber>[] {
    const held = this.#held;
    this.#held = null;
    const before = this.#postponed.map(({ commit }) => commit);
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

  #giveUp(queued: readonly Queued<Commit | CommitNumber>[], failure: StoreFailure): void {
    for (const { item } of queued) {
      const commit = this.#commitOf(item);
      if (commit.ended({ kind: 'failed', failure })) this.#push(commit);
    }
  }

  /** Gives up all changes, both waiting and with the store, and ignores later results. */
  abandon(failure: StoreFailure): void {
    this.#retryAt = Infinity;
    const inProgress = this.#batches.splice(0).flatMap(({ commits }) => commits);
    const waiting = this.#drain();
    this.#underWay.clear();
    const all = [...inProgress, ...waiting.map(({ item }) => item)];
    for (const item of all) this.#commitOf(item).ended({ kind: 'failed', failure });
  }

  #failed(batch: BatchInProgress, failure: StoreFailure): void {
    if (!this.#batches.includes(batch)) return;
    this.#ended(batch);
    // After a fatal failure, the store is not written to any more.
    this.#retryAt = failure.kind === 'fatal' ? Infinity : this.#host.now() + RETRY_MS;
    const again = batch.commits.filter((commit) => commit.ended({ kind: 'failed', failure }));
    // Those that wait would wait for another try, too, and that one for a store that is away.
    const isAway = this.#replica.silence !== null;
    if (again.length > 0 || isAway) {
      // Puts them back in their order, before those that arrived since.
      const since = this.#drain();
      for (const commit of again) this.#push(commit);
      if (isAway) this.#giveUp(since, ofUnsent(failure));
      else for (const { party, item, bytes } of since) this.#waiting.push(party, item, bytes);
    }
    this.#host.failed(failure);
  }
}

/** A failure of what the store has, for what it was not sent: that is not stored. */
function ofUnsent(failure: StoreFailure): StoreFailure {
  return failure.message.startsWith(OUTCOME_UNKNOWN) ? OVER : failure;
}

function outcomeOf(
  result: ChangeResult,
  before: readonly ChangeResult[],
  isDoubtful: boolean,
): CommitOutcome {
  if (result.kind === 'refused') return REFUSED;
  return result.kind === 'busy' ? BUSY : { kind: 'made', result, before, isDoubtful };
}

function changesOf({ before, change }: Commit): readonly Change[] {
  if (before === undefined || before.length === 0) return [change];
  return [...before.map((each): Change => ({ ...each, withNext: true })), change];
}

function namesOf(change: Change): string[] {
  return uuidsChanged(change).map((uuid) => uuid.toString('latin1'));
}
