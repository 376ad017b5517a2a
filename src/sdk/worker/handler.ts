import { type MonotonicMs, monotonicMs } from '../../core/clock.js';
import { EMPTY, type MdpVersion, NOT_BEGUN } from '../../wire/mdp.js';
import { isProgressBody, PROGRESS } from '../../wire/progress.js';
import { type Body, type BodyFrames, bodyFrames, frameList } from '../body.js';
import type { Encode } from '../codec/codec.js';
import { sdkError } from '../errors.js';
import type { Request } from '../message.js';
import type { Task } from './worker-session.js';

/** The longest time that a timer can wait. */
const TIMER_MS_MAX = 2_147_483_647;

/** The second argument of a handler. */
export interface HandlerContext<Answer = Body, Progress = Answer> {
  /** Aborts when nobody waits for the answer any more, with the reason as an error: `request.signal`. */
  readonly signal: AbortSignal;
  /**
   * Sends a part of the reply. The handler returns the last part. With a 0.1 broker the worker keeps
   * the parts and sends them joined in one reply.
   * @throws ERR_MDP_ABORTED if the request was cancelled; ERR_MDP_STREAM_BROKEN if the broker took it away;
   * ERR_MDP_BODY; a `ServiceError` `too-large` if the part is larger than the broker accepts, or ERR_MDP_LIMIT if the
   * broker has left more than 256 MiB unread: the request fails with that
   */
  readonly partial: (body: Answer) => void;
  /**
   * Tells how far it is: to the client's `stream()`, and to `job.progress()` of a durable request. It is no part
   * of the reply, which goes on if it gets lost. With a 0.1 broker it does nothing.
   * @throws ERR_MDP_BODY; ERR_MDP_CODEC; a `ServiceError`: `too-large` if it is larger than the broker accepts,
   * `invalid_reply` if the contract's validator refuses it
   */
  readonly progress: (value: Progress) => void;
}

/**
 * Handles one request. A generator yields the parts of the reply and returns the last one. If the handler
 * throws, or returns something that is not a body, the request fails: the client gets the code and message of
 * the error, ideally a `ServiceError`. If the broker does not support failures, the worker gives the request back.
 *
 *     async function* countdown(request: Request): AsyncGenerator<string, string> {
 *       for (let left = Number(request.text()); left > 0; left--) yield String(left);
 *       return 'lift-off';
 *     }
 *
 * @typeParam Value what the codec reads from requests
 * @typeParam Answer what the codec makes replies of
 * @typeParam Progress what it makes progress of
 */
export type Handler<Value = Buffer, Answer = Body, Progress = Answer> = (
  request: Request<Value>,
  context: HandlerContext<Answer, Progress>,
) => Answer | Promise<Answer> | AsyncGenerator<Answer, Answer, unknown>;

/** Where the parts of an answer go. */
interface PartSink {
  /** The largest message that the broker accepts. */
  readonly messageBytesMax: number;
  /** @returns `null`: the broker takes a part of this size */
  tooLargeError(body: BodyFrames): Error | null;
  /** Why a part cannot be sent, which ends the request; `null`: it can. */
  partError(body: BodyFrames): Error | null;
  /** Whether so much output waits for the broker that a stream does, too. */
  readonly isBusy: boolean;
  /** Calls `then` when it is no longer busy. */
  awaitRoom(then: () => void): void;
  /** Sends a PARTIAL. @returns false if that is no longer possible */
  partial(task: Task, body: BodyFrames): boolean;
  /** Sends progress, without which the answer is whole: if it cannot be sent, it is dropped. */
  progress(task: Task, body: BodyFrames): void;
}

/** How values become bodies; `null`: there is no codec. */
interface HandlerValues {
  readonly encode: Encode | null;
  readonly encodeProgress: Encode | null;
  /** `null`: an error is sent as it is. */
  readonly errorOf: ((error: unknown) => unknown) | null;
}

const NO_VALUES: HandlerValues = { encode: null, encodeProgress: null, errorOf: null };

/** Aborts at the deadline of a request, or before. */
class TaskSignal {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  /** @param deadlineMs monotonic; 0: none */
  constructor(deadlineMs: MonotonicMs) {
    if (deadlineMs === 0) return;
    const leftMs = deadlineMs - monotonicMs();
    if (leftMs <= 0) this.abort(deadlineError());
    else if (leftMs <= TIMER_MS_MAX) this.#timer = setTimeout(this.#expire, leftMs).unref();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #expire = (): void => this.abort(deadlineError());

  abort(reason: Error): void {
    clearTimeout(this.#timer);
    this.#controller.abort(reason);
  }

  /** Stops the timer: nobody needs the signal any more. */
  rest(): void {
    clearTimeout(this.#timer);
  }
}

/** What the context of a handler has for this package itself. */
export interface InnerContext extends HandlerContext {
  readonly task: Task;
  readonly session: PartSink;
  /**
   * The request goes back to the broker, for another worker: the handler throws after that. For `majordomo worker`,
   * which hands requests on to servers.
   * @param hasBegun false: no server can have seen it, so that `once` (D117) lets another one have it
   */
  giveBack(why: string, hasBegun: boolean): void;
}

/** The context of one request. */
export class TaskContext<S extends PartSink = PartSink> implements InnerContext {
  readonly task: Task;
  readonly session: S;
  /** The index of the request in the worker's list of running requests. */
  place = 0;
  /** The answer, while it waits to be sent. */
  answer: BodyFrames = EMPTY;
  /** A part could not be sent: the request fails with this, however its handler ends. */
  spoiledBy: Error | null = null;
  /** Why nobody wants the answer; `null`: it is wanted. */
  cancelledBy: Error | null = null;
  /** Why the request goes back to the broker when its handler throws; `null`: it fails. See `giveBack`. */
  givenBack: string | null = null;
  /** Whether nothing more is sent for the request. (Its handler may go on if it was cancelled.) */
  isOver = false;
  readonly #version: MdpVersion;
  readonly #values: HandlerValues;
  #graceTimer: NodeJS.Timeout | undefined;
  #buffered: Uint8Array[] | null = null;
  /** Created on demand, as `#partial`: most handlers use neither. */
  #signal: TaskSignal | null = null;
  #partial: ((body: Body) => void) | null = null;
  #progress: ((value: Body) => void) | null = null;
  #over = false;
  /** Ends `whenRoom`. */
  #goOn: (() => void) | null = null;

  constructor(version: MdpVersion, session: S, task: Task, values: HandlerValues = NO_VALUES) {
    this.#version = version;
    this.#values = values;
    this.session = session;
    this.task = task;
  }

  get signal(): AbortSignal {
    if (this.#signal === null) {
      this.#signal = new TaskSignal(this.task.request.deadlineMs);
      if (this.cancelledBy !== null) this.#signal.abort(this.cancelledBy);
      else if (this.#over) this.#signal.abort(closedError());
    }
    return this.#signal.signal;
  }

  /**
   * Whether the signal has aborted, or would have if it had been asked for: an error is the end that this asks for.
   */
  get isAborted(): boolean {
    if (this.#over || this.cancelledBy !== null || this.#signal?.signal.aborted === true) {
      return true;
    }
    const { deadlineMs } = this.task.request;
    return deadlineMs !== 0 && deadlineMs <= monotonicMs();
  }

  /** A function of its own, so that handlers can destructure the context. */
  get partial(): (body: Body) => void {
    this.#partial ??= (body) => {
      if (this.cancelledBy !== null) throw this.cancelledBy;
      const frames = this.#bodyOf(body);
      if (isProgressBody(frameList(frames))) throw progressError();
      if (this.#over || this.#version === 2) this.#send(frames);
      else (this.#buffered ??= []).push(...frameList(frames));
    };
    return this.#partial;
  }

  get progress(): (value: Body) => void {
    this.#progress ??= (value) => {
      const { encodeProgress } = this.#values;
      const frames = encodeProgress === null ? bodyFrames(value) : encodeProgress(value);
      const body = [PROGRESS, ...frameList(frames)];
      const error = this.session.tooLargeError(body);
      if (error !== null) throw error;
      if (this.#version === 2 && this.cancelledBy === null) this.session.progress(this.task, body);
    };
    return this.#progress;
  }

  giveBack(why: string, hasBegun: boolean): void {
    this.givenBack = hasBegun ? why : `${NOT_BEGUN}: ${why}`;
  }

  /** What is sent of an error that the handler threw. */
  errorOf(error: unknown): unknown {
    const { errorOf } = this.#values;
    try {
      return errorOf === null ? error : errorOf(error);
    } catch (fault) {
      // A validator has failed.
      return fault;
    }
  }

  #send(body: BodyFrames): void {
    this.spoiledBy ??= this.#over ? null : this.session.partError(body);
    if (this.spoiledBy !== null) throw this.spoiledBy;
    if (this.#over || !this.session.partial(this.task, body)) {
      throw sdkError('ERR_MDP_STREAM_BROKEN', 'the broker took the request away from this worker');
    }
  }

  /** What a writer of parts waits for: the broker has to read; `null`: nothing. */
  whenRoom(): Promise<void> | null {
    if (this.#over || this.cancelledBy !== null || !this.session.isBusy) return null;
    return new Promise((resolve) => {
      this.#goOn = resolve;
      this.session.awaitRoom(resolve);
    });
  }

  /** The request was given back. */
  abort(): void {
    this.#over = true;
    clearTimeout(this.#graceTimer);
    this.#goOn?.();
    this.#signal?.abort(closedError());
  }

  /**
   * Cancels the request: nobody wants the answer.
   * @param expired called if the handler has not ended after so many milliseconds
   */
  cancel(graceMs: number, expired: () => void): void {
    if (this.cancelledBy !== null) return;
    this.cancelledBy = cancelledError();
    this.#graceTimer = setTimeout(expired, graceMs).unref();
    this.#goOn?.();
    this.#signal?.abort(this.cancelledBy);
  }

  /** The handler has ended. */
  ended(): void {
    clearTimeout(this.#graceTimer);
    this.#signal?.rest();
  }

  /**
   * Runs the handler.
   * @returns the answer, if the handler returns a body; otherwise a promise of it, which rejects
   * with what the handler throws
   */
  run(handler: Handler, request: Request): BodyFrames | Promise<BodyFrames> {
    try {
      const given: unknown = handler(request, this);
      const isHere = this.#values.encode === null ? isBody(given) : !isLater(given);
      return isHere ? this.#answer(given) : this.#await(given);
    } catch (error) {
      const thrown = error as Error;
      return Promise.reject(thrown);
    }
  }

  async #await(given: unknown): Promise<BodyFrames> {
    return this.#answer(await lastOf(given, this));
  }

  #answer(body: unknown): BodyFrames {
    const frames = this.#bodyOf(body);
    return this.#buffered === null ? frames : [...this.#buffered, ...frameList(frames)];
  }

  #bodyOf(body: unknown): BodyFrames {
    const { encode } = this.#values;
    return encode === null ? bodyFrames(body) : encode(body);
  }
}

/**
 * What a handler returned, when it is there: of a generator, the last part; the others are sent as the
 * generator yields them.
 */
export async function lastOf(
  given: unknown,
  context: HandlerContext & Partial<Pick<TaskContext, 'whenRoom'>>,
): Promise<unknown> {
  if (!isGenerator(given)) return await given;
  for (;;) {
    const step = await given.next();
    if (step.done === true) return step.value;
    try {
      context.partial(step.value);
    } catch (error) {
      await given.throw(error);
      throw error;
    }
    const room = context.whenRoom?.() ?? null;
    if (room !== null) await room;
  }
}

function progressError(): Error {
  return sdkError(
    'ERR_MDP_BODY',
    `a part whose first frame is ${String(PROGRESS)} tells of progress`,
  );
}

function deadlineError(): Error {
  return sdkError('ERR_MDP_TIMEOUT', 'the deadline has passed: the client no longer waits');
}

function cancelledError(): Error {
  return sdkError('ERR_MDP_ABORTED', 'the request was cancelled: nobody waits for its answer');
}

function closedError(): Error {
  return sdkError('ERR_MDP_CLOSED', 'the worker was closed');
}

function isBody(value: unknown): boolean {
  return typeof value === 'string' || Array.isArray(value) || ArrayBuffer.isView(value);
}

/** A promise, or a generator. */
function isLater(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('then' in value || isGenerator(value));
}

function isGenerator(value: unknown): value is AsyncGenerator<Body, Body, unknown> {
  return (
    typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value
  );
}
