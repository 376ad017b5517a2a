import { MajordomoError } from './errors.js';

/**
 * The frames of one message, as views into whatever buffers the transport read them into.
 *
 * One instance is reused for every message that a transport hands over: its content is valid only
 * until the handler that was given it returns. What is to be kept is copied (`copy`, `pack`).
 */
export class Frames {
  /** Number of frames; the arrays below may be longer. */
  count = 0;
  /**
   * The frames lie one behind the other in one buffer, heads included, as `core/packed` would lay
   * them out: what is kept of them or sent on is then one copy. Said by whoever read them so.
   */
  isPacked = false;
  /** Their bytes never change: whoever keeps the buffers needs no copy. */
  isLasting = false;
  readonly buffers: Buffer[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];

  /** A message of its own, for tests and for replies that are made here. */
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
    // It is the same one most of the time, and storing a reference costs a write barrier.
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

  /** 0 for a frame that is not there, as `end` and `size`: never what an earlier message left. */
  start(index: number): number {
    return index < this.count ? (this.starts[index] ?? 0) : 0;
  }

  end(index: number): number {
    return index < this.count ? (this.ends[index] ?? 0) : 0;
  }

  /** Bytes in a frame. */
  size(index: number): number {
    return this.end(index) - this.start(index);
  }

  /** The frame as a view: valid as long as this message is. */
  view(index: number): Buffer {
    return this.buffer(index).subarray(this.start(index), this.end(index));
  }

  /** The frame as a buffer of its own. */
  copy(index: number): Buffer {
    return Buffer.from(this.view(index));
  }

  /** Every frame from `from` on, each as a buffer of its own. */
  copyFrom(from: number): Buffer[] {
    const frames: Buffer[] = [];
    for (let index = from; index < this.count; index++) frames.push(this.copy(index));
    return frames;
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
