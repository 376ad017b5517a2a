import { inspect } from 'node:util';

import { copyBytes } from '../../core/bytes.js';
import type { Frames } from '../../core/frames.js';
import type { Lateness } from '../../stream/lateness.js';
import { readStreamHeader, streamTimeUs } from '../../wire/stream.js';
import { parsedJson } from '../message.js';
import { Slab, SLAB_COPY_BYTES_MAX } from '../slab.js';

/** A published message at a subscriber. */
export interface StreamMessage {
  /** The topic, as text. */
  readonly topic: string;
  /** The bytes of the topic. The receiver owns them. */
  readonly topicBytes: Buffer;
  /** The frames of the body, after the topic; of a `Publisher` at least one. The receiver owns them. */
  readonly frames: Buffer[];
  /** The endpoint of the publisher, as given in `endpoints`. */
  readonly endpoint: string;
  /**
   * True for the first message after a connection to this publisher was lost: messages may be missing before it.
   * Only there can any be missing.
   */
  readonly afterGap: boolean;
  /** The id of this run of the publisher, 16 hexadecimal digits; `null`: it is not a `Publisher`. */
  readonly publisher: string | null;
  /**
   * The number of the message among all that this run of the publisher has published, from 1, also those of other
   * topics; `null`: it is not a `Publisher`.
   */
  readonly number: number | null;
  /**
   * When it was published, in milliseconds since 1970 by the publisher's clock, with fractions; `null`: not known
   * (`stamp: false`).
   */
  readonly sentAtMs: number | null;
  /** The frames of the body, concatenated, as UTF-8. */
  text(): string;
  /**
   * The same, parsed as JSON.
   * @throws ERR_MDP_BODY if it is not JSON
   */
  json(): unknown;
}

/** What a connection says of a message. */
export interface StreamFacts {
  readonly endpoint: string;
  readonly afterGap: boolean;
  /** Of a message of a `Publisher`, whose header is its second frame: `null`. Otherwise when it was published. */
  readonly stamp: { readonly sentAtMs: number | null } | null;
  /** How late its connection's messages are; `null`: that is not measured. */
  readonly lateness: Lateness | null;
}

/** They are read and forgotten one after the other, thousands in one buffer. */
const SLAB_BYTES = 128 * 1024;
const slab = new Slab(SLAB_BYTES);
/** Frames whose places are fields of the message. */
const PLACED_FRAMES = 3;
/** The place of each further frame in a growing array. */
const PLACE_BYTES = 32;
const NO_HEADER: Pick<StreamMessage, 'publisher' | 'number'> = { publisher: null, number: null };

/**
 * A received message: one copy of its bytes, from which all else is made when somebody asks for it. A program
 * that reads millions of messages a second looks at little of each.
 */
export class ReceivedStreamMessage implements StreamMessage {
  readonly endpoint: string;
  readonly afterGap: boolean;
  readonly lateness: Lateness | null;
  /** What it holds in memory, about: its bytes, and where its frames are. */
  readonly heldBytes: number;
  readonly #stamp: StreamFacts['stamp'];
  readonly #bytes: Buffer;
  /** Where its first three frames are; a message of a `Publisher` has these, and seldom more. */
  #topicAt = 0;
  #topicEnd = 0;
  #secondAt = 0;
  #secondEnd = 0;
  #thirdAt = 0;
  #thirdEnd = 0;
  readonly #count: number;
  /** Where the others are: beginnings and ends, in turns. */
  #others: number[] | null = null;
  #topic: Buffer | null = null;
  #frames: Buffer[] | null = null;

  constructor(frames: Frames, { endpoint, afterGap, stamp, lateness }: StreamFacts) {
    this.endpoint = endpoint;
    this.afterGap = afterGap;
    this.lateness = lateness;
    this.#stamp = stamp;
    const { count } = frames;
    let bytes = 0;
    for (let index = 0; index < count; index++) bytes += frames.size(index);
    // Frames that came as one run of bytes are copied as one, with what stands between them.
    const isRun = frames.isPacked && count > 1;
    const room = isRun ? frames.end(count - 1) - frames.start(0) : bytes;
    this.heldBytes = room + Math.max(0, count - PLACED_FRAMES) * PLACE_BYTES;
    const isSmall = room <= SLAB_COPY_BYTES_MAX;
    let at = isSmall ? slab.reserve(room) : 0;
    const copy = isSmall ? slab.bytes : Buffer.allocUnsafeSlow(room);
    this.#bytes = copy;
    this.#count = count;
    if (isRun) {
      const from = frames.start(0);
      copyBytes(frames.buffer(0), from, from + room, copy, at);
      const moved = at - from;
      for (let index = 0; index < count; index++) {
        this.#place(index, frames.start(index) + moved, frames.end(index) + moved);
      }
    } else {
      for (let index = 0; index < count; index++) {
        const start = at;
        copyBytes(frames.buffer(index), frames.start(index), frames.end(index), copy, start);
        at += frames.size(index);
        this.#place(index, start, at);
      }
    }
  }

  #place(index: number, start: number, end: number): void {
    if (index === 0) {
      this.#topicAt = start;
      this.#topicEnd = end;
    } else if (index === 1) {
      this.#secondAt = start;
      this.#secondEnd = end;
    } else if (index === 2) {
      this.#thirdAt = start;
      this.#thirdEnd = end;
    } else {
      this.#others ??= [];
      this.#others.push(start, end);
    }
  }

  get topicBytes(): Buffer {
    this.#topic ??= this.#frame(0);
    return this.#topic;
  }

  get topic(): string {
    return this.#bytes.toString('utf8', this.#topicAt, this.#topicEnd);
  }

  get frames(): Buffer[] {
    if (this.#frames === null) {
      this.#frames = [];
      for (let index = this.#body; index < this.#count; index++) {
        this.#frames.push(this.#frame(index));
      }
    }
    return this.#frames;
  }

  get publisher(): string | null {
    return this.#header.publisher;
  }

  get number(): number | null {
    return this.#header.number;
  }

  get sentAtMs(): number | null {
    if (this.#stamp !== null) return this.#stamp.sentAtMs;
    return streamTimeUs(this.#bytes, this.#secondAt) / 1000;
  }

  text(): string {
    const [first] = this.frames;
    if (this.frames.length === 1 && first !== undefined) return first.toString('utf8');
    return Buffer.concat(this.frames).toString('utf8');
  }

  json(): unknown {
    return parsedJson(this.text());
  }

  /** What `JSON.stringify` writes. */
  toJSON(): object {
    const { topic, frames, endpoint, afterGap, publisher, number, sentAtMs } = this;
    return { topic, frames, endpoint, afterGap, publisher, number, sentAtMs };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }

  /** The index of the first frame of its body. */
  get #body(): number {
    return this.#stamp === null ? 2 : 1;
  }

  get #header(): Pick<StreamMessage, 'publisher' | 'number'> {
    return this.#stamp === null ? readStreamHeader(this.#bytes, this.#secondAt) : NO_HEADER;
  }

  #frame(index: number): Buffer {
    if (index === 0) return this.#bytes.subarray(this.#topicAt, this.#topicEnd);
    if (index === 1) return this.#bytes.subarray(this.#secondAt, this.#secondEnd);
    if (index === 2) return this.#bytes.subarray(this.#thirdAt, this.#thirdEnd);
    const at = 2 * (index - 3);
    return this.#bytes.subarray(this.#others?.[at], this.#others?.[at + 1]);
  }
}
