/**
 * Commits batches, one at a time over each of its connections. A batch is a plan: a list of steps, each of
 * which is done as a whole or not at all. `#carryOut` tries one step after the other; `outcomeOf` says what
 * a try that failed means for the step. Nothing else tries a batch again, and nothing takes longer than the
 * time for a batch.
 */
import { present } from '../../core/assert.js';
import { OUTCOME_UNKNOWN } from '../../core/failure-words.js';
import {
  BUSY,
  type Change,
  type ChangeResult,
  uuidsChanged,
  type RequestUuid,
  type StoreCounts,
  type StoredRequest,
  REFUSED,
} from '../../store/store.js';
import type { Sending } from './changes.js';
import type { Clock } from './clock.js';
import {
  FenceDown,
  isOfRow,
  LOCK_TIMEOUT,
  retryReason,
  stateOf,
  UNIQUE_VIOLATION,
  within,
} from './failures.js';
import type { Failed, PersistentConnection } from './persistent-connection.js';
import type { LockedRow } from './locked-rows.js';
import { RowLocks } from './row-locks.js';
import type { Fence } from './fence.js';
import type { Made, Tables } from './tables.js';
import type { Delta, Tally } from '../../store/tally.js';
import { ReportedCounts } from './reported-counts.js';

const NOTHING_LEFT = { kind: 'split', steps: [] } as const;

/** Changes that a batch postpones are sent again this often. */
const POSTPONED_MAX = 3;
/** Requests of batches with an unknown outcome, of which the oldest are forgotten. */
const DOUBTFUL_MAX = 100_000;
/** The part of the time for a batch for which no batch begins because all is counted. */
const PAUSE_SHARE = 0.5;

/** Told of what happens to batches. */
export interface WriterEvents {
  /** The server does not take a row, or the rest of a batch. */
  refused(error: unknown): void;
  /** A row that another session keeps locked. */
  locked(row: LockedRow): void;
  /** The counts are not right any more. */
  miscounted(): void;
  /** What the store holds as far as it is known, after a batch with an unknown outcome. */
  counted(counts: StoreCounts): void;
  /** A batch with an unknown outcome has claimed these requests for this broker. */
  foundClaimed(requests: readonly StoredRequest[]): void;
}

export interface Committed {
  readonly results: readonly ChangeResult[];
  readonly counts: StoreCounts;
}

/** Makes changes in one transaction. */
interface Send {
  readonly kind: 'send';
  readonly changes: readonly Change[];
  readonly sending: Sending;
  /** How often these changes were postponed. */
  readonly postponements: number;
}

/** Asks of which changes other sessions keep rows locked. */
interface Look {
  readonly kind: 'look';
  readonly changes: readonly Change[];
  /** The try that waited for a lock in vain; `null`: rows were locked a short while ago. */
  readonly cause: Failed | null;
}

/** Waits until no batch of this session is under way any more, and learns what those in doubt have claimed. */
const SETTLE = { kind: 'settle' } as const;

type Step = typeof SETTLE | Look | Send;

/** What a try of a step has come to. */
type Outcome =
  /** The step is committed. */
  | { readonly kind: 'done'; readonly send: Send; readonly made: Made }
  /** The step commits nothing itself. Others, if any, follow at once. */
  | { readonly kind: 'split'; readonly steps: readonly Step[] }
  /** The step is tried again, after a pause and while there is time. */
  | { readonly kind: 'retry'; readonly step: Step; readonly failed: Failed }
  /** The step is not made: the server does not take these changes. */
  | { readonly kind: 'refused'; readonly changes: readonly Change[]; readonly error: unknown }
  /** The step is not made, and no other try would help. */
  | { readonly kind: 'failed'; readonly error: unknown }
  /** Unknown: the server may have committed the step. */
  | { readonly kind: 'unknown'; readonly error: unknown };

/** What has become of a batch so far. Changes without a result are not made. */
interface Progress {
  readonly results: Map<Change, ChangeResult>;
  readonly deltas: Delta[];
}

export class BatchWriter {
  /** Connections that no batch uses. */
  readonly #free: PersistentConnection<Tables>[];
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #fence: Fence;
  readonly counts: ReportedCounts;
  readonly #locks: RowLocks;
  readonly #events: WriterEvents;
  /** A batch may still be under way at the server. */
  #isUnsettled = false;
  /** Batches that are being committed. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** Until it is settled, no batch begins. */
  #pause: Promise<unknown> | null = null;
  /** Requests that this broker may have claimed by a batch whose outcome is unknown. */
  #doubtful: RequestUuid[] = [];

  /** @param connections as many batches are committed at a time; never more are given to it */
  constructor(
    connections: readonly PersistentConnection<Tables>[],
    clock: Clock,
    timeoutMs: number,
    fence: Fence,
    tally: Tally,
    events: WriterEvents,
  ) {
    this.#events = events;
    this.#locks = new RowLocks(clock, timeoutMs, (row) => events.locked(row));
    this.#free = [...connections];
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#fence = fence;
    this.counts = new ReportedCounts(tally);
  }

  /** A new session: what batches of the one before it claimed is not this broker's. */
  begin(session: number): void {
    this.#fence.begin(session);
    this.#doubtful = [];
  }

  // ---------------------------------------------------------------- counts

  /**
   * Runs `snapshot` while no batch is being committed: what is counted in it has all batches before, and
   * none after.
   * @param snapshot is given its time in milliseconds
   */
  async counting(snapshot: (ms: number) => Promise<void>): Promise<void> {
    const begun = this.#beginCount(snapshot);
    this.#pause = begun.catch(() => undefined);
    try {
      await begun;
    } finally {
      this.#pause = null;
    }
  }

  async #beginCount(snapshot: (ms: number) => Promise<void>): Promise<void> {
    const ms = this.#timeoutMs * PAUSE_SHARE;
    const until = this.#clock.now() + ms;
    await within(this.#clock, ms, Promise.allSettled(this.#underWay), 'no end of all batches');
    if (this.isInDoubt) await this.#carryOut([SETTLE], until, { results: new Map(), deltas: [] });
    await snapshot(Math.max(1, until - this.#clock.now()));
    this.counts.begin();
  }

  // ---------------------------------------------------------------- batches

  /**
   * The outcome of a batch is unknown: it may still be under way at the server. The next batch is given
   * to it when it has no other, and settles that; also one without changes.
   */
  get isInDoubt(): boolean {
    return this.#isUnsettled || this.#doubtful.length > 0;
  }

  /**
   * @throws UnknownOutcome if it may be committed, or a part of it is; any other error: it is not
   */
  async commit(changes: readonly Change[]): Promise<Committed> {
    while (this.#pause !== null) await this.#pause;
    // The time begins after a pause, which is short, so that a wait for a lock ends before it.
    const committing = this.#commit(changes, this.#clock.now() + this.#timeoutMs);
    this.#underWay.add(committing);
    try {
      return await committing;
    } finally {
      this.#underWay.delete(committing);
    }
  }

  async #commit(changes: readonly Change[], until: number): Promise<Committed> {
    const { session } = this.#fence;
    const claimed = claimedBy(changes);
    const progress: Progress = { results: new Map(), deltas: [] };
    const plan: Step[] = this.isInDoubt ? [SETTLE] : [];
    if (this.#locks.mayConcern(changes)) plan.push({ kind: 'look', changes, cause: null });
    else plan.push(...sendOf(changes));
    try {
      await this.#carryOut(plan, until, progress);
      // What it accepted in a session that has ended meanwhile, another broker may have claimed.
      if (session !== this.#fence.session && claimed.length > 0) {
        throw new UnknownOutcome(new FenceDown('the session of this broker has ended meanwhile'));
      }
    } catch (error) {
      if (error instanceof UnknownOutcome) {
        this.#isUnsettled = true;
        this.#doubt(claimed);
        this.#events.miscounted();
        this.#events.counted(this.counts.apply(progress.deltas));
      }
      throw error;
    }
    const results = changes.map((change) => progress.results.get(change) ?? BUSY);
    return { results, counts: this.counts.apply(progress.deltas) };
  }

  /**
   * Takes the steps of a plan, and those that follow from them. If a part of the batch is made, and the rest is
   * certainly not, the rest has no results.
   */
  async #carryOut(plan: Step[], until: number, progress: Progress): Promise<void> {
    const persistent = present(this.#free.pop(), 'a connection that no batch uses');
    let tries = 0;
    try {
      for (let step = plan.shift(); step !== undefined; step = plan.shift()) {
        let outcome = await this.#try(step, persistent, until);
        if (
          outcome.kind === 'retry' &&
          !(await persistent.again(outcome.failed.reason, tries++, until))
        ) {
          outcome = endOf(outcome.step, outcome.failed.error);
        }
        switch (outcome.kind) {
          case 'done':
            plan.unshift(...this.#done(outcome, progress));
            break;
          case 'split':
            plan.unshift(...outcome.steps);
            break;
          case 'retry':
            plan.unshift(outcome.step);
            break;
          case 'refused':
            this.#events.refused(outcome.error);
            for (const change of outcome.changes) progress.results.set(change, REFUSED);
            break;
          case 'failed':
            if (progress.results.size === 0) throw outcome.error;
            // Those who wait for the rest learn that the store is busy. (That it cannot be reached is told elsewhere.)
            if (stateOf(outcome.error) !== '') this.#events.refused(outcome.error);
            return;
          case 'unknown':
            throw new UnknownOutcome(outcome.error);
        }
      }
    } finally {
      this.#free.push(persistent);
    }
  }

  async #try(
    step: Step,
    persistent: PersistentConnection<Tables>,
    until: number,
  ): Promise<Outcome> {
    const tried = await persistent.try(until, async (tables) => {
      await tables.limitLocks(this.#timeoutMs, until - this.#clock.now());
      switch (step.kind) {
        case 'settle':
          return await this.#settle(tables);
        case 'look':
          return await this.#look(tables, step);
        case 'send':
          return await this.#send(tables, step);
      }
    });
    return 'result' in tried ? tried.result : outcomeOf(step, tried);
  }

  /**
   * Waits until no batch of this session is under way, on whatever connection: each holds the lock of the fence
   * until it has ended, also while it waits for a standby. Then it can be seen what they have claimed.
   */
  async #settle(tables: Tables): Promise<Outcome> {
    await this.#fence.renew(tables);
    this.#isUnsettled = false;
    const asked = this.#doubtful;
    if (asked.length === 0) return NOTHING_LEFT;
    this.#doubtful = [];
    try {
      const { session } = this.#fence;
      const claimed = await tables.claimedOf(asked, session);
      // Claims of a session that has ended meanwhile are not this broker's any more.
      if (claimed.length > 0 && session === this.#fence.session) this.#events.foundClaimed(claimed);
    } catch (error) {
      this.#doubt(asked);
      throw error;
    }
    return NOTHING_LEFT;
  }

  async #look(tables: Tables, { changes, cause }: Look): Promise<Outcome> {
    const locked = await this.#locks.among(tables, changes.flatMap(uuidsChanged));
    // The batch has waited for something else than a row of these requests.
    if (locked.length === 0 && cause !== null) return { kind: 'failed', error: cause.error };
    return { kind: 'split', steps: sendOf(without(changes, locked)) };
  }

  async #send(tables: Tables, send: Send): Promise<Outcome> {
    // What was sent over another connection has ended then, or comes too late.
    if (send.sending === 'again') await this.#fence.renew(tables);
    const made = await this.#fence.pass(tables, (fence) =>
      tables.commit(fence, send.changes, send.sending),
    );
    return { kind: 'done', send, made };
  }

  /** @returns the step for the changes that `Batch.postponed` left out; none if there are none, or after `POSTPONED_MAX` */
  #done({ send, made }: Extract<Outcome, { kind: 'done' }>, { results, deltas }: Progress): Step[] {
    const { changes, sending, postponements } = send;
    deltas.push(...made.deltas);
    for (const [at, change] of changes.entries()) results.set(change, made.results[at] ?? BUSY);
    // Which of its changes were made by this broker is not all known.
    if (sending === 'again') this.#events.miscounted();
    const postponed = made.postponed.flatMap((at) => changes[at] ?? []);
    for (const change of postponed) results.delete(change);
    if (postponed.length === 0 || postponements === POSTPONED_MAX) return [];
    const next = sending === 'first' ? 'careful' : sending;
    return [{ kind: 'send', changes: postponed, sending: next, postponements: postponements + 1 }];
  }

  #doubt(claimed: readonly RequestUuid[]): void {
    this.#doubtful.push(...claimed);
    this.#doubtful.splice(0, this.#doubtful.length - DOUBTFUL_MAX);
  }
}

/** What a try that failed means for its step. */
function outcomeOf(step: Step, failed: Failed): Outcome {
  const { error, reason, isSent } = failed;
  const state = stateOf(error);
  const retry = (next: Step): Outcome =>
    reason === null ? endOf(next, error) : { kind: 'retry', step: next, failed };
  const split = (...steps: readonly Step[]): Outcome => ({ kind: 'split', steps });

  if (step.kind === 'settle') return retry(step);
  if (step.kind === 'look') {
    if (step.cause !== null) return { kind: 'failed', error: step.cause.error };
    // The batch would wait for the same lock; or it is a fault of this program.
    const isHopeless = state === LOCK_TIMEOUT || (reason === null && state === '');
    return isHopeless ? { kind: 'failed', error } : split(...sendOf(step.changes));
  }

  const { changes, sending } = step;
  // There was no connection.
  if (!isSent) return retry(step);
  // The server has not said what became of it: the connection broke, or there was no answer in time.
  if (!isRolledBack(error)) return retry({ ...step, sending: 'again' });
  // This try is rolled back; one before it may be made.
  if (sending === 'again') return retry(step);
  // A request of it is there.
  const isThere = state === UNIQUE_VIOLATION && sending === 'first';
  if (isThere) return split({ ...step, sending: 'careful' });
  // Somebody keeps something locked.
  if (state === LOCK_TIMEOUT) return split({ kind: 'look', changes, cause: failed });
  // A row that the server does not take is looked for until it is alone.
  if (isOfRow(error)) {
    const halves = halvesOf(changes);
    if (halves.length < 2) return { kind: 'refused', changes, error };
    return split(...halves.map((half) => ({ ...step, changes: half })));
  }
  // A serialization failure, a deadlock, a full disk, too many connections: it may pass. All else does not.
  return retry(step);
}

/** The transaction did not take place: the server says so, or the fence did not hold. */
function isRolledBack(error: unknown): boolean {
  if (error instanceof FenceDown) return true;
  return stateOf(error) !== '' && retryReason(error) !== 'connection';
}

/** The step is not tried again. */
function endOf(step: Step, error: unknown): Outcome {
  const mayBeDone = step.kind === 'send' && step.sending === 'again';
  return { kind: mayBeDone ? 'unknown' : 'failed', error };
}

function sendOf(changes: readonly Change[]): Send[] {
  return changes.length === 0
    ? []
    : [{ kind: 'send', changes, sending: 'first', postponements: 0 }];
}

/** The halves of a batch; one: it cannot be halved. */
function halvesOf(changes: readonly Change[]): Change[][] {
  const units = unitsOf(changes);
  const middle = Math.ceil(units.length / 2);
  return [units.slice(0, middle), units.slice(middle)]
    .map((half) => half.flat())
    .filter(({ length }) => length > 0);
}

/** What is left of a batch without all that belongs to these requests. */
function without(changes: readonly Change[], requests: readonly RequestUuid[]): readonly Change[] {
  if (requests.length === 0) return changes;
  const names = new Set(requests.map((uuid) => uuid.toString('latin1')));
  const isOne = (change: Change): boolean =>
    uuidsChanged(change).some((uuid) => names.has(uuid.toString('latin1')));
  return unitsOf(changes)
    .filter((unit) => !unit.some(isOne))
    .flat();
}

/** Changes that belong together: all of them are made, or none. */
function unitsOf(changes: readonly Change[]): Change[][] {
  const units: Change[][] = [];
  for (const [at, change] of changes.entries()) {
    const [before, unit] = [changes[at - 1], units.at(-1)];
    if (before?.withNext === true && unit !== undefined) unit.push(change);
    else units.push([change]);
  }
  return units;
}

/** What these changes accept with a claim of this broker. */
function claimedBy(changes: readonly Change[]): RequestUuid[] {
  return changes.flatMap((change) =>
    change.kind === 'accept' && change.claim !== undefined ? [change.request.uuid] : [],
  );
}

/** An error after which it is unknown whether a batch was committed. */
export class UnknownOutcome extends Error {
  constructor(cause: unknown) {
    super(OUTCOME_UNKNOWN, { cause });
  }
}
