import type { MdpVersion } from '../wire/mdp.js';
import { type Body, bodyFrames } from './body.js';
import { sdkError } from './errors.js';
import type { Message } from './message.js';

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

/** The context of one request. */
export class TaskContext implements HandlerContext {
  readonly #version: MdpVersion;
  readonly #send: (frames: readonly Uint8Array[]) => boolean;
  readonly #kept: Uint8Array[] = [];
  /** Created on demand: most handlers do not use it. */
  #controller: AbortController | null = null;
  #over = false;

  /** @param send sends a PARTIAL; false if that is no longer possible */
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

  /** A property, so that handlers can destructure the context. */
  readonly partial = (body: Body): void => {
    const frames = bodyFrames(body);
    if (!this.#over && this.#version === 1) {
      this.#kept.push(...frames);
      return;
    }
    if (this.#over || !this.#send(frames)) {
      throw sdkError('ERR_MDP_STREAM_BROKEN', 'the broker took the request away from this worker');
    }
  };

  /** The request was given back. */
  abort(): void {
    this.#over = true;
    this.#controller?.abort(closedError());
  }

  /**
   * Runs the handler to its end. @returns the frames of the answer @throws what the handler throws
   */
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
