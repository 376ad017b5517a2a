/**
 * The worker, `majordomo-sdk/worker`: offers a service at one broker, or at both nodes of a pair.
 * How it registers, handles lost brokers and drains: see `worker/worker-session.ts` and `docs/sdk.md`.
 */
import type { Uninferred } from './least-types.js';
import { monotonicMs, type MonotonicMs } from '../core/clock.js';
import { oneLine } from '../core/escape.js';
import { failureWords } from '../core/failure-words.js';
import type { Body, BodyFrames } from './body.js';
import type { NoServices } from './codec/contract.js';
import { sdkError } from './errors.js';
import { Listeners } from './sdk-events.js';
import { failureOf, stackOf } from './worker/failure-of.js';
import { FailureReport } from './worker/failure-report.js';
import { type Handler, TaskContext } from './worker/handler.js';
import type { Request } from './message.js';
import {
  type CloseOptions,
  closeGraceMs,
  type ContractWorkerOptions,
  type WorkerOptions,
  workerSettings,
} from './worker/worker-options.js';
import { Ticker } from './ticker.js';
import type { OfferedService } from './worker/services.js';
import type { Task, WorkerSession } from './worker/worker-session.js';
import { type ConnectionOwner, WorkerConnection } from './worker/worker-connection.js';
import {
  type Registration,
  warnLost,
  WORKER_EVENTS,
  type WorkerEvents,
} from './worker/worker-events.js';

export { codeOf } from '../core/errors.js';
export type { Dial, Link, LinkEvents } from '../zmtp/link-port.js';
export type { Body } from './body.js';
export { type Codec, json } from './codec/codec.js';
export {
  type Contract,
  defineService,
  type NoServices,
  service,
  type ServiceShape,
  type ServiceTypes,
} from './codec/contract.js';
export {
  type ContractOptions,
  type SchemaIssue,
  type SchemaResult,
  type ServiceSchemas,
  type StandardSchema,
} from './codec/schema.js';
export type { Endpoints } from './endpoints.js';
export { MajordomoError, SDK_ERRORS, type SdkErrorCode } from './errors.js';
export type { Handler, HandlerContext } from './worker/handler.js';
export type { WorkerInterceptor } from './worker/worker-interceptors.js';
export {
  type ErrorOf,
  isMajordomoError,
  ServiceError,
  type ServiceErrorOptions,
} from './service-error.js';
export type {
  Drained,
  FailedRequest,
  RegistrationLoss,
  LostRegistration,
  Registration,
  WorkerEvents,
} from './worker/worker-events.js';
export { Curve, type CurveOptions } from './curve.js';
export type { Protocol } from './option-reader.js';
export type {
  CloseOptions,
  ContractWorkerOptions,
  HandlersOf,
  WorkerOptions,
} from './worker/worker-options.js';

export type { Headers } from '../wire/headers.js';
export type { TransportName } from './dials.js';
export type { Message, Request } from './message.js';

/** Counters of a worker, since it was created. */
export interface WorkerCounters {
  /** Requests that handlers answered. */
  answered: number;
  /** Requests whose handlers threw, other than those in `cancelled`. */
  failed: number;
  /** Requests that were cancelled while their handlers ran, or whose handlers threw after their signal aborted. */
  cancelled: number;
  /** Invalid messages from brokers, and requests with invalid headers. */
  malformed: number;
  /** Connections replaced because they were lost or the broker was silent. */
  reconnects: number;
}

/**
 * Offers services, at one broker or at every node of a pair. It keeps the process alive from `run()` until it
 * is closed.
 *
 *     const worker = new Worker({ endpoints: 'tcp://127.0.0.1:5555', service: 'echo' }, (request) => request.frames);
 *     process.once('SIGTERM', () => void worker.close());
 *     await worker.run();
 *
 * @typeParam In what the codec makes answers of
 * @typeParam Out what the codec reads from requests
 * @typeParam Types the services of the contract
 */
export class Worker<In = Body, Out = Buffer, Types = NoServices> {
  /** What has happened since the worker was created; the worker changes them. */
  readonly counters: WorkerCounters = {
    answered: 0,
    failed: 0,
    cancelled: 0,
    malformed: 0,
    reconnects: 0,
  };
  readonly #owner: ConnectionOwner;
  readonly #listeners = new Listeners<WorkerEvents>(WORKER_EVENTS);
  readonly #connections = new Set<WorkerConnection>();
  /** Running requests, in no particular order: each knows its place. */
  readonly #running: TaskContext<WorkerSession>[] = [];
  /** Requests whose handlers have returned a body; their answers are sent in one microtask. */
  #answered: TaskContext<WorkerSession>[] = [];
  /** Requests of `#running` by the broker's token, while many are cancelled together; otherwise `null`. */
  #byToken: Map<string, TaskContext<WorkerSession>> | null = null;
  /** Whether at least one request is cancelled in this turn. */
  #isCancelling = false;
  /** Requests that were cancelled, and whose handlers go on without a place. */
  readonly #givenUp = new Set<TaskContext<WorkerSession>>();
  readonly #closings = new Set<Promise<void>>();
  readonly #ticker: Ticker;
  #run: Promise<void> | null = null;
  #finish: (() => void) | null = null;
  #error: Error | null = null;
  #closed = false;
  /** Requests given back, or whose answers were not sent, because the grace period was over. */
  #abandoned = 0;
  /** Services that were registered somewhere, until all were. */
  #ready: Promise<void> | null = null;
  #isReady: (() => void) | null = null;
  #isNotReady: ((error: unknown) => void) | null = null;
  #grace: NodeJS.Timeout | undefined;
  #graceEndMs: MonotonicMs = Infinity;
  #hasWarned = false;
  readonly #failures = new FailureReport((line, detail) => {
    process.emitWarning(line, { code: 'MDP_HANDLER_FAILED', detail });
  }, monotonicMs);

  /**
   * A worker for services of a contract, whose handlers have its types. Does nothing yet: `run()` starts it.
   *
   *     const services = { 'tax.rate': ({ value }) => ({ rate: rateOf(value.country) }) };
   *     const worker = new Worker({ contract, services });
   *
   * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT
   */
  constructor(options: ContractWorkerOptions<Types>);
  /**
   * A worker for one service, or several. Does nothing yet: `run()` starts it.
   *
   *     const worker = new Worker({ service: 'echo', concurrency: 4 }, (request) => request.frames);
   *
   * @param handler of `service`; with `services`, which has the handlers, there is none
   * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT
   */
  constructor(options: WorkerOptions<In, Out>, handler?: Handler<Out, Uninferred<In>>);
  constructor(options: object, handler?: unknown) {
    const settings = workerSettings(options, handler);
    this.#ticker = new Ticker((now) => this.#tick(now));
    this.#owner = {
      settings,
      dial: settings.dial,
      run: (session, task, offered) => this.#begin(session, task, offered),
      running: ({ service }) =>
        this.#running.filter(({ task }) => task.request.service === service),
      cancel: (session, token) => this.#cancel(session, token),
      closing: (promise) => {
        const tracked = promise.finally(() => this.#closings.delete(tracked));
        this.#closings.add(tracked);
      },
      malformed: () => {
        this.counters.malformed++;
      },
      invalidHeaders: (service) => {
        this.counters.malformed++;
        this.#warnHeaders(service);
      },
      reconnecting: () => {
        this.counters.reconnects++;
      },
      wake: () => this.#wake(),
      failed: (error) => {
        this.#error ??= error;
        this.#abort();
      },
      ended: () => this.#ended(),
      registered: (at) => this.#nowRegistered(at),
      lost: (at) => {
        if (!this.#listeners.emit('lost', at)) warnLost(at);
      },
    };
    for (const offered of settings.services) {
      for (const endpoint of settings.endpoints) {
        this.#connections.add(new WorkerConnection(endpoint, offered, this.#owner));
      }
    }
  }

  /** The number of requests that handlers are working on. */
  get running(): number {
    return this.#running.length;
  }

  /** The registrations that brokers have confirmed, at this moment. */
  get registrations(): readonly Registration[] {
    const confirmed = [...this.#connections].filter(({ isRegistered }) => isRegistered);
    return confirmed.map(({ registration }) => registration);
  }

  /**
   * Resolves when every service is registered with at least one broker, which has confirmed it: then
   * requests find this worker. Starts the worker if `run()` was not called.
   *
   *     await worker.ready; // where something must not happen before
   *     await worker.run(); // until close()
   *
   * Rejects with ERR_MDP_CLOSED if the worker is closed first, and with ERR_MDP_ENDPOINT as `run()` does.
   */
  get ready(): Promise<void> {
    if (this.#ready === null) {
      this.#ready = new Promise((resolve, reject) => {
        this.#isReady = resolve;
        this.#isNotReady = reject;
      });
      this.run().then(this.#cannotBeReady, this.#cannotBeReady);
      this.#lookReady();
    }
    return this.#ready;
  }

  /**
   * Calls `listener` at each such event, in order; adding it twice changes nothing. For the events see
   * `WorkerEvents`.
   *
   *     worker.on('lost', ({ service, endpoint, reason }) => log.warn({ service, endpoint, reason }));
   *
   * What goes wrong is reported once: to the listeners of `lost` and `failed` or, if there are none, as
   * a process warning.
   * @throws ERR_MDP_OPTION if there is no such event
   */
  on<Name extends keyof WorkerEvents>(
    event: Name,
    listener: (event: WorkerEvents[Name]) => void,
  ): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Ends what `on` began. @throws ERR_MDP_OPTION if there is no such event */
  off<Name extends keyof WorkerEvents>(
    event: Name,
    listener: (event: WorkerEvents[Name]) => void,
  ): this {
    this.#listeners.delete(event, listener);
    return this;
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
   * Drains: accepts no more requests, gives running ones `graceMs` to finish and, if the broker is away, their
   * answers to be sent; then aborts the signals of the others and gives them back to the broker. Resolves with
   * `run()`; the event `drained` says how many were given back. Called again, it may shorten the time.
   *
   *     process.once('SIGTERM', () => void worker.close({ graceMs: 30_000 }));
   *
   * Rejects with ERR_MDP_OPTION.
   */
  async close(options?: CloseOptions): Promise<void> {
    const graceMs = closeGraceMs(options);
    const first = !this.#closed;
    this.#closed = true;
    if (this.#run === null) return;
    const endMs = monotonicMs() + graceMs;
    if (endMs < this.#graceEndMs) {
      this.#graceEndMs = endMs;
      clearTimeout(this.#grace);
      this.#grace = setTimeout(() => this.#abort(), graceMs);
    }
    if (first) {
      for (const connection of [...this.#connections]) connection.close();
      this.#wake();
    }
    await this.#run.catch(() => undefined);
  }

  /** Closes the worker, as `close()` does: for `await using worker = new Worker(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
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
    this.#graceEndMs = -Infinity;
    await Promise.all(this.#closings);
    if (this.#error !== null) throw this.#error;
    this.#listeners.emit('drained', { abandoned: this.#abandoned });
  }

  #nowRegistered(at: Registration): void {
    this.#listeners.emit('registered', at);
    this.#lookReady();
  }

  #lookReady(): void {
    if (this.#isReady === null) return;
    const served = new Set(this.registrations.map(({ service }) => service));
    if (served.size === this.#owner.settings.services.length) this.#isReady();
  }

  readonly #cannotBeReady = (error: unknown): void => {
    const text = 'the worker was closed before it was registered';
    this.#isNotReady?.(error ?? sdkError('ERR_MDP_CLOSED', text));
  };

  #abort(): void {
    this.#closed = true;
    this.#abandoned += this.#running.length;
    for (const { unsent } of this.#connections) this.#abandoned += unsent;
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

  /** The concurrency of all services together; services that share a limiter count once. */
  get #concurrency(): number {
    const { services } = this.#owner.settings;
    const most = new Map(services.map(({ limiter, concurrency }) => [limiter, concurrency]));
    return [...most.values()].reduce((sum, each) => sum + each, 0);
  }

  #wake(): void {
    this.#ticker.want(this.#nextMs());
  }

  #begin(session: WorkerSession, task: Task, offered: OfferedService): void {
    const { handler } = offered;
    const context = new TaskContext(this.#owner.settings.version, session, task, offered);
    context.place = this.#running.push(context) - 1;
    this.#byToken?.set(keyOf(task.token), context);
    task.request.begin(context);
    if (session.runsOne) this.#ticker.want(session.nextMs());
    const answer = context.run(handler, task.request);
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
      this.#failed(context, context.spoiledBy ?? error);
      return;
    }
    this.#finished(context, body, monotonicMs());
  }

  #cancel(session: WorkerSession, token: Buffer): void {
    const context = this.#runningAs(session, token);
    if (context?.cancelledBy !== null) return;
    const { cancelGraceMs } = this.#owner.settings;
    this.counters.cancelled++;
    context.cancel(cancelGraceMs, () => {
      const { service } = context.task.request;
      // More would be more handlers than anybody asked for.
      const isGivenUp = this.#givenUp.size < this.#concurrency;
      const what = isGivenUp ? 'its place is given to another' : 'as do many: it keeps its place';
      const text = `a handler of '${service}' goes on ${cancelGraceMs} ms after its request was cancelled: ${what}`;
      this.#failures.report('cancelled', text);
      if (!isGivenUp) return;
      this.#givenUp.add(context);
      this.#cancelled(context);
    });
  }

  /** What runs under a token: many that are cancelled together are not looked for one by one. */
  #runningAs(session: WorkerSession, token: Buffer): TaskContext<WorkerSession> | undefined {
    if (this.#isCancelling) {
      this.#byToken ??= new Map(this.#running.map((each) => [keyOf(each.task.token), each]));
      const known = this.#byToken.get(keyOf(token));
      // Another broker may have given the same token.
      if (known === undefined || known.session === session) {
        return known !== undefined && this.#running[known.place] === known ? known : undefined;
      }
    }
    this.#isCancelling = true;
    setImmediate(() => {
      this.#isCancelling = false;
      this.#byToken = null;
    });
    return this.#running.find((each) => each.session === session && each.task.token.equals(token));
  }

  #finished(context: TaskContext<WorkerSession>, body: BodyFrames, now: MonotonicMs): void {
    if (context.session.stoodStill(now)) {
      // The broker may have closed the connection meanwhile: an answer that is written to it is lost.
      afterReading(() => this.#answer(context, body, monotonicMs()));
    } else {
      this.#answer(context, body, now);
    }
  }

  #answer(context: TaskContext<WorkerSession>, body: BodyFrames, now: MonotonicMs): void {
    const { session, task } = context;
    if (context.cancelledBy !== null) {
      this.#cancelled(context);
      return;
    }
    const error = context.spoiledBy ?? session.tooLargeError(body);
    if (error !== null) {
      this.#failed(context, error);
      return;
    }
    this.#remove(context);
    this.counters.answered++;
    session.finished(task, body, now);
    this.#runEnded(task);
    this.#ticker.want(session.nextMs());
  }

  #failed(context: TaskContext<WorkerSession>, thrown: unknown): void {
    const { session, task } = context;
    if (context.isAborted) {
      if (context.cancelledBy === null) this.counters.cancelled++;
      this.#cancelled(context);
      return;
    }
    if (context.givenBack !== null) {
      this.#remove(context);
      session.returned(task, monotonicMs(), context.givenBack);
      this.#runEnded(task);
      this.#ticker.want(session.nextMs());
      return;
    }
    const error = context.errorOf(thrown);
    const failure = failureOf(error, this.#owner.settings.exposeErrors);
    this.#report(error, task.request);
    this.#remove(context);
    this.counters.failed++;
    session.failed(task, failure, monotonicMs());
    this.#runEnded(task);
    this.#ticker.want(session.nextMs());
  }

  /** The handler of a cancelled request has ended, or was given up. */
  #cancelled(context: TaskContext<WorkerSession>): void {
    const { session, task } = context;
    if (context.isOver) {
      this.#givenUp.delete(context);
      return;
    }
    context.isOver = true;
    this.#remove(context);
    session.returned(task, monotonicMs());
    this.#runEnded(task);
    this.#ticker.want(session.nextMs());
  }

  /** After its answer: before it, the broker would give the request out again. */
  #runEnded(task: Task): void {
    if (task.isEarlier) for (const connection of this.#connections) connection.runEnded(task);
  }

  #remove(context: TaskContext<WorkerSession>): void {
    context.ended();
    const last = this.#running.pop();
    if (last === undefined || last === context) return;
    this.#running[context.place] = last;
    last.place = context.place;
  }

  #warnHeaders(service: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const text = `a request for '${service}' has invalid headers; the handler gets none`;
    process.emitWarning(text, { code: 'MDP_INVALID_HEADERS' });
  }

  #report(error: unknown, request: Request): void {
    const { service } = request;
    if (this.#listeners.emit('failed', { error, request, service })) return;
    const failure = failureOf(error, true);
    const said = oneLine(failureWords(failure));
    this.#failures.report(failure.code, `a handler of '${service}' failed: ${said}`, () =>
      stackOf(error).join('\n'),
    );
  }
}

/** Acts when all that has arrived was read, also the end of a connection. */
function afterReading(act: () => void): void {
  let turns = READING_TURNS;
  const turn = (): void => {
    if (--turns > 0) setImmediate(turn);
    else act();
  };
  setImmediate(turn);
}

/** The present turn of the event loop may have read before it stood still; the end of a socket takes one more. */
const READING_TURNS = 3;

function keyOf(token: Buffer): string {
  return token.toString('latin1');
}
