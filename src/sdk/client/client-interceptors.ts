/** Functions around the requests of a client, for instance for tracing, metrics or a cache. */
import type { Job } from '../jobs/job.js';
import type { EnqueueOptions } from '../jobs/job-options.js';
import { wrong } from '../errors.js';
import type { Message } from '../message.js';
import type { RequestOptions } from '../options.js';

/** A request that is about to be sent. */
export interface OutgoingRequest {
  /** `request`: of `request()` and `call()`; `stream`: of `stream()`; `enqueue`: of `enqueue()`. */
  readonly kind: 'request' | 'stream' | 'enqueue';
  /** The name of the service that is asked. */
  readonly service: string;
  /** As given: the codec makes a body of it later. */
  readonly body: unknown;
  /** As given; of `enqueue`, `EnqueueOptions`. */
  readonly options: RequestOptions | EnqueueOptions;
}

/** What `next` resolves with: the reply, the stored job, or `null` when a stream has ended. */
export type Outcome = Message<unknown> | Job<unknown> | null;

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
 * can begin once: a second `next` rejects.
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

/** As `through`, for the reply or the job. @throws ERR_MDP_OPTION if an interceptor returned none */
export async function resultThrough(
  interceptors: readonly ClientInterceptor[],
  request: OutgoingRequest,
  send: Send,
): Promise<NonNullable<Outcome>> {
  const outcome: Outcome | undefined = await through(interceptors, request, send);
  if (typeof outcome === 'object' && outcome !== null) return outcome;
  throw wrong('interceptors', 'must return what next() resolves with, or a reply');
}

/** As `through`, for a stream. Interceptors begin at the first `next()`, and end with the stream. */
export async function* streamThrough<Part>(
  interceptors: readonly ClientInterceptor[],
  request: OutgoingRequest,
  open: (request: OutgoingRequest) => AsyncIterable<Part>,
): AsyncGenerator<Part, undefined> {
  const stream = new OpenedStream<Part>();
  const outcome = through(interceptors, request, (given) => stream.open(() => open(given)));
  const parts = await stream.openedBy(outcome);
  try {
    if (parts !== null) yield* parts;
  } catch (error) {
    stream.fail(error);
  } finally {
    stream.end();
  }
  await outcome;
}

/** What lies between the interceptors of a stream, which await its end, and its reader. */
class OpenedStream<Part> {
  #parts: AsyncIterable<Part> | null = null;
  #opened: () => void = ignore;
  readonly #isOpened: Promise<void>;
  #resolve: (end: null) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  readonly #ended: Promise<null>;

  constructor() {
    this.#isOpened = new Promise((resolve) => {
      this.#opened = resolve;
    });
    this.#ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The reader gets the error if no interceptor awaits it.
    this.#ended.catch(ignore);
  }

  async open(begin: () => AsyncIterable<Part>): Promise<null> {
    if (this.#parts !== null) throw wrong('interceptors', 'cannot begin a stream twice');
    this.#parts = begin();
    this.#opened();
    return await this.#ended;
  }

  /** @returns the parts; `null` if the interceptors ended without them */
  async openedBy(outcome: Promise<unknown>): Promise<AsyncIterable<Part> | null> {
    await Promise.race([this.#isOpened, outcome]);
    return this.#parts;
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  /** After `fail`, does nothing. */
  end(): void {
    this.#resolve(null);
  }
}

function ignore(): void {
  // Replaced when the promise is made.
}
