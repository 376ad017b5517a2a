import { EMPTY, type MdpVersion } from '../wire/mdp.js';
import { type Body, type BodyFrames, bodyFrames, frameList } from './body.js';
import { sdkError } from './errors.js';
import type { Message } from './message.js';
import type { Task } from './worker-session.js';

/** The second argument of a handler. */
export interface HandlerContext {
  /** Aborts when the grace period of `close()` is over: the request was given back to the broker. */
  readonly signal: AbortSignal;
  /**
   * Sends a part of the reply. The handler returns the last part. With a 0.1 broker the worker keeps
   * the parts and sends them joined in one reply.
   * @throws ERR_MDP_STREAM_BROKEN if the broker took the request away; ERR_MDP_BODY
   */
  readonly partial: (body: Body) => void;
}

/**
 * Handles one request. A generator yields the parts of the reply and returns the last one. If the handler
 * throws, or returns something that is not a body, the request fails: the client gets the code and message of
 * the error, ideally a `ServiceError`. If the broker does not support failures, the worker gives the request back.
 */
export type Handler = (
  request: Message,
  context: HandlerContext,
) => Body | Promise<Body> | AsyncGenerator<Body, Body, unknown>;

/** Where the parts of an answer go. */
export interface PartSink {
  /** Sends a PARTIAL. @returns false if that is no longer possible */
  partial(task: Task, body: BodyFrames): boolean;
}

/** The context of one request. */
export class TaskContext<S extends PartSink = PartSink> implements HandlerContext {
  readonly task: Task;
  readonly session: S;
  /** Its index in the worker's list of running requests. */
  place = 0;
  /** The answer, while it waits to be sent. */
  answer: BodyFrames = EMPTY;
  readonly #version: MdpVersion;
  #kept: Uint8Array[] | null = null;
  /** Created on demand, as `#partial`: most handlers use neither. */
  #controller: AbortController | null = null;
  #partial: ((body: Body) => void) | null = null;
  #over = false;

  constructor(version: MdpVersion, session: S, task: Task) {
    this.#version = version;
    this.session = session;
    this.task = task;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#over) this.#controller.abort(closedError());
    }
    return this.#controller.signal;
  }

  /** A function of its own, so that handlers can destructure the context. */
  get partial(): (body: Body) => void {
    this.#partial ??= (body) => {
      this.#send(bodyFrames(body));
    };
    return this.#partial;
  }

  #send(body: BodyFrames): void {
    if (!this.#over && this.#version === 1) {
      this.#kept ??= [];
      this.#kept.push(...frameList(body));
      return;
    }
    if (this.#over || !this.session.partial(this.task, body)) {
      throw sdkError('ERR_MDP_STREAM_BROKEN', 'the broker took the request away from this worker');
    }
  }

  /** The request was given back. */
  abort(): void {
    this.#over = true;
    this.#controller?.abort(closedError());
  }

  /**
   * Runs the handler.
   * @returns the answer, if the handler returns a body; otherwise a promise of it, which rejects
   * with what the handler throws
   */
  run(handler: Handler, request: Message): BodyFrames | Promise<BodyFrames> {
    try {
      const given: unknown = handler(request, this);
      return isBody(given) ? this.#answer(given) : this.#await(given);
    } catch (error) {
      const thrown = error as Error;
      return Promise.reject(thrown);
    }
  }

  async #await(given: unknown): Promise<BodyFrames> {
    return this.#answer(isGenerator(given) ? await this.#drive(given) : await given);
  }

  #answer(body: unknown): BodyFrames {
    const frames = bodyFrames(body);
    return this.#kept === null ? frames : [...this.#kept, ...frameList(frames)];
  }

  async #drive(parts: AsyncGenerator<Body, Body, unknown>): Promise<Body> {
    for (;;) {
      const step = await parts.next();
      if (step.done === true) return step.value;
      try {
        this.partial(step.value);
      } catch (error) {
        await parts.throw(error);
        throw error;
      }
    }
  }
}

function closedError(): Error {
  return sdkError('ERR_MDP_CLOSED', 'the worker was closed');
}

function isBody(value: unknown): boolean {
  return typeof value === 'string' || Array.isArray(value) || ArrayBuffer.isView(value);
}

function isGenerator(value: unknown): value is AsyncGenerator<Body, Body, unknown> {
  return (
    typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value
  );
}
