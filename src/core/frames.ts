import { copyBytes, freeBytes } from './bytes.js';
import { MajordomoError } from './errors.js';
import { pieceOf } from './piece.js';

const NO_ROOM: Buffer = Buffer.alloc(0);
/** A frame keeps the whole memory that it is in: it has to fill at least this part of that. */
const KEPT_SHARE = 7 / 8;

/**
 * The frames of one message, as views into the buffers that the transport read.
 *
 * A transport reuses one instance for all messages: its content is valid only until the handler
 * returns. Copy what is to be kept (`copy`, `pack`).
 */
export class Frames {
  /** Number of frames; the arrays below may be longer. */
  count = 0;
  /**
   * The frames are adjacent in one buffer, heads included, in the layout of `core/packed`, so they
   * can be kept or forwarded with one copy. Set by the code that read them.
   */
  isPacked = false;
  /** The bytes never change: a component may keep the buffers without copying. */
  isLasting = false;
  readonly buffers: Buffer[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  /** Makes a message, for tests and for replies made in this process. */
  static of(...frames: readonly (Uint8Array | string)[]): Frames {
    const made = new Frames();
    for (const frame of frames) {
      const bytes =
        typeof frame === 'string'
          ? Buffer.from(frame, 'utf8')
          : Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
      made.push(bytes, 0, bytes.length);
    }
    return made;
  }

  clear(): void {
    this.count = 0;
    this.isPacked = false;
    this.isLasting = false;
  }

  /** Adds the bytes `[start, end)` of `buffer` as the next frame. */
  push(buffer: Buffer, start: number, end: number): void {
    const index = this.count++;
    // Usually the same buffer is there already, and storing a reference costs a write barrier.
    if (this.buffers[index] !== buffer) this.buffers[index] = buffer;
    this.starts[index] = start;
    this.ends[index] = end;
  }

  buffer(index: number): Buffer {
    const found = this.buffers[index];
    if (found === undefined || index >= this.count) {
      throw new MajordomoError('ERR_INTERNAL', `no frame ${String(index)}`);
    }
    return found;
  }

  /** 0 for a missing frame, like `end` and `size`: never a value from an earlier message. */
  start(index: number): number {
    return index < this.count ? (this.starts[index] ?? 0) : 0;
  }

  end(index: number): number {
    return index < this.count ? (this.ends[index] ?? 0) : 0;
  }

  /** Size of a frame in bytes. */
  size(index: number): number {
    return this.end(index) - this.start(index);
  }

  /** The frame as a view, valid as long as this message. */
  view(index: number): Buffer {
    return this.buffer(index).subarray(this.start(index), this.end(index));
  }

  /** A copy of the frame. */
  copy(index: number): Buffer {
    return Buffer.from(this.view(index));
  }

  /** Copies of all frames from `from` on. */
  copyFrom(from: number): Buffer[] {
    const frames: Buffer[] = [];
    for (let index = from; index < this.count; index++) frames.push(this.copy(index));
    return frames;
  }

  /**
   * All frames from `from` on, for somebody who owns them from now on: copies, but of a large frame that fills the
   * memory of its own message, which nobody uses again then.
   */
  keepFrom(from: number): Buffer[] {
    const frames: Buffer[] = [];
    for (let index = from; index < this.count; index++) {
      if (this.isLasting && this.#staysIn(this.buffer(index), index)) frames.push(this.view(index));
      else frames.push(this.copy(index));
    }
    return frames;
  }

  #staysIn(bytes: Buffer, index: number): boolean {
    if (this.size(index) < KEPT_SHARE * bytes.buffer.byteLength) return false;
    const piece = pieceOf(bytes);
    // (It is never released, so V8 collects it.)
    piece?.hold();
    return piece !== undefined;
  }

  /**
   * Copies the frames from `from` on behind those before them, which an earlier call has copied, so that all
   * are in one buffer of this message alone: many small buffers would take several times their bytes.
   * @returns the memory of that buffer, in bytes
   */
  own(from: number): number {
    const used = from === 0 ? 0 : this.end(from - 1);
    let needed = used;
    for (let index = from; index < this.count; index++) needed += this.size(index);
    const before = from === 0 ? NO_ROOM : this.buffer(0);
    let room = before;
    if (needed > room.length) {
      room = Buffer.allocUnsafeSlow(Math.max(needed, before.length * 2));
      before.copy(room, 0, 0, used);
      this.buffers.fill(room, 0, from);
      if (before !== NO_ROOM) freeBytes(before);
    }
    for (let index = from, at = used; index < this.count; index++) {
      const end = at + this.size(index);
      copyBytes(this.buffer(index), this.start(index), this.end(index), room, at);
      this.buffers[index] = room;
      this.starts[index] = at;
      this.ends[index] = end;
      at = end;
    }
    return room.length;
  }

  /** Whether this is what a socket with ZMQ_PROBE_ROUTER begins with, one empty frame: it means nothing (D113). */
  get isProbe(): boolean {
    return this.count === 1 && this.size(0) === 0;
  }

  equals(index: number, bytes: Uint8Array): boolean {
    const start = this.start(index);
    const length = bytes.length;
    if (index >= this.count || this.end(index) - start !== length) return false;
    const buffer = this.buffer(index);
    for (let i = 0; i < length; i++) if (buffer[start + i] !== bytes[i]) return false;
    return true;
  }
}
