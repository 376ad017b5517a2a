/**
 * The wait for the reply of a durable request: pure, with time as an argument.
 *
 * One question is out at a time: `titanic.wait` if the broker offers it, for at most `WAIT_MS`
 * each; else `titanic.reply`, with growing pauses. Questions that fail because brokers are silent,
 * away or refuse are asked again until the time is over. A broker that answers a wait at once with
 * 300 is also asked again only after such a pause, so nothing polls without a pause.
 *
 * For a request that is not stored yet, the first question is `titanic.call` (D122): it stores the request, and waits as
 * `titanic.wait` does. Once it has brought the receipt, whatever ends it is followed by the other questions.
 */
import type { MonotonicMs } from '../../core/clock.js';
import { codeOf, type MajordomoError } from '../../core/errors.js';
import { type BackoffOptions, backoffMs, type Random } from '../backoff.js';
import { whyLeadMs } from '../client/whys.js';
import { sdkError } from '../errors.js';
import { TIMEOUT_MS } from '../option-tables.js';
import { WAIT_MS_MAX } from '../../wire/tsp.js';
import type { ClientTimes, RequestSettings } from '../request-options.js';
import {
  deathError,
  deathOf,
  notStored,
  readAnswer,
  replyError,
  type TitanicAnswer,
} from './titanic-answer.js';

/** The question to the broker: its extensions, `titanic.wait`, `titanic.reply`, or `titanic.call`. */
export type Question = 'offers' | 'wait' | 'reply' | 'call';

interface ResultWaitSink {
  /** Ask once, and call `answered` or `failed`. `waitMs` is the broker's part of a `wait`. */
  ask(question: Question, waitMs: number): void;
  /** The time is nearly over: ask the broker why there is no reply yet. */
  askWhy(): void;
  /** Drop the question that is out, and pass its state to `failed`. */
  giveUp(): void;
  done(frames: Buffer[]): void;
  fail(error: MajordomoError): void;
}

interface ResultWaitOptions extends BackoffOptions {
  /** `null`: it is not stored yet. */
  readonly uuid: string | null;
  /** How long that may take; `Infinity`: no limit. */
  readonly storeMs: number;
  /** The requested service, as far as it is known. */
  readonly service: string;
  /** `Infinity`: no limit. */
  readonly timeoutMs: number;
  /** Whether the broker offers `wait`; `null`: unknown yet. */
  readonly offersWait: () => boolean | null;
  /** Whether the broker is known to report failures. */
  readonly offersFail: () => boolean;
  /** What was answered to `askWhy`, after a colon; empty: nothing. */
  readonly why: () => string;
}

/** The longest wait at a broker; the broker's own limit is a minute, which is also how long `titanic.call` waits. */
export const WAIT_MS = 30_000;
/** How long an answer to a question may take if the client's calls have no end. */
const QUESTION_MS = TIMEOUT_MS;
/** How long after the receipt the reply may come by the same question: as long as the broker waits, and an answer takes. */
const CALL_MS = WAIT_MS_MAX + QUESTION_MS;

/** The settings of a question that the broker answers at once. */
export function questionSettings({ timeoutMs, resendMs }: ClientTimes): RequestSettings {
  const mostMs = timeoutMs === Infinity ? QUESTION_MS : timeoutMs;
  const none = { saysTime: false, once: false, signal: undefined, headers: undefined };
  return { timeoutMs: mostMs, resendMs, ...none };
}

/** The settings of a question that the broker holds for `waitMs`; its asker gives it up when the time is over. */
export function waitSettings(client: ClientTimes, waitMs: number): RequestSettings {
  // Longer than the broker waits, or each wait would be sent twice.
  const resendMs = waitMs + client.resendMs;
  return { ...questionSettings(client), timeoutMs: Infinity, resendMs };
}

/** What ends a question but not the wait for the reply. */
const PASSING: ReadonlySet<unknown> = new Set([
  'ERR_MDP_TIMEOUT',
  'ERR_MDP_UNREACHABLE',
  'ERR_MDP_REFUSED',
]);

export function isPassing(error: unknown): boolean {
  return PASSING.has(codeOf(error));
}

export class ResultWait {
  readonly #options: ResultWaitOptions;
  readonly #sink: ResultWaitSink;
  readonly #random: Random;
  /** `null`: it is not stored yet, as far as is known. */
  #uuid: string | null;
  #deadlineMs: MonotonicMs = Infinity;
  /** Until when it has to be stored. */
  #storedByMs: MonotonicMs = Infinity;
  /** Until when the question that has stored it has to be answered. */
  #calledUntilMs: MonotonicMs = Infinity;
  /** When to ask why there is no reply; `Infinity`: that was asked, or there is no deadline. */
  #whyAtMs: MonotonicMs = Infinity;
  #question: Question | null = null;
  #askedMs: MonotonicMs = 0;
  #waitMs = 0;
  /** When the next question is due. */
  #askMs: MonotonicMs = Infinity;
  /** Answers and failures in a row without any waiting at the broker. */
  #pauses = 0;
  /** A broker did not list its extensions, or lists `wait` and does not know it. */
  #onlyReply = false;
  #isAnswered = false;
  /** The last answer that was neither a reply nor `pending`: '500 the store is full'. */
  #trouble: string | null = null;
  #isOver = false;

  constructor(options: ResultWaitOptions, sink: ResultWaitSink, random: Random) {
    this.#options = options;
    this.#sink = sink;
    this.#random = random;
    this.#uuid = options.uuid;
  }

  start(now: MonotonicMs): void {
    this.#deadlineMs = now + this.#options.timeoutMs;
    if (this.#uuid === null) this.#storedByMs = now + this.#options.storeMs;
    const leadMs = whyLeadMs(this.#options.timeoutMs);
    if (leadMs > 0) this.#whyAtMs = this.#deadlineMs - leadMs;
    this.#ask(now);
  }

  /** The uuid of the request; `null`: it is not known to be stored. */
  get uuid(): string | null {
    return this.#uuid;
  }

  /** The request is stored, and `titanic.call` goes on. */
  stored(uuid: string, now: MonotonicMs): void {
    this.#uuid = uuid;
    this.#isAnswered = true;
    this.#storedByMs = Infinity;
    this.#calledUntilMs = now + CALL_MS;
  }

  /** The open question was answered. */
  answered(frames: readonly Buffer[], now: MonotonicMs): void {
    const question = this.#ended();
    if (question === null || this.#isOver) return;
    this.#isAnswered = true;
    if (question === 'offers') {
      if (this.#options.offersWait() === null) this.#onlyReply = true;
      this.#ask(now);
      return;
    }
    const answer = readAnswer(frames);
    if (answer.status === 200) {
      this.#isOver = true;
      this.#sink.done(answer.frames);
    } else if (answer.status === 300) {
      this.#trouble = null;
      this.#pending(question, now);
    } else if (answer.status === 501 && question === 'wait') {
      this.#onlyReply = true;
      this.#ask(now);
    } else if (answer.status === 501 && question === 'call' && this.#uuid !== null) {
      // The other node of a pair is older.
      this.#ask(now);
    } else {
      this.#refused(answer, now);
    }
  }

  #refused(answer: TitanicAnswer, now: MonotonicMs): void {
    const { service, offersFail } = this.#options;
    const uuid = this.#uuid;
    if (uuid === null) {
      this.#fail(notStored(service, answer));
      return;
    }
    const death = deathOf(answer);
    if (death !== null) this.#fail(deathError(service, uuid, death, answer));
    // D63: from brokers that report deaths as such, any other 500 is an error that may pass.
    else if (answer.status === 500 && offersFail()) {
      this.#trouble = `${answer.status} ${answer.text}`.trimEnd();
      this.#pause(now);
    } else this.#fail(replyError(answer, uuid));
  }

  /** The open question failed. */
  failed(error: MajordomoError, now: MonotonicMs): void {
    const question = this.#ended();
    if (question === null || this.#isOver) return;
    // After the receipt it is not sent again: the key may be forgotten, and it would be stored once more.
    const isBroken = question === 'call' && error.code === 'ERR_MDP_STREAM_BROKEN';
    if (!(isBroken || isPassing(error)) || this.#uuid === null) this.#fail(error);
    else if (now >= this.#deadlineMs) this.#timeUp(error);
    else {
      // 8/MMI is optional: a broker that does not answer it may still know 9/TSP.
      if (question === 'offers' && error.code === 'ERR_MDP_TIMEOUT') this.#onlyReply = true;
      this.#pause(now);
    }
  }

  /** @returns the question that was open */
  #ended(): Question | null {
    const question = this.#question;
    this.#question = null;
    this.#calledUntilMs = Infinity;
    return question;
  }

  tick(now: MonotonicMs): void {
    if (this.#isOver) return;
    if (now >= this.#whyAtMs) {
      this.#whyAtMs = Infinity;
      this.#sink.askWhy();
    }
    if (now >= this.#endMs) {
      if (this.#question === null) this.#timeUp(null);
      else this.#sink.giveUp();
    } else if (now >= this.#askMs) {
      this.#ask(now);
    }
  }

  /** When `tick` should be called next; `Infinity`: never. */
  nextMs(): MonotonicMs {
    return this.#isOver ? Infinity : Math.min(this.#askMs, this.#whyAtMs, this.#endMs);
  }

  get #endMs(): MonotonicMs {
    return Math.min(this.#deadlineMs, this.#storedByMs, this.#calledUntilMs);
  }

  #ask(now: MonotonicMs): void {
    this.#askMs = Infinity;
    const offersWait = this.#options.offersWait();
    this.#waitMs = 0;
    if (this.#uuid === null) {
      this.#question = 'call';
      this.#waitMs = WAIT_MS_MAX;
    } else if (this.#onlyReply || offersWait === false) {
      this.#question = 'reply';
    } else if (offersWait === null) {
      this.#question = 'offers';
    } else {
      this.#question = 'wait';
      this.#waitMs = Math.min(WAIT_MS, Math.max(0, Math.ceil(this.#deadlineMs - now)));
    }
    this.#askedMs = now;
    this.#sink.ask(this.#question, this.#waitMs);
  }

  #pending(question: Question, now: MonotonicMs): void {
    if (question !== 'reply' && now - this.#askedMs >= this.#waitMs / 2) {
      this.#pauses = 0;
      if (now < this.#deadlineMs) this.#ask(now);
      else this.#timeUp(null);
    } else {
      this.#pause(now);
    }
  }

  #pause(now: MonotonicMs): void {
    this.#pauses++;
    this.#askMs = now + backoffMs(this.#options, this.#pauses, this.#random);
  }

  #timeUp(error: MajordomoError | null): void {
    const code = codeOf(error);
    // No broker has answered about the request: the reason is more useful than `pending`.
    const isReason = code === 'ERR_MDP_UNREACHABLE' || code === 'ERR_MDP_REFUSED';
    if (error !== null && isReason && !this.#isAnswered) {
      this.#fail(error);
      return;
    }
    const { timeoutMs } = this.#options;
    const uuid = this.#uuid;
    const trouble = this.#trouble === null ? '' : `; the broker last answered ${this.#trouble}`;
    const text = `no reply to the durable request ${uuid} within ${timeoutMs} ms${trouble}${this.#options.why()}`;
    const cause = error === null ? {} : { cause: error };
    this.#fail(sdkError('ERR_TITANIC_PENDING', text, { ...cause, details: { uuid } }));
  }

  #fail(error: MajordomoError): void {
    this.#isOver = true;
    this.#sink.fail(error);
  }
}
