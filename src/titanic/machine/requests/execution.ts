/** Handles the broker's reports about stored requests, and the attempts that result. */
import type { DispatchedWorker } from '../../../broker/ports.js';
import { oneLine } from '../../../core/escape.js';
import { GIVEN_BACK, OUTCOME_UNKNOWN } from '../../../core/failure-words.js';
import type { Frames } from '../../../core/frames.js';
import { increment } from '../../../core/counts.js';
import { pack, packedBytes } from '../../../core/packed.js';
import type { RandomFill } from '../../../core/random.js';
import { codedReason, type Failure, tooLargeFailure } from '../../../wire/failure.js';
import { STORED_BYTES_MAX } from '../../../wire/tsp.js';
import { STORED } from './counters.js';
import { uuidPrefix, type TitanicContext } from './context.js';
import { type Dispatcher, storedWorker } from './dispatcher.js';
import { DEFERRED, FAILED, HANDED_BACK, REPLIED, RETURNED } from './fsm.js';
import {
  claimOf,
  ATTEMPTS,
  ATTEMPTS_MAX,
  CLAIM,
  GENERATION,
  NO_SLOT,
  SINCE,
  type Slot,
} from './open-index.js';
import { packFailure } from '../../../store/failure-codec.js';
import type { OpenRequests } from './open-requests.js';
import type { Progress } from './progress.js';
import type { Change } from '../../../store/store.js';

export class Execution {
  readonly #context: TitanicContext;
  readonly #requests: OpenRequests;
  readonly #dispatcher: Dispatcher;
  readonly #random: RandomFill;
  readonly #progress: Progress;

  constructor(
    context: TitanicContext,
    requests: OpenRequests,
    random: RandomFill,
    progress: Progress,
  ) {
    this.#context = context;
    this.#requests = requests;
    this.#dispatcher = requests.dispatcher;
    this.#random = random;
    this.#progress = progress;
  }

  dispatched(slot: Slot, worker: DispatchedWorker): void {
    if (!this.#dispatcher.isWithBroker(slot)) return;
    this.#dispatcher.dispatched(slot, worker, this.#context.wall);
    this.#context.trace?.({
      name: 'titanic.dispatched',
      uuid: uuidPrefix(this.#dispatcher.index.uuid(slot)),
      worker: worker.number,
    });
  }

  replied(slot: Slot, frames: Frames, from: number, parts: Buffer | null): void {
    const { index } = this.#dispatcher;
    const isWanted = this.#dispatcher.isWithBroker(slot);
    const bytes = packedBytes(frames, from, frames.count);
    if (isWanted && bytes > STORED_BYTES_MAX) {
      const text = `a reply of ${bytes} bytes, at most ${STORED_BYTES_MAX} can be stored`;
      const failure = tooLargeFailure(text);
      this.failed(slot, codedReason(failure), false, failure);
      return;
    }
    if (isWanted) this.#progress.replied(slot, parts);
    this.#dispatcher.forgotten(slot);
    if (!isWanted) return;
    const uuid = index.uuid(slot);
    const reply = Buffer.allocUnsafeSlow(bytes);
    pack(frames, from, frames.count, reply, 0, false);
    const { counters, options, wall, livesFrom } = this.#context;
    const { shown } = this.#dispatcher.serviceOf(slot);
    const since = index.getDouble(slot, SINCE);
    const claim = index.get(slot, CLAIM);
    const { worker } = this.#dispatcher.delivery(slot, wall);
    // The worker of webhooks replies with a second frame if the request is dead: an operator may have it tried again.
    const isWebhook = this.#dispatcher.partners.requestOf(uuid) !== null;
    if (isWebhook && frames.count - from === 1) {
      increment(counters.of(shown), STORED.completed);
      this.#requests.close(uuid, () => undefined);
      return;
    }
    const generation = index.get(slot, GENERATION);
    const before = this.#requests.webhooks.changesAtEnd(slot, 'replied');
    this.#dispatcher.step(slot, REPLIED);
    const change: Change = {
      kind: 'reply',
      uuid,
      generation,
      reply,
      worker: storedWorker(worker),
      at: wall,
      expiresAt: livesFrom + options.replyTtlMs,
    };
    this.#requests.commit({
      ...{ change, before, party: this.#dispatcher.partyOf(slot), bytes: reply.length },
      ended: (outcome) => {
        if (outcome.kind === 'failed') return true;
        if (outcome.kind === 'refused') {
          const open = index.find(uuid);
          // In a shared store, it may have been claimed again meanwhile, and run.
          if (open === NO_SLOT || index.get(open, CLAIM) !== claim) return false;
          const attempts = index.get(open, ATTEMPTS) + 1;
          this.#requests.makeDead(open, attempts, 'the store refuses the reply', null);
          return false;
        }
        if (outcome.isDoubtful) {
          this.#requests.end(uuid, 'changed');
          return false;
        }
        const { kind } = outcome.result;
        this.#requests.reopened(outcome.before);
        if (kind === 'done') {
          const counts = counters.of(shown);
          increment(counts, STORED.completed);
          STORED.acceptToReply.observe(counts, Math.max(0, this.#context.wall - since));
          this.#context.ended(uuid, 'replied');
        }
        if (this.#requests.settled(uuid, kind)) {
          this.#requests.answers.sendReplyToWaiters(uuid, reply);
        }
        return false;
      },
    });
  }

  /**
   * @param failure what its worker reported
   * @param leastPauseMs before the next attempt
   */
  failed(
    slot: Slot,
    reason: string,
    isKnown: boolean,
    failure: Failure | null,
    leastPauseMs = 0,
  ): void {
    const { index } = this.#dispatcher;
    const { counters, events, now, wall } = this.#context;
    const { worker, startedAt } = this.#dispatcher.delivery(slot, wall);
    const isWanted = this.#dispatcher.isWithBroker(slot);
    if (!isKnown) this.#dispatcher.forgotten(slot);
    if (!isWanted) return;
    const attempts = index.get(slot, ATTEMPTS) + 1;
    index.set(slot, ATTEMPTS, attempts);
    const uuid = index.uuid(slot);
    const generation = index.get(slot, GENERATION);
    const harmless = oneLine(reason);
    this.#context.trace?.({
      name: 'titanic.failed',
      uuid: uuidPrefix(uuid),
      attempts,
      reason: harmless,
    });
    const { shown } = this.#dispatcher.serviceOf(slot);
    const counts = counters.of(shown);
    increment(counts, STORED.attemptsFailed[failure?.kind ?? 'lost']);
    const isLast = failure?.kind === 'final' || attempts >= index.get(slot, ATTEMPTS_MAX);
    const pauseMs = isLast ? 0 : Math.max(leastPauseMs, this.#pauseMs(slot, attempts));
    const change: Extract<Change, { kind: 'attempt' }> = {
      kind: 'attempt',
      uuid,
      generation,
      attempts,
      attempt: {
        worker: storedWorker(worker),
        startedAt,
        endedAt: wall,
        reason,
        failure: failure === null ? null : packFailure(failure),
        extra: null,
      },
      notBefore: wall + pauseMs,
      ...claimOf(index.get(slot, CLAIM)),
    };
    if (isLast) {
      // A worker that gave it back, or whose reply cannot be used, is not lost.
      const isLost = failure === null && isKnown && !reason.startsWith(GIVEN_BACK);
      const isUnknown = isLost && index.get(slot, ATTEMPTS_MAX) === 1;
      const why = isUnknown ? `${OUTCOME_UNKNOWN}: its worker was lost (${reason})` : reason;
      this.#requests.makeDead(slot, attempts, why, { attempt: change, failure });
      return;
    }
    const bytes = change.attempt.failure?.length ?? 0;
    const isShared = this.#context.claims !== null;
    const party = this.#dispatcher.partyOf(slot);
    // In a shared store any broker may try it next, unless it holds its group here.
    const isReleased = isShared && !this.#dispatcher.holdsGroup(slot);
    // A reply that comes before that is committed is still taken.
    if (isReleased) this.#dispatcher.step(slot, RETURNED);
    else this.#dispatcher.wait(slot, FAILED, now + pauseMs, now);
    const kept = isShared && !isReleased ? { ...change, keepsClaim: true } : change;
    this.#requests.commit({
      ...{ change: kept, party, bytes },
      ended: (outcome) => {
        if (outcome.kind !== 'made') return true;
        if (!isShared) return false;
        const isDone = outcome.result.kind === 'done';
        if (!isDone) counters.store.claimsLost++;
        if (isReleased || !isDone) this.#requests.end(uuid, 'released');
        return false;
      },
    });
    increment(counts, STORED.retried);
    events.emit({ name: 'titanic.retried', service: shown, reason: harmless });
  }

  handedBack(slot: Slot): void {
    if (this.#dispatcher.isWithBroker(slot)) this.#dispatcher.step(slot, HANDED_BACK);
  }

  deferred(slot: Slot): void {
    if (!this.#dispatcher.isWithBroker(slot)) return;
    this.#dispatcher.wait(slot, DEFERRED, Infinity, this.#context.now);
  }

  called(slot: Slot): void {
    this.#dispatcher.called(slot, this.#context.now);
  }

  /** Exponential with jitter: between half of the value and all of it. */
  #pauseMs(slot: Slot, attempts: number): number {
    const { retryBaseMs, retryMaxMs } = this.#context.options;
    const own = this.#dispatcher.backoffOf(slot);
    const { baseMs, maxMs } = own ?? { baseMs: retryBaseMs, maxMs: retryMaxMs };
    const whole = Math.min(maxMs, baseMs * 2 ** Math.min(attempts - 1, 40));
    const bytes = Buffer.alloc(4);
    this.#random(bytes);
    return Math.round(whole * (0.5 + bytes.readUInt32BE() / 2 ** 33));
  }
}
