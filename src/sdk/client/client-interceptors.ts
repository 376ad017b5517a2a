/** Functions around the requests of a client, for instance for tracing, metrics or a cache. */
import type { Job, Schedule } from '../jobs/job.js';
import type { EnqueueOptions, ScheduleOptions } from '../jobs/job-options.js';
import { wrong } from '../errors.js';
import type { Message } from '../message.js';
import type { RequestOptions } from '../request-options.js';

/** A request that is about to be sent. */
export interface OutgoingRequest {
  /**
   * `request`: of `request()` and `call()`; `stream`: of `stream()`; `enqueue`: of `enqueue()` and
   * `submit()`; `callDurable`: of `callDurable()`; `schedule`: of `schedule()`.
   */
  readonly kind: 'request' | 'stream' | 'enqueue' | 'callDurable' | 'schedule';
  /** The name of the service that is asked; of `schedule`, the service of the durable requests. */
  readonly service: string;
  /** The body as given: the codec encodes it later. */
  readonly body: unknown;
  /** The options as given; of `enqueue` and `callDurable`, `EnqueueOptions`; of `schedule`, `ScheduleOptions`. */
  readonly options: RequestOptions | EnqueueOptions | ScheduleOptions;
  /** The name of the schedule; absent unless `kind` is `schedule`. */
  readonly name?: string;
}

/**
 * What `next` resolves with: the reply, the stored job, the schedule, or `null` when a stream has ended.
 */
export type Outcome = Message<unknown> | Job<unknown> | Schedule | null;

/**
 * A function around each request: it calls `next` with the request, or with a changed copy, and returns what
 * that resolves with. It may call it again, or return a reply of its own. The first interceptor of the list is
 * the outermost. What it throws is what the caller gets.
 *
 *     const timing: ClientInterceptor = async (request, next) => {
 *       const began = performance.now();
 *       try {
 *         return await next(request);
 *       } finally {
 *         log.info({ service: request.service, ms: performance.now() - began });
 *       }
 *     };
 *
 * Requests that the SDK sends on its own, such as those of `job.result()`, do not pass through it. A stream
 * begins again only if it failed before its first part: otherwise, a second `next` rejects.
 */
export type ClientInterceptor = (
  request: OutgoingRequest,
  next: (request: OutgoingRequest) => Promise<Outcome>,
) => Promise<Outcome>;

/** Sends a request. */
type Send = (request: OutgoingRequest) => Promise<Outcome>;

/** Runs a request through all interceptors, the first of which is the outermost. */
function through(
  interceptors: readonly ClientInterceptor[],
  request: OutgoingRequest,
  send: Send,
): Promise<Outcome> {
  const first = interceptors.reduceRight<Send>(
    // Async: what an interceptor throws rejects.
    (next, interceptor) => async (given) => await interceptor(given, next),
    send,
  );
  return first(request);
}

/**
 * Sends a request through the interceptors, for the reply, the job or the schedule.
 * @throws ERR_MDP_OPTION if an interceptor returned none
 */
export async function resultThrough(
  interceptors: readonly ClientInterceptor[],
  request: OutgoingRequest,
  send: Send,
): Promise<NonNullable<Outcome>> {
  const outcome: Outcome | undefined = await through(interceptors, request, send);
  if (typeof outcome === 'object' && outcome !== null) return outcome;
  throw wrong('interceptors', 'must return what next() resolves with, or a reply');
}

/** Opens a stream through the interceptors. They begin at the first `next()`, and end with the stream. */
export function streamThrough<Part>(
  interceptors: readonly ClientInterceptor[],
  request: OutgoingRequest,
  open: (request: OutgoingRequest) => AsyncIterator<Part, undefined>,
): AsyncIterableIterator<Part, undefined> {
  return new InterceptedStream(open, (send) => through(interceptors, request, send));
}

/**
 * What lies between the interceptors of a stream, which await its end, and its reader. No generator: one
 * could not be left while it waits for a part.
 */
class InterceptedStream<Part> implements AsyncIterableIterator<Part, undefined> {
  readonly #open: (request: OutgoingRequest) => AsyncIterator<Part, undefined>;
  readonly #intercept: (send: Send) => Promise<Outcome>;
  /** What the interceptors end with; `null`: they have not begun. */
  #outcome: Promise<Outcome> | null = null;
  #areInterceptorsDone = false;
  /** `null`: it has not begun, or it failed. */
  #parts: AsyncIterator<Part, undefined> | null = null;
  #canBegin = true;
  #hasPart = false;
  /** Settled when the stream begins, and when its reader leaves. */
  #begun = new Later<undefined>();
  #ended = new Later<null>();
  /** Whether nothing is read any more. */
  #isOver = false;
  /** The last `next()`: the following one waits for it. */
  #reading: Promise<unknown> = Promise.resolve();

  constructor(
    open: (request: OutgoingRequest) => AsyncIterator<Part, undefined>,
    intercept: (send: Send) => Promise<Outcome>,
  ) {
    this.#open = open;
    this.#intercept = intercept;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Part, undefined>> {
    const result = this.#reading.then(() => this.#next());
    this.#reading = result.catch(ignore);
    return result;
  }

  /** Cancels the stream at once; a `next()` that waits gets no part. */
  async return(): Promise<IteratorResult<Part, undefined>> {
    this.#isOver = true;
    this.#begun.resolve(undefined);
    await this.#parts?.return?.();
    this.#ended.resolve(null);
    return DONE;
  }

  async #next(): Promise<IteratorResult<Part, undefined>> {
    if (this.#isOver) return DONE;
    try {
      const result = await this.#read(this.#outcome ?? this.#begin());
      if (result.done === true) this.#isOver = true;
      // The loop was left while this part came.
      return this.#isOver ? DONE : result;
    } catch (error) {
      // Who has left wants to know nothing more.
      if (this.#isOver) return DONE;
      this.#isOver = true;
      throw error;
    }
  }

  #begin(): Promise<Outcome> {
    const outcome = this.#intercept((given) => this.#send(given));
    const done = (): void => {
      this.#areInterceptorsDone = true;
    };
    // If the reader leaves, nobody else awaits it.
    outcome.then(done, () => {
      done();
      // The reader, who waits for a part, gets the end of the stream, and then this error.
      void this.#parts?.return?.();
    });
    this.#outcome = outcome;
    return outcome;
  }

  /** `next` of the innermost interceptor. */
  #send(given: OutgoingRequest): Promise<null> {
    if (this.#isOver && this.#canBegin) return Promise.resolve(null);
    if (!this.#canBegin) {
      return Promise.reject(wrong('interceptors', 'cannot begin a stream twice'));
    }
    try {
      this.#parts = this.#open(given);
    } catch (error) {
      const fault = error as Error;
      return Promise.reject(fault);
    }
    this.#canBegin = false;
    this.#ended = new Later();
    this.#begun.resolve(undefined);
    return this.#ended.promise;
  }

  async #read(outcome: Promise<Outcome>): Promise<IteratorResult<Part, undefined>> {
    for (;;) {
      await Promise.race([this.#begun.promise, outcome]);
      const parts = this.#parts;
      if (parts === null) return DONE;
      try {
        const result = await parts.next();
        if (result.done !== true) {
          this.#hasPart = true;
          return result;
        }
      } catch (error) {
        this.#fail(error);
        continue;
      }
      this.#ended.resolve(null);
      if (!this.#isOver) await outcome;
      return DONE;
    }
  }

  /** The interceptors decide what becomes of the error, and may begin again if nothing was read. */
  #fail(error: unknown): void {
    this.#ended.reject(error);
    // None of them hears of it.
    if (this.#areInterceptorsDone) throw error;
    this.#parts = null;
    this.#begun = new Later();
    this.#canBegin = !this.#hasPart;
  }
}

/** A promise that is settled from outside. */
class Later<Value> {
  readonly promise: Promise<Value>;
  resolve: (value: Value) => void = ignore;
  reject: (error: unknown) => void = ignore;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // The reader gets the error if no interceptor awaits it.
    this.promise.catch(ignore);
  }
}

const DONE = { done: true, value: undefined } as const;

function ignore(): void {
  // Replaced when the promise is made.
}
