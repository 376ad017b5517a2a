/**
 * The worker, `majordomo-broker/worker`: offers a service at one broker, or at both nodes of a pair.
 * How it registers, handles lost brokers and drains: see `worker-session.ts` and `docs/sdk.md`.
 */
import { monotonicMs, type MonotonicMs } from '../core/clock.js';
import { oneLine } from '../core/escape.js';
import { failureWords } from '../core/failure-words.js';
import type { BodyFrames } from './body.js';
import { sdkError } from './errors.js';
import { failureOf } from './failure-of.js';
import { FailureReport } from './failure-report.js';
import { type Handler, TaskContext } from './handler.js';
import type { Message } from './message.js';
import { type CloseOptions, closeGraceMs, type WorkerOptions, workerSettings } from './options.js';
import { ConcurrencyLimiter } from './concurrency-limiter.js';
import { Ticker } from './ticker.js';
import type { Task, WorkerSession } from './worker-session.js';
import { type ConnectionOwner, WorkerConnection } from './worker-connection.js';

export { codeOf, MajordomoError } from '../core/errors.js';
export type { Dial, Link, LinkEvents } from '../transport/port.js';
export type { Body } from './body.js';
export { SDK_ERRORS, type SdkErrorCode } from './errors.js';
export type { Handler, HandlerContext } from './handler.js';
export { ServiceError, type ServiceErrorOptions } from './service-error.js';
export type { CloseOptions, CurveOptions, Protocol, WorkerOptions } from './options.js';

/** The request that a handler receives. */
export type Request = Message;

/** Counters of a worker, since it was created. */
export interface WorkerCounters {
  /** Requests that handlers answered. */
  answered: number;
  /** Requests whose handlers threw. */
  failed: number;
  /** Invalid messages from brokers. */
  malformed: number;
  /** Connections replaced because they were lost or the broker was silent. */
  reconnects: number;
}

export class Worker {
  readonly counters: WorkerCounters = { answered: 0, failed: 0, malformed: 0, reconnects: 0 };
  readonly #handler: Handler;
  readonly #owner: ConnectionOwner;
  readonly #onError: WorkerOptions['onError'];
  readonly #connections = new Set<WorkerConnection>();
  /** In no particular order: each knows its place. */
  readonly #running: TaskContext<WorkerSession>[] = [];
  /** Requests whose handlers have returned a body; their answers are sent in one microtask. */
  #answered: TaskContext<WorkerSession>[] = [];
  readonly #closings = new Set<Promise<void>>();
  readonly #ticker: Ticker;
  #run: Promise<void> | null = null;
  #finish: (() => void) | null = null;
  #error: Error | null = null;
  #closed = false;
  #grace: NodeJS.Timeout | undefined;
  readonly #failures = new FailureReport((line) => {
    process.emitWarning(line, { code: 'MDP_HANDLER_FAILED' });
  }, monotonicMs);

  /** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
  constructor(options: WorkerOptions, handler: Handler) {
    const settings = workerSettings(options);
    if (typeof handler !== 'function') {
      throw sdkError('ERR_MDP_OPTION', 'handler must be a function', {
        details: { option: 'handler' },
      });
    }
    this.#handler = handler;
    this.#onError = settings.onError;
    this.#ticker = new Ticker((now) => this.#tick(now));
    this.#owner = {
      settings,
      dial: settings.dial,
      limiter: new ConcurrencyLimiter(settings.concurrency),
      run: (session, task) => {
        this.#begin(session, task);
      },
      closing: (promise) => {
        const tracked = promise.finally(() => this.#closings.delete(tracked));
        this.#closings.add(tracked);
      },
      malformed: () => {
        this.counters.malformed++;
      },
      reconnecting: () => {
        this.counters.reconnects++;
      },
      wake: () => {
        this.#wake();
      },
      failed: (error) => {
        this.#error ??= error;
        this.#abort();
      },
      ended: () => {
        this.#ended();
      },
    };
    for (const endpoint of settings.endpoints) {
      this.#connections.add(new WorkerConnection(endpoint, this.#owner));
    }
  }

  /** The number of requests that handlers are working on. */
  get running(): number {
    return this.#running.length;
  }

  /**
   * Serves until `close()`, and resolves when everything is closed. Lost brokers and connections are not
   * errors: the worker registers again. Rejects with ERR_MDP_ENDPOINT if an endpoint is invalid.
   */
  run(): Promise<void> {
    this.#run ??= this.#closed ? Promise.resolve() : this.#serve();
    return this.#run;
  }

  /**
   * Drains: accepts no more requests, gives running ones `graceMs` to finish, then aborts the signals of
   * the others and gives them back to the broker. Resolves with `run()`.
   */
  async close(options?: CloseOptions): Promise<void> {
    const graceMs = closeGraceMs(options);
    const first = !this.#closed;
    this.#closed = true;
    if (this.#run === null) return;
    if (first) {
      this.#grace = setTimeout(() => {
        this.#abort();
      }, graceMs);
      for (const connection of [...this.#connections]) connection.close();
    }
    await this.#run.catch(() => undefined);
  }

  async #serve(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const now = monotonicMs();
    for (const connection of [...this.#connections]) {
      if (this.#error === null) connection.start(now);
    }
    this.#wake();
    await ended;
    this.#ticker.stop();
    this.#failures.flush();
    clearTimeout(this.#grace);
    await Promise.all(this.#closings);
    if (this.#error !== null) throw this.#error;
  }

  #abort(): void {
    this.#closed = true;
    for (const context of [...this.#running]) context.abort();
    for (const connection of [...this.#connections]) connection.abort();
    if (this.#error !== null) this.#finish?.();
  }

  #ended(): void {
    for (const connection of this.#connections) if (!connection.ended) return;
    this.#finish?.();
  }

  #tick(now: MonotonicMs): MonotonicMs {
    for (const connection of this.#connections) connection.tick(now);
    return this.#nextMs();
  }

  #nextMs(): MonotonicMs {
    let next = Infinity;
    for (const connection of this.#connections) next = Math.min(next, connection.nextMs());
    return next;
  }

  #wake(): void {
    this.#ticker.want(this.#nextMs());
  }

  #begin(session: WorkerSession, task: Task): void {
    const context = new TaskContext(this.#owner.settings.version, session, task);
    context.place = this.#running.push(context) - 1;
    const answer = context.run(this.#handler, task.request);
    if ('then' in answer) {
      void this.#await(context, answer);
      return;
    }
    // Not at once: the end of one request may begin others, and theirs more.
    context.answer = answer;
    if (this.#answered.push(context) === 1) queueMicrotask(this.#sendAnswered);
  }

  readonly #sendAnswered = (): void => {
    const answered = this.#answered;
    this.#answered = [];
    const now = monotonicMs();
    for (const context of answered) this.#finished(context, context.answer, now);
  };

  async #await(context: TaskContext<WorkerSession>, answer: Promise<BodyFrames>): Promise<void> {
    let body: BodyFrames;
    try {
      body = await answer;
    } catch (error) {
      this.#failed(context, error);
      return;
    }
    this.#finished(context, body, monotonicMs());
  }

  #finished(context: TaskContext<WorkerSession>, body: BodyFrames, now: MonotonicMs): void {
    const { session, task } = context;
    this.#remove(context);
    this.counters.answered++;
    session.finished(task, body, now);
    this.#ticker.want(session.nextMs());
  }

  #failed(context: TaskContext<WorkerSession>, error: unknown): void {
    const { session, task } = context;
    const failure = failureOf(error, this.#owner.settings.exposeErrors);
    this.#report(error, task.request);
    this.#remove(context);
    this.counters.failed++;
    session.failed(task, failure, monotonicMs());
    this.#ticker.want(session.nextMs());
  }

  #remove(context: TaskContext<WorkerSession>): void {
    const last = this.#running.pop();
    if (last === undefined || last === context) return;
    this.#running[context.place] = last;
    last.place = context.place;
  }

  #report(error: unknown, request: Message): void {
    try {
      if (this.#onError !== undefined) {
        this.#onError(error, request);
        return;
      }
    } catch (hookError) {
      process.emitWarning(`onError threw an error: ${oneLine(failureOf(hookError, true).text)}`);
      return;
    }
    const failure = failureOf(error, true);
    const said = oneLine(failureWords(failure));
    this.#failures.report(failure.code, `a handler of '${request.service}' failed: ${said}`);
  }
}
