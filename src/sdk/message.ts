import { inspect } from 'node:util';

import { present } from '../core/assert.js';
import { copyBytes } from '../core/bytes.js';
import type { MonotonicMs } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { Frames } from '../core/frames.js';
import { type Headers, NO_HEADERS } from '../wire/headers.js';
import { EMPTY } from '../wire/mdp.js';
import { isProgressBody } from '../wire/progress.js';
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

/** @throws ERR_MDP_BODY if a body is not JSON */
export function parsedJson(body: { text(): string }): unknown {
  try {
    return JSON.parse(body.text());
  } catch (error) {
    throw sdkError('ERR_MDP_BODY', `the body is not JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** A request at a worker. */
export interface Request<Value = Buffer> extends Message<Value> {
  /** What the client sent beside the body; frozen, and empty if it sent nothing or the broker knows no headers. */
  readonly headers: Headers;
  /** The group that the client named, such as a tenant; empty if it named none, or the broker knows no groups. */
  readonly group: string;
  /**
   * Aborts when the client no longer waits, if it said how long it does, and when the grace period of the
   * worker's `close()` is over: the request was then given back to the broker.
   */
  readonly signal: AbortSignal;
}

/**
 * A part of a streamed reply, or (with `progress: true`) what the handler told with `context.progress`, which is no
 * part of it.
 */
export type StreamPart<Value = Buffer, Progress = Value> =
  | (Message<Value> & {
      readonly progress: false;
      /** True for the last part: what the handler returned. */
      readonly final: boolean;
    })
  | (Message<Progress> & { readonly progress: true; readonly final: false });

/** Where a part belongs that a worker sent while it worked on a durable request. */
export interface ToldPart {
  /** Which attempt the part belongs to, from 1. Each attempt begins again with its first part. */
  readonly attempt: number;
  /** The place of the part in its attempt, from 0. 0 again: another run began. */
  readonly index: number;
}

/**
 * What a worker sent while it worked on a durable request: what it told with `context.progress` (`progress: true`), or
 * a part of the reply.
 */
export type ProgressPart<Value = Buffer, Progress = Value> = ToldPart &
  (
    | (Message<Progress> & { readonly progress: true })
    | (Message<Value> & { readonly progress: false })
  );

/** Stands for a value that is not read yet. */
const UNREAD = Symbol('unread');

/** A message whose frames are made, and whose value is read, when somebody asks for them. */
export class ReceivedMessage implements Message {
  readonly service: string;
  readonly #decode: Decode | null;
  /** `null`: the one frame is `[start, end)` of `bytes`, and nobody has asked for it yet. */
  #frames: Buffer[] | null;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;
  #value: unknown = UNREAD;

  /** @param decode the codec's; `null`: the value is the bytes */
  constructor(
    service: string,
    decode: Decode | null,
    frames: Buffer[] | null,
    bytes = EMPTY,
    start = 0,
    end = 0,
  ) {
    this.service = service;
    this.#decode = decode;
    this.#frames = frames;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Copies the body that is the frames from index `from` on. */
  static copied(
    service: string,
    decode: Decode | null,
    frames: Frames,
    from: number,
  ): ReceivedMessage {
    const at = copiedTo(frames, from);
    if (at < 0) return new ReceivedMessage(service, decode, frames.keepFrom(from));
    return new ReceivedMessage(service, decode, null, slab.bytes, at, at + frames.size(from));
  }

  /** The value of the body. Its type is that of the codec, which the client or worker of the message knows. */
  get value(): Buffer {
    if (this.#value === UNREAD) {
      const bytes = joined(this.frames);
      this.#value = this.#decode === null ? bytes : this.#decode(bytes);
    }
    return this.#value as Buffer;
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
    return parsedJson(this);
  }

  /** What `JSON.stringify` writes. */
  toJSON(): object {
    return { service: this.service, frames: this.frames };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }
}

/**
 * Copies a small body of one frame, which begins at index `from`, to the slab.
 * @returns its offset there; -1 if it is another body
 */
function copiedTo(frames: Frames, from: number): number {
  const size = frames.size(from);
  if (frames.count !== from + 1 || size > SLAB_COPY_BYTES_MAX) return -1;
  const at = slab.reserve(size);
  copyBytes(frames.buffer(from), frames.start(from), frames.end(from), slab.bytes, at);
  return at;
}

/** What a request's `signal` is taken from: its context, when it has begun. */
interface SignalSource {
  readonly signal: AbortSignal;
}

export class ReceivedRequest extends ReceivedMessage implements Request {
  headers: Headers;
  /** When its client stops waiting, in whole monotonic milliseconds; 0: it did not say. */
  deadlineMs: MonotonicMs;
  /** The bytes of the name of its group, one character per byte; empty: it is in none. */
  groupBytes: string;
  #source: SignalSource | null;

  // Written out: an implicit constructor would put its arguments into an array for each request.
  constructor(
    service: string,
    decode: Decode | null,
    frames: Buffer[] | null,
    bytes = EMPTY,
    start = 0,
    end = 0,
  ) {
    super(service, decode, frames, bytes, start, end);
    this.headers = NO_HEADERS;
    this.deadlineMs = 0;
    this.groupBytes = '';
    this.#source = null;
  }

  static override copied(
    service: string,
    decode: Decode | null,
    frames: Frames,
    from: number,
  ): ReceivedRequest {
    const at = copiedTo(frames, from);
    if (at < 0) return new ReceivedRequest(service, decode, frames.keepFrom(from));
    return new ReceivedRequest(service, decode, null, slab.bytes, at, at + frames.size(from));
  }

  begin(source: SignalSource): void {
    this.#source = source;
  }

  get group(): string {
    return Buffer.from(this.groupBytes, 'latin1').toString();
  }

  get signal(): AbortSignal {
    return present(this.#source, 'a handler has the request').signal;
  }

  override toJSON(): object {
    return { ...super.toJSON(), headers: this.headers, group: this.group };
  }
}

/** How what arrives of one request becomes values; `null`: no codec. */
export interface Decoders {
  readonly decode: Decode | null;
  readonly decodeProgress: Decode | null;
}

/**
 * The reply to a durable request, as it is stored: the frames of all its parts. A codec makes one frame of each value,
 * so of several frames, the last one is what a generator returned. A worker that made a value of several frames itself
 * is understood, too, unless its last frame is a value of its own.
 */
export function jobReply(
  service: string,
  { decode }: Pick<Decoders, 'decode'>,
  frames: Buffer[],
): ReceivedMessage {
  const last = frames.at(-1);
  if (decode === null || last === undefined || frames.length === 1) {
    return new ReceivedMessage(service, decode, frames);
  }
  const decodeLast: Decode = (bytes) => {
    try {
      return decode(last);
    } catch (error) {
      try {
        return decode(bytes);
      } catch {
        throw error;
      }
    }
  };
  return new ReceivedMessage(service, decodeLast, frames);
}

/** A part of a reply, or progress: then it has its own frames and decoder. */
class ReceivedPiece extends ReceivedMessage {
  readonly progress: boolean;

  constructor(service: string, decoders: Decoders, frames: Buffer[], isFinal: boolean) {
    const isTold = !isFinal && isProgressBody(frames);
    const decode = isTold ? decoders.decodeProgress : decoders.decode;
    super(service, decode, isTold ? frames.slice(1) : frames);
    this.progress = isTold;
  }

  override toJSON(): object {
    return { ...super.toJSON(), progress: this.progress };
  }
}

export class ReceivedPart extends ReceivedPiece {
  readonly final: boolean;

  constructor(service: string, decoders: Decoders, frames: Buffer[], final: boolean) {
    super(service, decoders, frames, final);
    this.final = final;
  }

  override toJSON(): object {
    return { ...super.toJSON(), final: this.final };
  }
}

export class ReceivedProgress extends ReceivedPiece {
  readonly attempt: number;
  readonly index: number;

  constructor(
    service: string,
    decoders: Decoders,
    frames: Buffer[],
    { attempt, index }: { readonly attempt: number; readonly index: number },
  ) {
    super(service, decoders, frames, false);
    this.attempt = attempt;
    this.index = index;
  }

  override toJSON(): object {
    return { ...super.toJSON(), attempt: this.attempt, index: this.index };
  }
}
