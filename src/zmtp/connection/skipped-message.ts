/** A message over the limits (D100): its bytes are counted as they arrive, and only its head is kept. */
import { Frames } from '../../core/frames.js';

/** What is kept of its first frames, so that its sender can be answered. */
const HEAD_BYTES_MAX = 4096;
/** A message over so many times a limit ends its connection. */
const LIMITS_MAX = 64;
const NOTHING: Buffer = Buffer.alloc(0);

export interface MessageLimits {
  /** Most bytes of a message, all its frames together. */
  readonly messageBytesMax: number;
  readonly framesMax: number;
}

export class SkippedMessage {
  /**
   * Frames of the message up to the one that is over the limit; those that do not end in the first 4 KiB, and that
   * one, are empty.
   */
  readonly head: Frames = new Frames();
  /** Bytes of the present frame that have not arrived. */
  left = 0;
  /** Whether another frame follows the present one. */
  more = true;
  readonly headBytes: number;
  readonly #limits: MessageLimits;
  #bytes = 0;
  #frames: number;

  /** @param begun the frames before the one that is over the limit; they are copied */
  constructor(begun: Frames, limits: MessageLimits) {
    this.#limits = limits;
    this.#frames = begun.count;
    for (let index = 0; index < begun.count; index++) {
      this.#bytes += begun.size(index);
      if (this.#bytes > HEAD_BYTES_MAX) this.head.push(NOTHING, 0, 0);
      else this.head.push(begun.buffer(index), begun.start(index), begun.end(index));
    }
    this.headBytes = this.head.own(0);
    this.head.push(NOTHING, 0, 0);
  }

  /**
   * The head of its next frame was read.
   * @param bytes its size
   * @param more whether another one follows, as far as that is known
   * @param left what has not arrived of it
   */
  begin(bytes: number, more: boolean, left = bytes): void {
    this.left = left;
    this.more = more;
    this.#bytes += bytes;
    this.#frames++;
  }

  /** Whether the message is too long even to be skipped. */
  get isEndless(): boolean {
    const { messageBytesMax, framesMax } = this.#limits;
    return this.#bytes > messageBytesMax * LIMITS_MAX || this.#frames > framesMax * LIMITS_MAX;
  }

  /** What is wrong with it, with both sizes. */
  get reason(): string {
    const { messageBytesMax, framesMax } = this.#limits;
    return this.#bytes > messageBytesMax
      ? `a message of ${this.#bytes} bytes, at most ${messageBytesMax} are allowed`
      : `a message of ${this.#frames} frames, at most ${framesMax} are allowed`;
  }
}
