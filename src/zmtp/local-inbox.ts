import { copyBytes } from '../core/bytes.js';
import { Frames } from '../core/frames.js';
import { packedFrameBytes, PackedCursor, putFrameHead, readPacked } from '../core/packed.js';
import type { Piece } from '../core/piece.js';

const EMPTY: Buffer = Buffer.alloc(0);

/** Overhead of a buffer and of its view. */
const BUFFER_COST_BYTES = 256;
const BUFFER_BYTES_MIN = 512;

/**
 * Messages that wait for a peer in this process, packed one after the other: a frame costs two bytes beside its
 * own.
 */
export class LocalInbox {
  /** Bytes that are here do not change: what comes is added behind them, or to a copy. */
  #buffer: Buffer = EMPTY;
  #from = 0;
  #to = 0;
  /** Frames that stay where they are: an empty one, which begins at `at`, stands for each among the others. */
  readonly #shared: {
    at: number;
    readonly piece: Piece;
    readonly start: number;
    readonly end: number;
  }[] = [];
  #sharedBytes = 0;
  #sharedRoomBytes = 0;
  #taken = new Frames();

  get bytes(): number {
    return this.#to - this.#from + this.#sharedBytes;
  }

  /** Memory of the waiting bytes. */
  get roomBytes(): number {
    if (this.#buffer.length === 0) return 0;
    return this.#buffer.length + BUFFER_COST_BYTES + this.#sharedRoomBytes;
  }

  /** Adds a copy of the next frame of the message that is being written. */
  add(bytes: Uint8Array, start: number, end: number, more: boolean): void {
    const at = this.#reserve(packedFrameBytes(end - start));
    copyBytes(bytes, start, end, this.#buffer, putFrameHead(this.#buffer, at, end - start, more));
  }

  /**
   * Like `add`, without a copy.
   * @param piece where the frame is; it does not change. Who takes the frame releases it, or leaves it to V8.
   */
  share(piece: Piece, start: number, end: number, more: boolean): void {
    const at = this.#reserve(packedFrameBytes(0));
    putFrameHead(this.#buffer, at, 0, more);
    piece.hold();
    this.#shared.push({ at, piece, start, end });
    this.#countShared(end - start, piece);
  }

  #countShared(bytes: number, { words }: Piece): void {
    this.#sharedBytes += bytes;
    this.#sharedRoomBytes += bytes < 0 ? -words.bytes.length : words.bytes.length;
  }

  /** Like `add`, for frames that are packed. */
  addPacked(packed: Buffer, start: number, end: number): void {
    const at = this.#reserve(end - start);
    copyBytes(packed, start, end, this.#buffer, at);
  }

  /**
   * Takes the first message, whose frames are valid until the next one is taken; their bytes do not change. Never
   * called while a message is being written.
   */
  take(): Frames | null {
    if (this.bytes === 0) return null;
    const frames = this.#taken;
    frames.clear();
    const cursor = new PackedCursor();
    cursor.end = this.#from;
    do {
      const [shared] = this.#shared;
      const isShared = shared?.at === cursor.end;
      readPacked(this.#buffer, cursor.end, cursor);
      if (isShared) {
        const { piece, start, end } = shared;
        this.#shared.shift();
        this.#countShared(start - end, piece);
        frames.push(piece.words.bytes, start, end);
      } else {
        frames.push(this.#buffer, cursor.start, cursor.end);
      }
    } while (cursor.more);
    this.#from = cursor.end;
    if (this.bytes === 0) this.#empty();
    return frames;
  }

  /** Forgets all messages. */
  clear(): void {
    for (const { piece } of this.#shared.splice(0)) piece.release();
    this.#sharedBytes = 0;
    this.#sharedRoomBytes = 0;
    this.#empty();
    this.#taken = new Frames();
  }

  #empty(): void {
    this.#buffer = EMPTY;
    this.#from = 0;
    this.#to = 0;
  }

  /** @returns where the next `bytes` bytes go */
  #reserve(bytes: number): number {
    if (this.#to + bytes > this.#buffer.length) this.#grow(bytes);
    const at = this.#to;
    this.#to += bytes;
    return at;
  }

  #grow(bytes: number): void {
    const waiting = this.#to - this.#from;
    const larger = Math.max(waiting + bytes, 2 * waiting, BUFFER_BYTES_MIN);
    const grown = Buffer.allocUnsafe(larger);
    this.#buffer.copy(grown, 0, this.#from, this.#to);
    for (const shared of this.#shared) shared.at -= this.#from;
    this.#buffer = grown;
    this.#from = 0;
    this.#to = waiting;
  }
}
