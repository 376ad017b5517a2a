import { inspect } from 'node:util';

import { PackedCursor, readPacked } from '../../core/packed.js';
import { readStreamHeader, streamHeaderAt, streamTimeUs } from '../../wire/stream.js';
import { parsedJson } from '../message.js';
import type { MessageRun } from './message-run.js';

/** A published message at a subscriber. */
export interface StreamMessage {
  /** The topic, as text. */
  readonly topic: string;
  /** The bytes of the topic. The receiver owns them. */
  readonly topicBytes: Buffer;
  /** The frames of the body, after the topic; of a `Publisher` at least one. The receiver owns them. */
  readonly frames: Buffer[];
  /**
   * The memory in which the message was received, with others: only to be read. For programs that read millions of
   * messages a second: looking at a field here costs a tenth of making `frames`.
   *
   *     sum += message.bytes.readDoubleLE(message.bodyStart);
   */
  readonly bytes: Buffer;
  /** Where the first frame of the body begins in `bytes`. */
  readonly bodyStart: number;
  /** Where the body ends in `bytes`: one past its last byte. A body without frames begins where it ends. */
  readonly bodyEnd: number;
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
   * When the message was published, in milliseconds since 1970 by the publisher's clock, with fractions; `null`: not
   * known (`stamp: false`).
   */
  readonly sentAtMs: number | null;
  /** The frames of the body, concatenated, as UTF-8. */
  text(): string;
  /**
   * The frames of the body, concatenated, parsed as JSON.
   * @throws ERR_MDP_BODY if it is not JSON
   */
  json(): unknown;
}

const NO_HEADER: Pick<StreamMessage, 'publisher' | 'number'> = { publisher: null, number: null };
/** Shared by all messages: it is used up before another one is read. */
const cursor = new PackedCursor();

/**
 * A received message: a place in a run, from which all is made when somebody asks for it. A program
 * that reads millions of messages a second looks at little of each.
 */
export class ReceivedStreamMessage implements StreamMessage {
  readonly #run: MessageRun;
  /** The message is the bytes `[start, end)` of the run. */
  readonly #start: number;
  readonly #end: number;
  #topic: Buffer | null = null;
  #frames: Buffer[] | null = null;

  constructor(run: MessageRun, start: number, end: number) {
    this.#run = run;
    this.#start = start;
    this.#end = end;
  }

  get endpoint(): string {
    return this.#run.source.endpoint;
  }

  get afterGap(): boolean {
    return this.#run.afterGap && this.#start === this.#run.start;
  }

  get topicBytes(): Buffer {
    if (this.#topic === null) {
      const { bytes, memory } = this.#run;
      readPacked(bytes, this.#start, cursor);
      this.#topic = viewOf(memory, cursor.start, cursor.end);
    }
    return this.#topic;
  }

  get topic(): string {
    const { bytes } = this.#run;
    readPacked(bytes, this.#start, cursor);
    return bytes.toString('utf8', cursor.start, cursor.end);
  }

  get frames(): Buffer[] {
    this.#frames ??= this.#bodyFrames();
    return this.#frames;
  }

  get bytes(): Buffer {
    return this.#run.bytes;
  }

  get bodyStart(): number {
    const at = this.#bodyAt();
    if (at >= this.#end) return this.#end;
    readPacked(this.#run.bytes, at, cursor);
    return cursor.start;
  }

  get bodyEnd(): number {
    const at = this.#bodyAt();
    return at >= this.#end ? this.#end : afterFrame(this.#run.bytes, at);
  }

  get publisher(): string | null {
    return this.#header.publisher;
  }

  get number(): number | null {
    return this.#header.number;
  }

  get sentAtMs(): number | null {
    const { bytes, source, sentAtMs } = this.#run;
    if (!source.isNumbered) return sentAtMs;
    return streamTimeUs(bytes, streamHeaderAt(bytes, this.#start)) / 1000;
  }

  text(): string {
    const { bytes, bodyStart, bodyEnd } = this;
    if (bodyEnd === this.#end) return bytes.toString('utf8', bodyStart, bodyEnd);
    return Buffer.concat(this.frames).toString('utf8');
  }

  json(): unknown {
    return parsedJson(this);
  }

  /** What `JSON.stringify` writes. */
  toJSON(): object {
    const { topic, frames, endpoint, afterGap, publisher, number, sentAtMs } = this;
    return { topic, frames, endpoint, afterGap, publisher, number, sentAtMs };
  }

  [inspect.custom](): object {
    return this.toJSON();
  }

  get #header(): Pick<StreamMessage, 'publisher' | 'number'> {
    const { bytes, source } = this.#run;
    return source.isNumbered
      ? readStreamHeader(bytes, streamHeaderAt(bytes, this.#start))
      : NO_HEADER;
  }

  #bodyFrames(): Buffer[] {
    const { bytes, memory } = this.#run;
    let at = this.#bodyAt();
    if (at >= this.#end) return [];
    readPacked(bytes, at, cursor);
    const frames = [viewOf(memory, cursor.start, cursor.end)];
    for (at = cursor.end; at < this.#end; at = cursor.end) {
      readPacked(bytes, at, cursor);
      frames.push(viewOf(memory, cursor.start, cursor.end));
    }
    return frames;
  }

  /** Where the head of the body's first frame is; the end of the message, if the body has none. */
  #bodyAt(): number {
    const { bytes, source } = this.#run;
    const at = afterFrame(bytes, this.#start);
    return source.isNumbered ? afterFrame(bytes, at) : at;
  }
}

function afterFrame(bytes: Buffer, at: number): number {
  readPacked(bytes, at, cursor);
  return cursor.end;
}

/** Half as expensive as `subarray`, which asks the buffer for its memory each time. */
function viewOf(memory: ArrayBufferLike, start: number, end: number): Buffer {
  return Buffer.from(memory, start, end - start);
}
