/** A subscriber's connection to one publisher: what arrives there, with its gaps and its lateness. */
import type { Words } from '../../core/bytes.js';
import { monotonicMs } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { Frames } from '../../core/frames.js';
import { isWallTime } from '../../core/numbers.js';
import { messageEnd } from '../../core/packed.js';
import { Lateness } from '../../stream/lateness.js';
import type { Dial, Link, LinkEvents } from '../../zmtp/link-port.js';
import { hasStreamHeader, streamHeaderAt, streamTimeUs } from '../../wire/stream.js';
import { sdkError } from '../errors.js';
import { endpointError } from '../links.js';
import { type MessageRun, runOf, runOfOne, type StreamSource } from './message-run.js';

/** Reads the time of a message of a publisher that is not ours, in milliseconds of its clock. */
export type Stamp = (frames: readonly Buffer[]) => number;

export interface FeedOwner {
  connected(feed: Feed): void;
  disconnected(feed: Feed): void;
  received(run: MessageRun): void;
  /** The subscriber cannot go on; what came before still goes to its reader. */
  failed(error: Error): void;
}

/** Handshakes in a row in which the publisher refused the key. */
const KEY_REFUSALS_MAX = 2;
/** Messages of more frames are taken one by one. */
const RUN_FRAMES_MAX = 6;

export class Feed implements LinkEvents {
  readonly endpoint: string;
  readonly #owner: FeedOwner;
  /** `null`: messages of a `Publisher`; `false`: of others, without a time. */
  readonly #stamp: Stamp | false | null;
  readonly link: Link;
  /** What the messages of the present connection have in common. */
  #source: StreamSource;
  readonly #isTimed: boolean;
  #isGap = false;
  #keyRefusals = 0;
  #isClosed = false;

  /**
   * @param isTimed its messages may be too late
   * @throws ERR_MDP_ENDPOINT
   */
  constructor(
    endpoint: string,
    dial: Dial,
    stamp: Stamp | false | null,
    isTimed: boolean,
    owner: FeedOwner,
  ) {
    this.endpoint = endpoint;
    this.#owner = owner;
    this.#stamp = stamp;
    this.#isTimed = isTimed;
    this.#source = this.#newSource();
    try {
      this.link = dial(endpoint, this);
    } catch (error) {
      throw endpointError(endpoint, error);
    }
  }

  #newSource(): StreamSource {
    return {
      endpoint: this.endpoint,
      isNumbered: this.#stamp === null,
      lateness: this.#isTimed && this.#stamp !== false ? new Lateness() : null,
    };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return this.link.close(0);
  }

  // ---------------------------------------------------------------- events of the link

  connected(): void {
    this.#keyRefusals = 0;
    this.#source = this.#newSource();
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

  /** Takes as many of the messages as are complete and as usual; see `LinkEvents.packed`. */
  packed(words: Words, from: number, end: number): number {
    // A function for the time is called for each message.
    if (this.#isClosed || typeof this.#stamp === 'function') return 0;
    const { bytes } = words;
    const { isNumbered, lateness } = this.#source;
    const now = lateness === null ? 0 : monotonicMs();
    let until = 0;
    let count = 0;
    for (let at = from; at < end; at = until) {
      const next = messageEnd(bytes, at, end, RUN_FRAMES_MAX);
      if (next === 0) break;
      if (isNumbered) {
        const header = streamHeaderAt(bytes, at);
        if (header === 0) break;
        lateness?.arrived(now, streamTimeUs(bytes, header) / 1000);
      }
      until = next;
      count++;
    }
    if (count === 0) return 0;
    this.#received(runOf(words, from, until, count, this.#source, this.#isGap));
    return until;
  }

  message(frames: Frames): void {
    if (this.#isClosed) return;
    const source = this.#source;
    if (source.isNumbered && !this.#isNumbered(frames)) return;
    const sentAtMs = this.#sentAtMs(frames);
    if (sentAtMs === undefined) return;
    if (sentAtMs !== null) source.lateness?.arrived(monotonicMs(), sentAtMs);
    this.#received(runOfOne(frames, source, this.#isGap, sentAtMs));
  }

  #received(run: MessageRun): void {
    this.#isGap = false;
    this.#owner.received(run);
  }

  /** Whether the message is one of a `Publisher`; if not, the feed fails. */
  #isNumbered(frames: Frames): boolean {
    if (hasStreamHeader(frames)) return true;
    const text = `a message from ${this.endpoint} has no header of a Publisher: read it with the option stamp`;
    const details = { endpoint: this.endpoint };
    this.#owner.failed(sdkError('ERR_STREAM_HEADER', text, { details }));
    return false;
  }

  /** `null`: that is not known; `undefined`: the function that says it failed. */
  #sentAtMs(frames: Frames): number | null | undefined {
    if (this.#stamp === null) return streamTimeUs(frames.buffer(1), frames.start(1)) / 1000;
    return this.#stamp === false ? null : this.#stamped(frames.copyFrom(0));
  }

  /** `undefined`: the function failed. */
  #stamped(frames: readonly Buffer[]): number | undefined {
    try {
      const sentAtMs: unknown = this.#stamp === false ? NaN : this.#stamp?.(frames);
      if (typeof sentAtMs === 'number' && isWallTime(Math.floor(sentAtMs))) return sentAtMs;
      throw new TypeError(`it returned ${String(sentAtMs)}`);
    } catch (error) {
      const text = `stamp must return the milliseconds of a message: ${messageOf(error)}`;
      const details = { option: 'stamp', endpoint: this.endpoint };
      this.#owner.failed(sdkError('ERR_MDP_OPTION', text, { cause: error, details }));
      return undefined;
    }
  }
}
