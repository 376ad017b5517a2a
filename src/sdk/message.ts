import { inspect } from 'node:util';

import { copyBytes } from '../core/bytes.js';
import { messageOf } from '../core/errors.js';
import type { Frames } from '../core/frames.js';
import { EMPTY } from '../wire/mdp.js';
import { sdkError } from './errors.js';
import { Slab, SLAB_COPY_BYTES_MAX } from './slab.js';

const slab = new Slab();

/** A received message: a request at a worker, or a reply at a client. */
export interface Message {
  /** The requested service. */
  readonly service: string;
  /** The frames of the body, at least one. The receiver owns them. */
  readonly frames: Buffer[];
  /** All frames, concatenated, as UTF-8. */
  text(): string;
  /**
   * All frames, concatenated and parsed as JSON.
   * @throws ERR_MDP_BODY if they are not JSON
   */
  json(): unknown;
}

/** One part of a streamed reply; `final` marks the last. */
export interface StreamPart extends Message {
  readonly final: boolean;
}

/** A message whose frames are made when they are first read. */
export class ReceivedMessage implements Message {
  readonly service: string;
  /** `null`: the one frame is `[start, end)` of `bytes`, and nobody has asked for it yet. */
  #frames: Buffer[] | null;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;

  constructor(service: string, frames: Buffer[] | null, bytes = EMPTY, start = 0, end = 0) {
    this.service = service;
    this.#frames = frames;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Copies the body that is the frames from index `from` on. */
  static copied(service: string, frames: Frames, from: number): ReceivedMessage {
    const size = frames.size(from);
    if (frames.count !== from + 1 || size > SLAB_COPY_BYTES_MAX) {
      return new ReceivedMessage(service, frames.copyFrom(from));
    }
    const at = slab.reserve(size);
    copyBytes(frames.buffer(from), frames.start(from), frames.end(from), slab.bytes, at);
    return new ReceivedMessage(service, null, slab.bytes, at, at + size);
  }

  get frames(): Buffer[] {
    this.#frames ??= [this.#bytes.subarray(this.#start, this.#end)];
    return this.#frames;
  }

  text(): string {
    const frames = this.#frames;
    if (frames === null) return this.#bytes.toString('utf8', this.#start, this.#end);
    const [first] = frames;
    if (frames.length === 1 && first !== undefined) return first.toString('utf8');
    return Buffer.concat(frames).toString('utf8');
  }

  json(): unknown {
    try {
      return JSON.parse(this.text());
    } catch (error) {
      throw sdkError('ERR_MDP_BODY', `the body is not JSON: ${messageOf(error)}`, { cause: error });
    }
  }

  /** What `JSON.stringify` writes. */
  toJSON(): object {
    return { service: this.service, frames: this.frames };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }
}

export class ReceivedPart extends ReceivedMessage implements StreamPart {
  readonly final: boolean;

  constructor(service: string, frames: Buffer[], final: boolean) {
    super(service, frames);
    this.final = final;
  }

  override toJSON(): object {
    return { ...super.toJSON(), final: this.final };
  }
}
