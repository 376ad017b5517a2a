/** The parts of the reply to a durable request, while a worker sends them: `titanic.progress` (D82). */
import { monotonicMs } from '../../core/clock.js';
import { codeOf, type MajordomoError } from '../../core/errors.js';
import { isCount } from '../../core/numbers.js';
import { readJsonObject } from '../../wire/json-object.js';
import { MMI_BROKER } from '../../wire/mmi.js';
import { TITANIC_PROGRESS } from '../../wire/tsp.js';
import { backoffMs } from '../backoff.js';
import { whyLeadMs } from '../client/whys.js';
import { sdkError } from '../errors.js';
import { type Message, ReceivedProgress } from '../message.js';
import type { Job } from './job.js';
import type { ResultSettings } from './job-options.js';
import type { RequestSettings } from '../request-options.js';
import type { Asker } from './asker.js';
import { isPassing, questionSettings, WAIT_MS, waitSettings } from './result-wait.js';
import {
  deathError,
  deathOf,
  readAnswer,
  replyError,
  type TitanicAnswer,
  whyPending,
} from './titanic-answer.js';

/** What ends a question or a pause before its time. */
interface Pending {
  end(error: Error): void;
}

export class ProgressReader implements AsyncIterableIterator<ReceivedProgress, undefined> {
  readonly #asker: Asker;
  readonly #job: Pick<Job, 'uuid' | 'service'>;
  readonly #settings: ResultSettings;
  readonly #parts: AsyncGenerator<ReceivedProgress, undefined>;
  /** The place in the last answer that had parts, from which the next question goes on; empty: there was none. */
  #cursor = '';
  #pending: Pending | null = null;
  /** Questions in a row that brought nothing without any waiting at the broker. */
  #pauses = 0;
  #isAnswered = false;
  #isReturned = false;

  constructor(asker: Asker, job: Pick<Job, 'uuid' | 'service'>, settings: ResultSettings) {
    this.#asker = asker;
    this.#job = job;
    this.#settings = settings;
    this.#parts = this.#read();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<ReceivedProgress, undefined>> {
    return this.#parts.next();
  }

  /** Ends it; a `next()` that waits gets no part. */
  return(): Promise<IteratorResult<ReceivedProgress, undefined>> {
    this.#isReturned = true;
    this.#pending?.end(sdkError('ERR_MDP_ABORTED', 'nobody waits for parts of the reply'));
    return this.#parts.return(undefined);
  }

  async *#read(): AsyncGenerator<ReceivedProgress, undefined> {
    const { signal } = this.#settings;
    const aborted = (): void => this.#pending?.end(this.#abortedError());
    signal?.addEventListener('abort', aborted, { once: true });
    try {
      // The loop may be left between the answer and the part that is read of it.
      while (!this.#isReturned) {
        const parts = await this.#next();
        if (parts === null) return;
        yield* parts;
      }
    } catch (error) {
      if (!this.#isReturned) throw error;
    } finally {
      signal?.removeEventListener('abort', aborted);
    }
  }

  /** The next parts; `null`: the reply is there. */
  async #next(): Promise<ReceivedProgress[] | null> {
    const { timeoutMs } = this.#settings;
    const deadlineMs = monotonicMs() + timeoutMs;
    // Shortly before the end the broker is asked why there is nothing yet.
    let whyAtMs = deadlineMs - whyLeadMs(timeoutMs);
    for (;;) {
      if (this.#settings.signal?.aborted === true) throw this.#abortedError();
      const askedMs = monotonicMs();
      if (askedMs >= whyAtMs) {
        whyAtMs = Infinity;
        this.#asker.broker.askWhyNow(this.#job.service);
      }
      const leftMs = Math.max(0, Math.ceil(deadlineMs - askedMs));
      const waitMs = Math.min(WAIT_MS, leftMs, Math.max(1, Math.ceil(whyAtMs - askedMs)));
      let problem: unknown = null;
      try {
        const answer = await this.#ask(waitMs, leftMs);
        this.#isAnswered = true;
        if (answer.status === 200) return null;
        if (answer.status === 300 && answer.frames.length > 0) return this.#partsOf(answer);
        if (answer.status !== 300) this.#refused(answer);
      } catch (error) {
        if (!isPassing(error)) throw error;
        problem = error;
      }
      const now = monotonicMs();
      if (now >= deadlineMs) throw this.#timeUp(problem);
      // 8/MMI is optional: a broker that does not answer it does not know this either.
      const isSilent = this.#asker.broker.offers === null && codeOf(problem) === 'ERR_MDP_TIMEOUT';
      if (isSilent) throw this.#unsupported();
      const hasWaited = problem === null && now - askedMs >= waitMs / 2;
      if (hasWaited) this.#pauses = 0;
      else await this.#pause(deadlineMs - now);
    }
  }

  async #ask(waitMs: number, leftMs: number): Promise<TitanicAnswer> {
    const usual = questionSettings(this.#asker.settings);
    if (this.#asker.broker.offers === null) await this.#learn(usual, leftMs);
    if (this.#asker.broker.offers?.progress !== true) throw this.#unsupported();
    const body = [this.#job.uuid, this.#cursor, String(waitMs)];
    const patient = waitSettings(this.#asker.settings, waitMs);
    return readAnswer((await this.#question(TITANIC_PROGRESS, body, patient, leftMs)).frames);
  }

  async #learn(settings: RequestSettings, leftMs: number): Promise<void> {
    const { frames } = await this.#question(MMI_BROKER, [''], settings, leftMs);
    this.#asker.broker.learn(frames);
  }

  /** Asks a question, which is given up when the time is over. */
  async #question(
    service: string,
    body: readonly string[],
    settings: RequestSettings,
    leftMs: number,
  ): Promise<Message> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Message>((resolve, reject) => {
        const settled = (): void => {
          this.#pending = null;
        };
        const call = this.#asker.ask(
          service,
          body,
          settings,
          (reply) => {
            settled();
            resolve(reply);
          },
          (error) => {
            settled();
            reject(error);
          },
        );
        if (call === null) return;
        const end = (error: Error): void => {
          settled();
          this.#asker.abandon(call);
          reject(error);
        };
        this.#pending = { end };
        if (leftMs > TIMER_MS_MAX) return;
        // The call keeps the process alive.
        timer = setTimeout(() => {
          if (this.#pending !== null) end(call.timeoutError(monotonicMs()));
        }, leftMs).unref();
      });
    } finally {
      clearTimeout(timer);
    }
  }

  async #pause(mostMs: number): Promise<void> {
    this.#pauses++;
    const ms = Math.min(backoffMs(this.#asker.settings, this.#pauses, Math.random), mostMs);
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(resolve, ms);
        this.#pending = { end: reject };
      });
    } finally {
      clearTimeout(timer);
      this.#pending = null;
    }
  }

  #partsOf(answer: TitanicAnswer): ReceivedProgress[] {
    const [place, facts, ...frames] = answer.frames;
    const { attempt, first, counts } = partsFactsOf(facts) ?? {};
    const total = counts?.reduce((sum, count) => sum + count, 0);
    if (place === undefined || counts === undefined || total !== frames.length) {
      throw replyError({ ...answer, status: 0, text: 'an answer without parts' }, this.#job.uuid);
    }
    this.#pauses = 0;
    this.#cursor = place.toString('latin1');
    let at = 0;
    const decoders = this.#asker.decodersOf(this.#job.service);
    return counts.map((count, number) => {
      const part = frames.slice(at, at + count);
      at += count;
      const where = { attempt: attempt ?? 0, index: (first ?? 0) + number };
      return new ReceivedProgress(this.#job.service, decoders, part, where);
    });
  }

  #refused(answer: TitanicAnswer): void {
    const { uuid, service } = this.#job;
    if (answer.status === 501) throw this.#unsupported();
    const death = deathOf(answer);
    if (death !== null) throw deathError(service, uuid, death, answer);
    // D63: any other 500 is an error that may pass.
    if (answer.status !== 500) throw replyError(answer, uuid);
  }

  #timeUp(problem: unknown): unknown {
    const code = codeOf(problem);
    // No broker has answered about the request: the reason is more useful than `pending`.
    const isReason = code === 'ERR_MDP_UNREACHABLE' || code === 'ERR_MDP_REFUSED';
    if (isReason && !this.#isAnswered) return problem;
    const { uuid, service } = this.#job;
    const why = whyPending(uuid, service, this.#asker.broker.whyOf(service));
    const text = `no part of the reply to the durable request ${uuid} within ${this.#settings.timeoutMs} ms${why}`;
    const cause = problem === null ? {} : { cause: problem };
    return sdkError('ERR_TITANIC_PENDING', text, { ...cause, details: { uuid } });
  }

  #abortedError(): MajordomoError {
    const cause: unknown = this.#settings.signal?.reason;
    return sdkError('ERR_MDP_ABORTED', 'the wait for parts of the reply was aborted', { cause });
  }

  #unsupported(): MajordomoError {
    const text = 'this broker does not support titanic.progress, so parts cannot be followed';
    return sdkError('ERR_TITANIC_UNSUPPORTED', text, { details: { uuid: this.#job.uuid } });
  }
}

const TIMER_MS_MAX = 2 ** 31 - 1;

interface PartsFacts {
  readonly attempt: number;
  readonly first: number;
  /** The number of frames of each part. */
  readonly counts: readonly number[];
}

/** `null` if it is not what a broker sends. */
function partsFactsOf(frame: Buffer | undefined): PartsFacts | null {
  const { attempt, first, frames } = (frame === undefined ? null : readJsonObject(frame)) ?? {};
  if (!isCount(attempt) || !isCount(first) || !Array.isArray(frames)) return null;
  return frames.every(isCount) ? { attempt, first, counts: frames } : null;
}
