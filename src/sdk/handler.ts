import type { MdpVersion } from '../wire/mdp.js';
import { type Body, bodyFrames } from './body.js';
import { sdkError } from './errors.js';
import type { Message } from './message.js';

/** What a handler is given beside the request. */
export interface HandlerContext {
  /** Aborts when the worker was closed and its grace is over: the request was given back. */
  readonly signal: AbortSignal;
  /**
   * Sends a part of the answer before the last, which the handler returns. Towards a 0.1 broker the
   * parts are kept, and joined to the one answer.
   * @throws ERR_MDP_STREAM_BROKEN if the request is no longer ours; ERR_MDP_BODY
   */
  readonly partial: (body: Body) => void;
}

/**
 * Answers one request. A generator yields the parts and returns the last one. To throw, or to return
 * what is no body, fails the request: the client is told the code and message (D60), best of a `ServiceError`.
 * A broker that does not know failures is given the request back (D25).
 */
export type Handler = (
  request: Message,
  context: HandlerContext,
) => Body | Promise<Body> | AsyncGenerator<Body, Body, unknown>;

/** The context of one request. */
export class TaskContext implements HandlerContext {
  readonly #version: MdpVersion;
  readonly #send: (frames: readonly Uint8Array[]) => boolean;
  readonly #kept: Uint8Array[] = [];
  /** Made when it is asked for: most handlers never do. */
  #controller: AbortController | null = null;
  #over = false;

  /** @param send sends a PARTIAL; false if that cannot be any more */
  constructor(version: MdpVersion, send: (frames: readonly Uint8Array[]) => boolean) {
    this.#version = version;
    this.#send = send;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#over) this.#controller.abort(closedError());
    }
    return this.#controller.signal;
  }

  /** A property, so that handlers may take it out of the context. */
  readonly partial = (body: Body): void => {
    const frames = bodyFrames(body);
    if (!this.#over && this.#version === 1) {
      this.#kept.push(...frames);
      return;
    }
    if (this.#over || !this.#send(frames)) {
      throw sdkError('ERR_MDP_STREAM_BROKEN', 'the request is no longer this worker’s');
    }
  };

  /** The request was given back. */
  abort(): void {
    this.#over = true;
    this.#controller?.abort(closedError());
  }

  /** Runs the handler to its end. @returns the frames of the answer @throws what it throws */
  async run(handler: Handler, request: Message): Promise<Uint8Array[]> {
    const given: unknown = handler(request, this);
    const answer = isGenerator(given) ? await this.#drive(given) : await given;
    const frames = bodyFrames(answer);
    return this.#kept.length === 0 ? frames : [...this.#kept, ...frames];
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

function isGenerator(value: unknown): value is AsyncGenerator<Body, Body, unknown> {
  return (
    typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value
  );
}
