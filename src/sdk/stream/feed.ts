/** A subscriber's connection to one publisher: what arrives there, with its gaps and its lateness. */
import { monotonicMs } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { Frames } from '../../core/frames.js';
import { Lateness } from '../../stream/lateness.js';
import type { Dial, Link, LinkEvents } from '../../transport/port.js';
import { hasStreamHeader } from '../../wire/stream.js';
import { sdkError } from '../errors.js';
import { endpointError } from '../links.js';
import { ReceivedStreamMessage } from './stream-message.js';

/** Reads the time of a message of a publisher that is not ours, in milliseconds of its clock. */
export type Stamp = (frames: readonly Buffer[]) => number;

export interface FeedOwner {
  connected(feed: Feed): void;
  disconnected(feed: Feed): void;
  received(message: ReceivedStreamMessage): void;
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
  /** `null`: it is not measured. */
  #lateness: Lateness | null = null;
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
    this.#lateness = this.#isTimed ? new Lateness() : null;
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
    const isFit = this.#stamp === null ? this.#isNumbered(frames) : true;
    const stamp = this.#stamp === null ? null : this.#foreignStamp(frames);
    if (!isFit || stamp === undefined) return;
    const facts = {
      endpoint: this.endpoint,
      afterGap: this.#isGap,
      stamp,
      lateness: stamp?.sentAtMs === null ? null : this.#lateness,
    };
    const message = new ReceivedStreamMessage(frames, facts);
    this.#isGap = false;
    this.#lateness?.arrived(monotonicMs(), message.sentAtMs ?? 0);
    this.#owner.received(message);
  }

  /** It is a message of a `Publisher`. */
  #isNumbered(frames: Frames): boolean {
    if (hasStreamHeader(frames)) return true;
    const text = `a message from ${this.endpoint} has no header of a Publisher: read it with the option stamp`;
    const details = { endpoint: this.endpoint };
    this.#owner.failed(sdkError('ERR_STREAM_HEADER', text, { details }));
    return false;
  }

  /** When a message of another program was published; `undefined`: the function that says it failed. */
  #foreignStamp(frames: Frames): { readonly sentAtMs: number | null } | undefined {
    if (this.#stamp === false) return NO_TIME;
    const sentAtMs = this.#stamped(frames.copyFrom(0));
    return sentAtMs === undefined ? undefined : { sentAtMs };
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

const NO_TIME = { sentAtMs: null };
