/** A subscriber's connection to one publisher: what arrives there, with its gaps and its lateness. */
import { monotonicMs } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { Frames } from '../../core/frames.js';
import { Lateness } from '../../stream/lateness.js';
import type { Dial, Link, LinkEvents } from '../../transport/port.js';
import { readStreamHeader } from '../../wire/stream.js';
import { sdkError } from '../errors.js';
import { endpointError } from '../links.js';
import { copiedFrames, ReceivedStreamMessage, type StreamMessage } from './stream-message.js';

/** Reads the time of a message of a publisher that is not ours, in milliseconds of its clock. */
export type Stamp = (frames: readonly Buffer[]) => number;

export interface FeedOwner {
  connected(feed: Feed): void;
  disconnected(feed: Feed): void;
  /** @param bytes of its frames */
  received(message: StreamMessage, lateness: Lateness, bytes: number): void;
  /** The subscriber cannot go on; what came before still goes to its reader. */
  failed(error: Error): void;
}

/** Handshakes in a row in which the publisher refused the key. */
const KEY_REFUSALS_MAX = 2;

export class Feed implements LinkEvents {
  readonly endpoint: string;
  readonly #owner: FeedOwner;
  /** `null`: messages of a `Publisher`; `false`: of others, without a time. */
  readonly #stamp: Stamp | false | null;
  readonly #link: Link;
  #lateness = new Lateness();
  #isGap = false;
  #keyRefusals = 0;
  #isClosed = false;

  /** @throws ERR_MDP_ENDPOINT */
  constructor(endpoint: string, dial: Dial, stamp: Stamp | false | null, owner: FeedOwner) {
    this.endpoint = endpoint;
    this.#owner = owner;
    this.#stamp = stamp;
    try {
      this.#link = dial(endpoint, this);
    } catch (error) {
      throw endpointError(endpoint, error);
    }
  }

  setReading(isReading: boolean): void {
    this.#link.setReading?.(isReading);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.#link.close(0);
  }

  // ---------------------------------------------------------------- events of the link

  connected(): void {
    this.#keyRefusals = 0;
    this.#lateness = new Lateness();
    if (!this.#isClosed) this.#owner.connected(this);
  }

  disconnected(): void {
    this.#isGap = true;
    if (!this.#isClosed) this.#owner.disconnected(this);
  }

  unreachable(isKeyRefused: boolean): void {
    if (!isKeyRefused || this.#isClosed || ++this.#keyRefusals < KEY_REFUSALS_MAX) return;
    const text = `the publisher at ${this.endpoint} does not admit the key of this subscriber`;
    const details = { endpoint: this.endpoint };
    this.#owner.failed(sdkError('ERR_MDP_KEY_REFUSED', text, { details }));
  }

  message(frames: Frames): void {
    if (this.#isClosed) return;
    const message = this.#stamp === null ? this.#numbered(frames) : this.#foreign(frames);
    if (message === null) return;
    this.#isGap = false;
    if (message.sentAtMs !== null) this.#lateness.arrived(monotonicMs(), message.sentAtMs);
    let bytes = 0;
    for (let index = 0; index < frames.count; index++) bytes += frames.size(index);
    this.#owner.received(message, this.#lateness, bytes);
  }

  /** A message of a `Publisher`. */
  #numbered(frames: Frames): StreamMessage | null {
    const header = readStreamHeader(frames);
    if (header === null) {
      const text = `a message from ${this.endpoint} has no header of a Publisher: read it with the option stamp`;
      const details = { endpoint: this.endpoint };
      this.#owner.failed(sdkError('ERR_STREAM_MALFORMED', text, { details }));
      return null;
    }
    const [topic = NO_BYTES, , ...body] = copiedFrames(frames);
    const { endpoint } = this;
    const { publisher, number, timeUs } = header;
    const facts = { endpoint, afterGap: this.#isGap, publisher, number, sentAtMs: timeUs / 1000 };
    return new ReceivedStreamMessage(topic, body, facts);
  }

  /** A message of another program. */
  #foreign(frames: Frames): StreamMessage | null {
    const copies = copiedFrames(frames);
    const sentAtMs = this.#stamp === false ? null : this.#stamped(copies);
    if (sentAtMs === undefined) return null;
    const [topic = NO_BYTES, ...body] = copies;
    const { endpoint } = this;
    const facts = { endpoint, afterGap: this.#isGap, publisher: null, number: null, sentAtMs };
    return new ReceivedStreamMessage(topic, body, facts);
  }

  /** `undefined`: the function failed. */
  #stamped(frames: readonly Buffer[]): number | undefined {
    try {
      const sentAtMs: unknown = this.#stamp === false ? NaN : this.#stamp?.(frames);
      if (typeof sentAtMs === 'number' && Number.isFinite(sentAtMs)) return sentAtMs;
      throw new TypeError(`it returned ${String(sentAtMs)}`);
    } catch (error) {
      const text = `stamp must return the milliseconds of a message: ${messageOf(error)}`;
      const details = { option: 'stamp', endpoint: this.endpoint };
      this.#owner.failed(sdkError('ERR_MDP_OPTION', text, { cause: error, details }));
      return undefined;
    }
  }
}

const NO_BYTES: Buffer = Buffer.alloc(0);
