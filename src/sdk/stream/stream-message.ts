import { inspect } from 'node:util';

import type { Frames } from '../../core/frames.js';
import { parsedJson } from '../message.js';

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

/** What a message says beside its frames. */
export interface StreamFacts {
  readonly endpoint: string;
  readonly afterGap: boolean;
  readonly publisher: string | null;
  readonly number: number | null;
  readonly sentAtMs: number | null;
}

export class ReceivedStreamMessage implements StreamMessage {
  readonly topicBytes: Buffer;
  readonly frames: Buffer[];
  readonly endpoint: string;
  readonly afterGap: boolean;
  readonly publisher: string | null;
  readonly number: number | null;
  readonly sentAtMs: number | null;

  constructor(topic: Buffer, frames: Buffer[], facts: StreamFacts) {
    this.topicBytes = topic;
    this.frames = frames;
    this.endpoint = facts.endpoint;
    this.afterGap = facts.afterGap;
    this.publisher = facts.publisher;
    this.number = facts.number;
    this.sentAtMs = facts.sentAtMs;
  }

  get topic(): string {
    return this.topicBytes.toString('utf8');
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
}

/** Copies of all frames of a message: views of one copy, if they came as one run of bytes. */
export function copiedFrames(frames: Frames): Buffer[] {
  const last = frames.count - 1;
  if (!frames.isPacked || last < 1) return frames.copyFrom(0);
  const from = frames.start(0);
  const bytes = Buffer.from(frames.buffer(0).subarray(from, frames.end(last)));
  const copies: Buffer[] = [];
  for (let index = 0; index <= last; index++) {
    copies.push(bytes.subarray(frames.start(index) - from, frames.end(index) - from));
  }
  return copies;
}
