/**
 * The open requests of one activation, and how they end: closed, dead, expired or by a merge. An
 * end is decided here, committed by the writer, and reported to those who wait once it may be shown
 * (D14).
 */
import { type KnownKind, knownKind } from '../../../store/record-kind.js';
import type { Asker } from '../../../broker/ports.js';
import { oneLine } from '../../../core/escape.js';
import { OUTCOME_UNKNOWN } from '../../../core/failure-words.js';
import { increment } from '../../../core/counts.js';
import type { Failure } from '../../../wire/failure.js';
import { STORED } from './counters.js';
import { Answers, deadStatusFrame } from './answers.js';
import { closerOf, mayAccess } from './ownership.js';
import type { TitanicContext } from './context.js';
import type { Dispatcher } from './dispatcher.js';
import type { LookUp } from './lookups.js';
import type { Scope } from './scope.js';
import { truncatedDetail } from '../../../store/failure-codec.js';
import { type Attempt, orderEntry, retryEntry } from '../../../store/attempt.js';
import type { ListedRequest } from '../../../store/queries.js';
import {
  CLOSED,
  DELAYED,
  DIED,
  ENDED,
  ENDING,
  EXPIRED,
  isBeingDecided,
  OUT,
  SETTLING,
} from './fsm.js';
import {
  claimOf,
  continuedClaim,
  ATTEMPTS,
  CLAIM,
  GENERATION,
  LAPSED,
  NO_SLOT,
  type Slot,
  STATE,
} from './open-index.js';
import {
  ANY_OWNER,
  type Change,
  type ChangeResult,
  type ClaimedRequest,
  type Closer,
  type Found,
  type NewRequest,
  type Release,
  type RequestUuid,
  type StoredContent,
  type StoredRequest,
  type StoreFailure,
  webhookOf,
} from '../../../store/store.js';
import { type AnswerNumber, StoreWaits } from './store-waits.js';
import { WebhookEnds } from './webhook-ends.js';
import { dueTtlMs, rearmed } from './webhooks.js';
import type { Commit } from './commit.js';
import { type CommitNumber, Writer } from './writer.js';

/** The change is in this store; it is uncertain whether it is also in the peer's, as was promised. */
export const DOUBTFUL: StoreFailure = {
  kind: 'busy',
  message: `${OUTCOME_UNKNOWN}: the peer was lost during the operation`,
};
/** The result of changes in progress when a node steps down. */
const STEPPED_DOWN: StoreFailure = {
  kind: 'busy',
  message: `${OUTCOME_UNKNOWN}: this node is no longer active`,
};
const NOT_ACTIVE = 'this node is not active';

/** Takes the result of a change: made; not a step up, so nothing changed; not on disk. */
export type ChangeCallback = (result: 'done' | 'passed' | StoreFailure) => void;

/** How a request is closed. */
interface Closing {
  readonly answer: AnswerNumber;
  readonly by: Closer;
  readonly party: string;
  readonly onlyUnclaimed?: true;
  /** The request as the store has it; absent or `null`: not read. */
  readonly request?: StoredRequest | null;
}

/** How a request stops being open here. */
type Outcome =
  /** The reply, or that it is dead, is in the store: whoever reports it answers those who wait. */
  | 'settled'
  /** Closed or expired: unknown from now on. */
  | 'unknown'
  /** Not by this machine, or it is uncertain: those who wait are answered from the store. */
  | 'changed'
  /** The claim is over: any broker may claim it again. */
  | 'released';

/** The last attempt of a request, after which it is dead. */
interface LastAttempt {
  readonly attempt: Extract<Change, { readonly kind: 'attempt' }>;
  /** What its worker reported. */
  readonly failure: Failure | null;
}

/** Parts that are made later, of which those made before them need something. */
export interface LaterParts {
  readonly services: { commitOf(number: CommitNumber): Commit };
  /** Records that are not dispatched (D80): see `OpenRequests.restore`. */
  readonly schedules: {
    restore(request: StoredRequest, claimed: ClaimedRequest | null): void;
    restorePause(request: StoredRequest): void;
    readonly limits: { restore(request: StoredRequest): void };
    /** Called for every request that ended. */
    gone(uuid: RequestUuid): void;
    /** The schedules that this broker has claimed. */
    readonly claimed: readonly Release[];
  };
}

export class OpenRequests {
  readonly dispatcher: Dispatcher;
  readonly writer: Writer;
  readonly answers: Answers;
  readonly webhooks: WebhookEnds;
  readonly #context: TitanicContext;
  readonly #later: LaterParts;
  /**
   * Look-up results withheld because they may come from a batch that the peer has not confirmed.
   */
  #withheld: { readonly look: LookUp; readonly found: Found }[] = [];
  /**
   * Requests that are being decided and have become pending again: by a merge, or because this broker
   * claimed them before it learned that its last step was committed.
   */
  readonly #again = new Map<string, Parameters<OpenRequests['restore']>>();
  /** `strict`: the store contains changes that the peer did not confirm before it was lost. */
  #isDoubtful = false;
  #trouble: StoreFailure | null = null;

  /**
   * @param scope of the activation
   */
  constructor(context: TitanicContext, scope: Scope, dispatcher: Dispatcher, later: LaterParts) {
    this.#context = context;
    this.#later = later;
    const { store, replica, commits, claims } = context;
    this.answers = new Answers(
      new StoreWaits(replica.answerMs, () => context.now),
      (look, replyBytesMax) => {
        const completion = scope.completion<Found, StoreFailure>(
          (found) => this.#found(look, found),
          (failure) => this.#lookFailed(look, failure),
        );
        store.lookUp(look.uuid, replyBytesMax, completion);
        // Reads of a shared store and commits come in no order: what was asked before a close may be answered after it.
        if (claims !== null && look.bytes === 0) this.answers.stopSharing(look);
      },
      () => replica.probe(),
      (uuid) => this.isWithheld(uuid),
      (asker, uuid) => context.denied(asker, uuid, 'reply'),
      () => replica.silence,
      (text) => context.events.emit({ name: 'titanic.refused', reason: 'store', text }),
      ({ owner: key, address }) => {
        context.quotaUsedUp('waits');
        context.events.emit({ name: 'titanic.wait_refused', key, address });
      },
    );
    this.dispatcher = dispatcher;
    this.webhooks = new WebhookEnds(context, dispatcher, (change) => {
      this.commit({
        ...{ change, party: '', bytes: 0 },
        ended: (outcome) => {
          if (outcome.kind === 'made') this.reopened([outcome.result]);
          return outcome.kind !== 'made';
        },
      });
    });
    this.writer = new Writer(replica, commits, {
      waits: this.answers.waits,
      now: () => context.now,
      takeNumber: () => context.takeNumber(),
      commitOf: (number) => later.services.commitOf(number),
      committed: () => {
        this.#showWithheld();
        this.#heal();
      },
      failed: (failure) => this.#batchFailed(failure),
      doubted: () => {
        this.#isDoubtful = true;
      },
      released: (isDoubtful) => this.#released(isDoubtful),
    });
  }

  /** The node steps down: operators get an answer; pending answers to clients are dropped. */
  abandon(): void {
    this.writer.abandon(STEPPED_DOWN);
    this.answers.waits.abandon();
  }

  commit(commit: Commit): void {
    this.writer.add(commit, this.#context.now);
  }

  // ---------------------------------------------------------------- what can be done now

  /** Why nothing can be stored at present, or `null`. */
  get trouble(): StoreFailure | null {
    return this.#trouble;
  }

  /** False while results could not be stored, or this node hands over: then no new work is begun. */
  get mayWork(): boolean {
    const { refusal, isHandingOver = false } = this.#context.replica;
    return this.#trouble === null && !this.writer.isFull && refusal === null && !isHandingOver;
  }

  /**
   * Why the store accepts no change from a client now, or `null`. After it has been in trouble for
   * a while, the next change is let through to find out whether it still is.
   * @param party who makes the change; empty: an operator
   */
  obstacle(party = ''): string | null {
    const { isActive, replica, events, now } = this.#context;
    if (!isActive) return NOT_ACTIVE;
    const { refusal } = replica;
    if (refusal !== null) {
      const reason = replica.isPaired ? 'peer' : 'store';
      events.emit({ name: 'titanic.refused', reason, text: refusal });
      return refusal;
    }
    const text =
      this.#trouble !== null && !this.writer.mayRetry(now)
        ? this.#trouble.message
        : this.writer.isFullFor(party)
          ? 'the store is overloaded'
          : null;
    if (text !== null) events.emit({ name: 'titanic.refused', reason: 'store', text });
    return text;
  }

  // ---------------------------------------------------------------- what may be shown (D14)

  /**
   * A reply, or the fact that it is dead, is being committed on both disks: it is no longer called
   * pending.
   */
  isWithheld(uuid: RequestUuid): boolean {
    const { index } = this.dispatcher;
    const slot = index.find(uuid);
    return (
      this.#context.replica.isPaired && slot !== NO_SLOT && index.get(slot, STATE) === SETTLING
    );
  }

  /** True if the store contains changes that the peer may lack, which nobody may see. */
  get #mayContainUnsafe(): boolean {
    const isDoubtful = this.#isDoubtful && this.#context.replica.refusal !== null;
    return this.writer.isUnconfirmed || isDoubtful;
  }

  #found(look: LookUp, found: Found): void {
    if (this.#mayContainUnsafe) {
      this.#withheld.push({ look, found });
      this.answers.stopSharing(look);
    } else this.answers.found(look, found, this.#context.now);
  }

  #lookFailed(look: LookUp, failure: StoreFailure): void {
    const { replica, now } = this.#context;
    // A store that is shared has tried again for as long as an operation may take.
    const text = replica.answerMs < Infinity ? (replica.silence ?? failure.message) : null;
    this.answers.lookFailed(look, text, now);
  }

  #showWithheld(): void {
    if (this.#withheld.length === 0 || this.#mayContainUnsafe) return;
    const withheld = this.#withheld;
    this.#withheld = [];
    for (const { look, found } of withheld) this.answers.found(look, found, this.#context.now);
  }

  /** Called in each turn: the peer may have returned since the last one. */
  show(): void {
    const { replica, now } = this.#context;
    if (replica.refusal === null) this.#isDoubtful = false;
    this.#showWithheld();
    this.answers.run(now);
  }

  // ---------------------------------------------------------------- reports of the store and the peer

  #heal(): void {
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.#context.events.emit({ name: 'store.healed' });
  }

  /** See `Titanic.regained`. What fails from now on has another cause. */
  regained(): void {
    if (this.#trouble?.kind === 'busy') this.#heal();
  }

  #batchFailed(failure: StoreFailure): void {
    const { events } = this.#context;
    const { kind, message, detail: text = message } = failure;
    if (this.#trouble === null) events.emit({ name: 'store.failed', kind, text });
    this.#trouble = failure;
    // Earlier changes may be lost: from now on nothing is acknowledged or shown.
    if (kind === 'fatal') this.answers.isUntrusted = true;
  }

  #released(isDoubtful: boolean): void {
    // With `strict`, later changes are not written, so their clients need not wait.
    if (isDoubtful) this.writer.refuse(DOUBTFUL);
    this.#showWithheld();
  }

  /** See `Titanic.merged`. */
  merged(opened: readonly StoredRequest[], ended: readonly RequestUuid[]): void {
    for (const request of opened) this.#changed(request);
    for (const uuid of ended) {
      const slot = this.dispatcher.index.find(uuid);
      if (slot !== NO_SLOT && !this.#isBeingDecided(slot)) this.end(uuid, 'changed');
      this.#later.schedules.gone(uuid);
    }
    this.answers.merged();
  }

  /** A record is pending with other facts than those here. */
  #changed(request: StoredRequest): void {
    const slot = this.dispatcher.index.find(request.uuid);
    if (slot !== NO_SLOT && !this.#isBeingDecided(slot)) this.dispatcher.step(slot, ENDED);
    // In a shared store it is claimed by whom it suits.
    if (this.#context.claims === null) this.restore(request);
  }

  /** Takes up what is pending in a higher generation by these changes. */
  reopened(results: readonly ChangeResult[]): void {
    for (const result of results) if (result.kind === 'reopened') this.#changed(result.request);
  }

  #isBeingDecided(slot: Slot): boolean {
    return isBeingDecided(this.dispatcher.index.get(slot, STATE));
  }

  // ---------------------------------------------------------------- pending

  /**
   * Opens a request that is pending in the store. A list may include it before its commit is reported,
   * which waits for the peer: then it is open already.
   * @param party see `RequestOwner`
   * @param content what is sent to a worker; `null`: to be read when one has room for it
   */
  open(
    request: StoredRequest,
    party: string = request.owner,
    content: StoredContent | null = null,
  ): Slot {
    const { now, wall } = this.#context;
    const known = this.dispatcher.index.find(request.uuid);
    const slot = known === NO_SLOT ? this.dispatcher.open(request, now, wall, party) : known;
    if (content !== null) this.dispatcher.bring(slot, content);
    return slot;
  }

  /** Opens a request of a shared store that this broker has claimed. */
  openClaimed({ request, claim, content }: ClaimedRequest): Slot {
    const { index } = this.dispatcher;
    const known = index.find(request.uuid);
    // A worker has it since before it was dead: its reply would come too late.
    const isOld = known !== NO_SLOT && index.get(known, GENERATION) !== request.generation;
    if (isOld) this.dispatcher.step(known, ENDED);
    const slot = this.open(request, request.owner, content);
    index.set(slot, CLAIM, claim);
    // Other brokers may have made attempts since its worker got it.
    index.set(slot, ATTEMPTS, request.attempts);
    return slot;
  }

  /** All that this broker knows as claimed. */
  get claimed(): Release[] {
    const { index } = this.dispatcher;
    const open = [...this.dispatcher.slots()].map((slot) => ({
      ...{ uuid: index.uuid(slot), claim: index.get(slot, CLAIM) },
    }));
    const again = [...this.#again.values()].flatMap(([{ uuid }, claimed = null]) =>
      claimed === null ? [] : { uuid, claim: claimed.claim },
    );
    return [...open, ...again, ...this.#later.schedules.claimed];
  }

  /**
   * Takes up a pending record that was listed or merged.
   * @param claimed in a shared store. If it is open here, an earlier claim was lost; a worker may still
   *   have it
   */
  restore(request: StoredRequest, claimed: ClaimedRequest | null = null): void {
    const kind = knownKind(request.kind);
    // What only a later version knows is kept, and nothing is done with it.
    if (kind === null) return;
    this.#restored[kind](request, claimed);
  }

  /** What is done with a record of each kind that is listed or merged. The compiler asks for each kind. */
  readonly #restored: Readonly<
    Record<KnownKind, (request: StoredRequest, claimed: ClaimedRequest | null) => void>
  > = {
    request: (request, claimed) => this.#restoreWork(request, claimed),
    webhook: (request, claimed) => this.#restoreWork(request, claimed),
    schedule: (request, claimed) => this.#later.schedules.restore(request, claimed),
    pause: (request) => this.#later.schedules.restorePause(request),
    limit: (request) => this.#later.schedules.limits.restore(request),
  };

  #restoreWork(request: StoredRequest, claimed: ClaimedRequest | null): void {
    const known = this.dispatcher.index.find(request.uuid);
    if (known !== NO_SLOT && this.#isBeingDecided(known)) {
      this.#again.set(request.uuid.toString('latin1'), [request, claimed]);
      return;
    }
    const slot = claimed === null ? this.open(request) : this.openClaimed(claimed);
    // The process ended between the last attempt and the commit of its end.
    if (request.attempts < request.maxAttempts) return;
    this.makeDead(slot, request.attempts, 'the broker stopped', null);
  }

  /** Starts with another session: this broker goes on only with what is at a worker, or was there, and has not claimed it. */
  dropUnstarted(): void {
    this.#again.clear();
    const { index } = this.dispatcher;
    for (const slot of [...this.dispatcher.slots()]) {
      const state = index.get(slot, STATE);
      if (state === OUT) index.set(slot, CLAIM, LAPSED);
      // One whose close or expiry may fail would go on with the claim of the session that is over.
      else if (!isBeingDecided(state) || state === ENDING) this.dispatcher.step(slot, ENDED);
    }
  }

  /**
   * A dead request is pending again.
   * @param by who retried it
   */
  reopen(record: ListedRequest, by: string, done: ChangeCallback): void {
    const { reason, kind } = record;
    const { wall, options } = this.#context;
    const ttlMs = kind === 'webhook' ? dueTtlMs(options.requestTtlMs) : options.requestTtlMs;
    this.#reopen(record, ttlMs, retryEntry(by, wall, reason), done);
  }

  /**
   * A request that is to run later is due now, and its time to live begins.
   * @param by who ordered it
   */
  runNow(record: ListedRequest, by: string, done: ChangeCallback): void {
    const { expiresAt, notBefore } = record;
    const entry = orderEntry(`to run now, by ${by}`, this.#context.wall);
    this.#reopen(record, expiresAt - notBefore, entry, done);
  }

  #reopen(record: ListedRequest, ttlMs: number, attempt: Attempt, done: ChangeCallback): void {
    const { answer, decided } = this.inTime(done);
    const { uuid, generation } = record;
    const { livesFrom, options } = this.#context;
    const { index } = this.dispatcher;
    const slot = index.find(uuid);
    // Its time may come while this is committed: it runs once.
    const isHeld = slot !== NO_SLOT && index.get(slot, STATE) === DELAYED;
    if (isHeld) this.dispatcher.step(slot, CLOSED);
    const expiresAt = livesFrom + ttlMs;
    const change: Change = { kind: 'retry', uuid, generation: generation + 1, expiresAt, attempt };
    // A webhook that is retried tells of the same end again.
    const webhook = webhookOf(record);
    const before = webhook === null ? [] : [rearmed(webhook, generation + 1, expiresAt, options)];
    this.commit({
      ...{ change, before, party: '', bytes: 0, answer },
      ended: (outcome) => {
        if (outcome.kind !== 'made') {
          this.#resume(uuid);
          decided(outcome.failure);
          return false;
        }
        const { result, before: ofWebhook } = outcome;
        const isDone = result.kind === 'reopened';
        if (isDone) this.#release(uuid);
        else this.#resume(uuid);
        this.reopened([result, ...ofWebhook]);
        // The request is gone. Whether its end was told is not known: it is told again, in a shared store when its
        // wait is over.
        const isRearmed = ofWebhook.some(({ kind }) => kind === 'reopened');
        if (isRearmed && !isDone) this.webhooks.ended(uuid);
        decided(isDone ? 'done' : 'passed');
        return false;
      },
    });
  }

  /** It is not open here as it was, if it was. */
  #release(uuid: RequestUuid): void {
    const slot = this.dispatcher.index.find(uuid);
    if (slot === NO_SLOT || this.dispatcher.index.get(slot, STATE) !== ENDING) return;
    this.#takeAgain(uuid);
    this.dispatcher.step(slot, ENDED);
  }

  /**
   * Stores a request that an operator ordered.
   * @param ended it is in the store, or will not be: then `result` is `null`
   * @param webhook what tells its webhook; `null`: it has none
   * @param ends what it takes the place of
   */
  order(
    accept: NewRequest,
    ended: (result: ChangeResult | null) => void,
    done: ChangeCallback,
    webhook: NewRequest | null = null,
    ends: readonly Change[] = [],
  ): void {
    const { answer, decided } = this.inTime(done);
    this.commit({
      ...{ change: accept, party: '', bytes: accept.body.length, answer },
      before: webhook === null ? ends : [...ends, webhook],
      ended: (outcome) => {
        const isMade = outcome.kind === 'made';
        ended(isMade ? outcome.result : null);
        decided(isMade ? (outcome.isDoubtful ? DOUBTFUL : 'done') : outcome.failure);
        return false;
      },
    });
  }

  // ---------------------------------------------------------------- answers in time (D105)

  /** An operator's change, which is answered in time like those of clients. */
  inTime(done: ChangeCallback): { answer: AnswerNumber; decided: ChangeCallback } {
    const { waits } = this.answers;
    const answer = waits.begins((message) => done({ kind: 'busy', message }), true);
    return {
      answer,
      decided: (result) => {
        if (waits.ends(answer) !== null) done(result);
      },
    };
  }

  // ---------------------------------------------------------------- ends

  /**
   * Closes a request, whatever its state and owner.
   * @param known `request`: as the store has it, if that was read; `onlyUnclaimed`: this broker has not claimed it, and
   * it stays if another one has
   */
  close(
    uuid: RequestUuid,
    done: ChangeCallback,
    known: { readonly request?: StoredRequest | null; readonly onlyUnclaimed?: boolean } = {},
  ): void {
    const { answer, decided } = this.inTime(done);
    const { request = null, onlyUnclaimed = false } = known;
    // Of one that may stay, the webhook is made due once it is known that it has ended.
    const only = onlyUnclaimed ? { onlyUnclaimed } : { request };
    const how: Closing = { answer, by: ANY_OWNER, party: '', ...only };
    this.#close(uuid, how, decided, () => decided('passed'));
  }

  /** Closes a request for an asker: another owner's stays (D71). */
  closeFor(
    answer: AnswerNumber,
    asker: Asker,
    uuid: RequestUuid,
    decided: ChangeCallback,
    denied: () => void,
  ): void {
    const party = asker.identity;
    const slot = this.dispatcher.index.find(uuid);
    if (slot !== NO_SLOT) {
      if (mayAccess(asker, this.dispatcher.ownershipOf(slot))) {
        this.#close(uuid, { answer, by: ANY_OWNER, party }, decided, denied);
      } else {
        denied();
      }
      return;
    }
    this.#close(uuid, { answer, by: closerOf(asker), party }, decided, denied);
  }

  #close(
    uuid: RequestUuid,
    { answer, by, party, request = null, ...more }: Closing,
    decided: ChangeCallback,
    denied: () => void,
  ): void {
    const slot = this.dispatcher.index.find(uuid);
    const isFirst = slot !== NO_SLOT && this.dispatcher.index.get(slot, STATE) < ENDING;
    if (isFirst) this.dispatcher.step(slot, CLOSED);
    const at = this.#context.wall;
    const keyUntil = this.#context.livesFrom + this.#context.options.keyTtlMs;
    const report = onlyOnce(decided);
    const before =
      slot === NO_SLOT
        ? this.webhooks.changesAtClose(request)
        : this.webhooks.changesAtEnd(slot, 'cancelled');
    this.commit({
      ...{
        change: { kind: 'close', uuid, at, keyUntil, by, ...more },
        before,
        party,
        bytes: 0,
        answer,
      },
      ended: (outcome) => {
        if (outcome.kind !== 'made') {
          report(outcome.failure);
          // The peer may have closed it, so it is not shown again.
          const goesOn = this.#context.replica.isPaired && outcome.failure.kind !== 'fatal';
          if (!goesOn && isFirst) this.#resume(uuid);
          return goesOn;
        }
        if (outcome.isDoubtful) {
          this.end(uuid, 'changed');
          report(DOUBTFUL);
          return false;
        }
        const { result, before: due } = outcome;
        const isEnded = isEnd(result);
        if (result.kind === 'denied') {
          // An asker that got a failure gets no second answer.
          if (!report.isCalled()) denied();
          return false;
        }
        this.#context.ended(uuid, 'closed');
        if (isEnded) this.#context.hints?.ended(uuid);
        this.reopened(due);
        // What was known of one that is not open here may be of a generation before.
        const wasOther = slot === NO_SLOT && request?.generation !== generationOf(result);
        if (result.kind === 'ended' && wasOther) this.webhooks.cancelled(result);
        this.#later.schedules.gone(uuid);
        // It may have been accepted while its close was being committed.
        const isOpen = this.dispatcher.index.find(uuid) !== NO_SLOT;
        if (by === ANY_OWNER || (isEnded && isOpen)) this.end(uuid, 'unknown');
        else if (isEnded) this.answers.answerWaitersClosed(uuid, by);
        report(isEnded ? 'done' : 'passed');
        return false;
      },
    });
  }

  /** Continues as if there had been no close. */
  #resume(uuid: RequestUuid): void {
    const { index } = this.dispatcher;
    const slot = index.find(uuid);
    if (slot === NO_SLOT || index.get(slot, STATE) < ENDING) return;
    // Its worker had it since a session before this one: it is not sent again without a claim.
    const isLapsed = index.get(slot, STATE) === ENDING && index.get(slot, CLAIM) === LAPSED;
    if (isLapsed || this.#again.has(uuid.toString('latin1'))) this.end(uuid, 'released');
    else this.dispatcher.resume(slot, this.#context.now);
  }

  /** The text for a client whose request could not be stored. */
  failureText(failure: StoreFailure): string {
    const { message } = failure;
    // It may have been sent to the peer. It is not revoked: if this node were cut off meanwhile,
    // the peer could have acknowledged it to a client that sent the same key again.
    const saysUnknown = failure === DOUBTFUL || failure === STEPPED_DOWN;
    return saysUnknown || !this.#context.replica.isPaired
      ? message
      : `${OUTCOME_UNKNOWN}: ${message}`;
  }

  /**
   * Makes the request dead: no attempt follows.
   * @param reason of the last attempt
   * @param last the attempt that is stored together with the end, so that no crash separates the
   * two (D63), and what its worker reported
   */
  makeDead(slot: Slot, attempts: number, reason: string, last: LastAttempt | null): void {
    const { index } = this.dispatcher;
    const uuid = index.uuid(slot);
    const party = this.dispatcher.partyOf(slot);
    const generation = index.get(slot, GENERATION);
    const { shown } = this.dispatcher.serviceOf(slot);
    const due = this.webhooks.changesAtEnd(slot, 'dead');
    this.dispatcher.step(slot, DIED);
    const { counters, events, options, wall: at, livesFrom } = this.#context;
    const failure = last?.failure ?? null;
    const detail =
      failure === null ? [] : truncatedDetail(failure.detail).map((frame) => Buffer.from(frame));
    const isWhole = failure !== null || reason.startsWith(OUTCOME_UNKNOWN);
    const text = isWhole ? reason : `dead after ${attempts} attempts, the last: ${reason}`;
    const expiresAt = livesFrom + options.replyTtlMs;
    const claim = claimOf(index.get(slot, CLAIM));
    const change: Change = {
      kind: 'dead',
      uuid,
      generation,
      reason: text,
      at,
      expiresAt,
      ...claim,
    };
    this.commit({
      ...{ change, party, bytes: last?.attempt.attempt.failure?.length ?? 0 },
      before: [...(last === null ? [] : [{ ...last.attempt, ...continuedClaim(claim) }]), ...due],
      ended: (outcome) => {
        if (outcome.kind !== 'made') return true;
        if (outcome.isDoubtful) {
          this.end(uuid, 'changed');
          return false;
        }
        const { kind } = outcome.result;
        this.reopened(outcome.before);
        if (kind === 'done') {
          increment(counters.of(shown), STORED.dead);
          this.#context.ended(uuid, 'dead');
          events.emit({ name: 'titanic.died', service: shown, attempts, reason: oneLine(reason) });
        }
        if (this.settled(uuid, kind)) {
          this.answers.answerWaiters(uuid, deadStatusFrame(text), ...detail);
        }
        return false;
      },
    });
  }

  /** Ends the request because its time to live is over. */
  expire(slot: Slot): void {
    const uuid = this.dispatcher.index.uuid(slot);
    const party = this.dispatcher.partyOf(slot);
    const { shown } = this.dispatcher.serviceOf(slot);
    const before = this.webhooks.changesAtEnd(slot, 'expired');
    this.dispatcher.step(slot, EXPIRED);
    const { counters, events, options, wall: at, livesFrom } = this.#context;
    const keyUntil = livesFrom + options.keyTtlMs;
    this.commit({
      ...{ change: { kind: 'expire', uuid, at, keyUntil, by: ANY_OWNER }, before, party, bytes: 0 },
      ended: (outcome) => {
        if (outcome.kind !== 'made') return true;
        if (!outcome.isDoubtful) this.reopened(outcome.before);
        if (outcome.isDoubtful || !isEnd(outcome.result)) {
          this.end(uuid, 'changed');
          return false;
        }
        increment(counters.of(shown), STORED.expired);
        this.#context.ended(uuid, 'expired');
        this.#context.hints?.ended(uuid);
        events.emit({ name: 'titanic.expired', service: shown });
        this.end(uuid, 'unknown');
        return false;
      },
    });
  }

  /**
   * Ends a request whose reply, or death, was committed.
   * @returns true if those who wait can be answered
   */
  settled(uuid: RequestUuid, result: ChangeResult['kind']): boolean {
    const isDone = result === 'done';
    // A step was not made, because the claim had ended.
    if (!isDone && this.#context.claims !== null) this.#context.counters.store.claimsLost++;
    this.end(uuid, isDone ? 'settled' : 'changed');
    return isDone;
  }

  /** Ends a request here: it is not open any more. */
  end(uuid: RequestUuid, outcome: Outcome): void {
    const slot = this.dispatcher.index.find(uuid);
    if (slot !== NO_SLOT) this.dispatcher.step(slot, ENDED);
    const again = this.#takeAgain(uuid);
    const { claims, hints } = this.#context;
    if (outcome === 'settled') hints?.ended(uuid);
    else if (outcome === 'unknown') this.answers.answerWaitersUnknown(uuid);
    else {
      if (again !== undefined) this.restore(...again);
      // In a shared store it may still be pending, for another broker.
      if (outcome === 'changed' && claims === null) {
        if (again === undefined) this.webhooks.ended(uuid);
        this.answers.lookUpForWaiters(uuid);
      }
    }
  }

  #takeAgain(uuid: RequestUuid): Parameters<OpenRequests['restore']> | undefined {
    if (this.#again.size === 0) return undefined;
    const key = uuid.toString('latin1');
    const again = this.#again.get(key);
    this.#again.delete(key);
    return again;
  }
}

/** The generation of a record that has ended and has a webhook; `null`: it has none. */
function generationOf(result: ChangeResult): number | null {
  return result.kind === 'ended' ? result.generation : null;
}

/** Whether a close or an expiry has ended a request. */
function isEnd({ kind }: ChangeResult): boolean {
  return kind === 'done' || kind === 'ended';
}

/** Passes on only the first result that it is given. */
function onlyOnce(decided: ChangeCallback): ChangeCallback & { isCalled(): boolean } {
  let isCalled = false;
  const report: ChangeCallback = (result) => {
    if (!isCalled) decided(result);
    isCalled = true;
  };
  return Object.assign(report, { isCalled: () => isCalled });
}
