/** The messages of a publisher: `topic, header, body+`, numbered and stamped (D42). */
import { copyBytes, type Words } from '../core/bytes.js';
import { Frames } from '../core/frames.js';
import {
  PUBLISHER_ID_BYTES,
  restampStreamHeader,
  STREAM_HEADER_BYTES,
  writeStreamHeader,
} from '../wire/stream.js';

/** An array that is emptied has to grow again for the next message. */
const BUFFERS_RETAINED = 3;

/** Where they go. */
interface Publishing {
  /** @param frames valid during the call */
  publish(frames: Frames): void;
  /** @param message packed: the first `size` bytes, valid during the call */
  publishPacked(message: Words, size: number): void;
}

export class NumberedStream {
  readonly #to: Publishing;
  readonly #publisher: Buffer;
  readonly #header: Buffer = Buffer.alloc(STREAM_HEADER_BYTES);
  readonly #frames = new Frames();
  /** The number of the latest message; 0: none. */
  number = 0;

  /** @param publisher its id: 8 random bytes, new at each start */
  constructor(to: Publishing, publisher: Buffer) {
    this.#to = to;
    this.#publisher = publisher.subarray(0, PUBLISHER_ID_BYTES);
    writeStreamHeader(this.#header, this.#publisher, 0, 0);
  }

  /** The publisher's id, in hexadecimal. */
  get publisher(): string {
    return this.#publisher.toString('hex');
  }

  /** Takes a number for a message that nobody subscribed to. */
  skip(): void {
    this.number++;
  }

  /**
   * Publishes a message that is packed already, but for its header.
   * @param headerAt where that is
   */
  publishPacked(message: Words, headerAt: number, size: number, nowUs: number): void {
    const header = this.#header;
    restampStreamHeader(header, ++this.number, Math.round(nowUs));
    copyBytes(header, 0, STREAM_HEADER_BYTES, message.bytes, headerAt);
    this.#to.publishPacked(message, size);
  }

  /**
   * Publishes a message.
   * @param body at least one frame
   * @param nowUs microseconds since 1970, by a clock that never steps
   */
  publish(topic: Buffer, body: readonly Buffer[], nowUs: number): void {
    restampStreamHeader(this.#header, ++this.number, Math.round(nowUs));
    const frames = this.#frames;
    frames.clear();
    frames.push(topic, 0, topic.length);
    frames.push(this.#header, 0, STREAM_HEADER_BYTES);
    for (const frame of body) frames.push(frame, 0, frame.length);
    this.#to.publish(frames);
    // The views must not keep the body in memory.
    if (frames.count > BUFFERS_RETAINED) frames.buffers.length = BUFFERS_RETAINED;
    frames.buffers.fill(this.#header);
  }
}
