import { inspect } from 'node:util';

import { present } from '../core/assert.js';
import { copyBytes } from '../core/bytes.js';
import type { MonotonicMs } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { Frames } from '../core/frames.js';
import { type Headers, NO_HEADERS } from '../wire/headers.js';
import { EMPTY } from '../wire/mdp.js';
import type { Decode } from './codec/codec.js';
import { sdkError } from './errors.js';
import { Slab, SLAB_COPY_BYTES_MAX } from './slab.js';

const slab = new Slab();

/**
 * A received message: a request at a worker, or a reply at a client.
 * @typeParam Value what the codec reads from a body
 */
export interface Message<Value = Buffer> {
  /** The requested service. */
  readonly service: string;
  /**
   * The body, read by the codec when you first ask for it; without a codec, the bytes of all frames.
   * @throws ERR_MDP_CODEC at a client, a `ServiceError` at a worker, if the codec cannot read it. `frames`
   * and `text()` still can.
   */
  readonly value: Value;
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

/** The bytes of all frames. */
export function joined(frames: readonly Buffer[]): Buffer {
  const [first] = frames;
  return frames.length === 1 && first !== undefined ? first : Buffer.concat(frames);
}

/** A request at a worker. */
export interface Request<Value = Buffer> extends Message<Value> {
  /** What the client sent beside the body; frozen, and empty if it sent nothing or the broker knows no headers. */
  readonly headers: Headers;
  /**
   * Aborts when the client no longer waits, if it said how long it does, and when the grace period of the
   * worker's `close()` is over: the request was then given back to the broker.
   */
  readonly signal: AbortSignal;
}

/** One part of a streamed reply; `final` marks the last. */
export interface StreamPart<Value = Buffer> extends Message<Value> {
  readonly final: boolean;
}

/** @returns where the frame is in `slab.bytes` */
function copyToSlab(frames: Frames, from: number, size: number): number {
  const at = slab.reserve(size);
  copyBytes(frames.buffer(from), frames.start(from), frames.end(from), slab.bytes, at);
  return at;
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
  static copied(
    service: string,
    frames: Frames,
    from: number,
    decode: Decode | null,
  ): ReceivedMessage {
    const size = frames.size(from);
    if (frames.count !== from + 1 || size > SLAB_COPY_BYTES_MAX) {
      return ReceivedMessage.of(service, frames.copyFrom(from), decode);
    }
    const at = copyToSlab(frames, from, size);
    return decode === null
      ? new ReceivedMessage(service, null, slab.bytes, at, at + size)
      : new DecodedMessage(decode, service, null, slab.bytes, at, at + size);
  }

  static of(service: string, frames: Buffer[], decode: Decode | null): ReceivedMessage {
    if (decode === null) return new ReceivedMessage(service, frames);
    return new DecodedMessage(decode, service, frames);
  }

  get value(): Buffer {
    return joined(this.frames);
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

/** A message whose value a codec reads, once. */
class DecodedMessage extends ReceivedMessage {
  /** `null`: the value was read. */
  #decode: Decode | null;
  #value: unknown;

  constructor(
    decode: Decode,
    service: string,
    frames: Buffer[] | null,
    bytes?: Buffer,
    start?: number,
    end?: number,
  ) {
    super(service, frames, bytes, start, end);
    this.#decode = decode;
  }

  /** Its type is that of the codec, which the client or worker of the message knows. */
  override get value(): Buffer {
    if (this.#decode !== null) {
      this.#value = this.#decode(super.value);
      this.#decode = null;
    }
    return this.#value as Buffer;
  }
}

/** What a request's `signal` is taken from: its context, when it has begun. */
interface SignalSource {
  readonly signal: AbortSignal;
}

/** A request, and its value if a codec reads it. */
export class ReceivedRequest extends ReceivedMessage implements Request {
  headers: Headers = NO_HEADERS;
  /** When its client stops waiting, in whole monotonic milliseconds; 0: it did not say. */
  deadlineMs: MonotonicMs = 0;
  #source: SignalSource | null = null;
  readonly #decode: Decode | null;
  #isRead = false;
  #value: unknown;

  constructor(
    decode: Decode | null,
    service: string,
    frames: Buffer[] | null,
    bytes?: Buffer,
    start?: number,
    end?: number,
  ) {
    super(service, frames, bytes, start, end);
    this.#decode = decode;
  }

  /** As `ReceivedMessage.copied`. */
  static override copied(
    service: string,
    frames: Frames,
    from: number,
    decode: Decode | null,
  ): ReceivedRequest {
    const size = frames.size(from);
    if (frames.count !== from + 1 || size > SLAB_COPY_BYTES_MAX) {
      return new ReceivedRequest(decode, service, frames.copyFrom(from));
    }
    const at = copyToSlab(frames, from, size);
    return new ReceivedRequest(decode, service, null, slab.bytes, at, at + size);
  }

  begin(source: SignalSource): void {
    this.#source = source;
  }

  get signal(): AbortSignal {
    return present(this.#source, 'a handler has the request').signal;
  }

  /** As in `DecodedMessage`. */
  override get value(): Buffer {
    if (this.#decode === null) return super.value;
    if (!this.#isRead) {
      this.#value = this.#decode(super.value);
      this.#isRead = true;
    }
    return this.#value as Buffer;
  }

  override toJSON(): object {
    return { ...super.toJSON(), headers: this.headers };
  }
}

export class ReceivedPart extends ReceivedMessage implements StreamPart {
  readonly final: boolean;
  readonly #decode: Decode | null;
  #decoded: ReceivedMessage | null = null;

  constructor(service: string, frames: Buffer[], final: boolean, decode: Decode | null) {
    super(service, frames);
    this.final = final;
    this.#decode = decode;
  }

  override get value(): Buffer {
    this.#decoded ??= ReceivedMessage.of(this.service, this.frames, this.#decode);
    return this.#decoded.value;
  }

  override toJSON(): object {
    return { ...super.toJSON(), final: this.final };
  }
}
