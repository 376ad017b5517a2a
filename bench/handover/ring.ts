/**
 * Passes messages from one thread to another through shared memory: a ring of records with one
 * writer and one reader. A record is the peer's number, a size, and packed frames (`core/packed`),
 * so that the reader gets the message as views, like from any transport.
 */
/// <reference lib="es2024.sharedmemory" />
import type { Frames } from '../../src/core/frames.js';
import { pack, packedBytes, PackedCursor, readPacked } from '../../src/core/packed.js';

const HEAD = 0;
const TAIL = 1;
const CONTROL_BYTES = 64;
const RECORD_HEAD_BYTES = 8;
/** A divisor of 2^32, so that positions may wrap. */
const RING_BYTES = 1 << 22;
const SKIP = -1;

export type Receive = (peer: number, frames: Frames) => void;

const aligned = (bytes: number): number => (bytes + 3) & ~3;

function recordBytes(frames: Frames): number {
  return RECORD_HEAD_BYTES + aligned(packedBytes(frames, 0, frames.count));
}

/** @returns the offset after the record */
export function writeRecord(target: Buffer, at: number, peer: number, frames: Frames): number {
  const start = at + RECORD_HEAD_BYTES;
  const end = pack(frames, 0, frames.count, target, start, false);
  target.writeInt32LE(end - start, at);
  target.writeInt32LE(peer, at + 4);
  return start + aligned(end - start);
}

const cursor = new PackedCursor();

/** Passes the record to `receive`, as views. @returns the offset after it */
export function readRecord(bytes: Buffer, at: number, frames: Frames, receive: Receive): number {
  const start = at + RECORD_HEAD_BYTES;
  const end = start + bytes.readInt32LE(at);
  frames.clear();
  for (let frame = start; frame < end; frame = cursor.end) {
    readPacked(bytes, frame, cursor);
    frames.push(bytes, cursor.start, cursor.end);
  }
  receive(bytes.readInt32LE(at + 4), frames);
  return start + aligned(end - start);
}

export function ringMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL_BYTES + RING_BYTES);
}

export class RingWriter {
  readonly #control: Int32Array;
  readonly #bytes: Buffer;
  #head = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#bytes = Buffer.from(memory, CONTROL_BYTES, RING_BYTES);
  }

  /** Waits for the reader if there is no room. */
  write(peer: number, frames: Frames): void {
    const bytes = recordBytes(frames);
    const toEnd = RING_BYTES - this.#at;
    if (bytes > toEnd) {
      this.#reserve(toEnd);
      this.#bytes.writeInt32LE(SKIP, this.#at);
      this.#head = (this.#head + toEnd) | 0;
    }
    this.#reserve(bytes);
    writeRecord(this.#bytes, this.#at, peer, frames);
    this.#head = (this.#head + bytes) | 0;
  }

  /** Makes written records visible to the reader: once per batch. */
  publish(): void {
    Atomics.store(this.#control, HEAD, this.#head);
    Atomics.notify(this.#control, HEAD);
  }

  /** Waits until the reader has read everything. */
  waitUntilRead(): void {
    for (;;) {
      const tail = Atomics.load(this.#control, TAIL);
      if (tail === this.#head) return;
      Atomics.wait(this.#control, TAIL, tail);
    }
  }

  get #at(): number {
    return this.#head & (RING_BYTES - 1);
  }

  #reserve(bytes: number): void {
    for (;;) {
      const tail = Atomics.load(this.#control, TAIL);
      if (RING_BYTES - ((this.#head - tail) | 0) >= bytes) return;
      this.publish();
      Atomics.wait(this.#control, TAIL, tail);
    }
  }
}

export class RingReader {
  readonly #control: Int32Array;
  readonly #bytes: Buffer;
  readonly #frames: Frames;
  #tail = 0;

  constructor(memory: SharedArrayBuffer, frames: Frames) {
    this.#control = new Int32Array(memory, 0, CONTROL_BYTES / 4);
    this.#bytes = Buffer.from(memory, CONTROL_BYTES, RING_BYTES);
    this.#frames = frames;
  }

  /** Reads all available records. */
  read(receive: Receive): void {
    const head = Atomics.load(this.#control, HEAD);
    if (head === this.#tail) return;
    while (this.#tail !== head) {
      const at = this.#tail & (RING_BYTES - 1);
      const next =
        this.#bytes.readInt32LE(at) === SKIP
          ? RING_BYTES
          : readRecord(this.#bytes, at, this.#frames, receive);
      this.#tail = (this.#tail + next - at) | 0;
    }
    Atomics.store(this.#control, TAIL, this.#tail);
    Atomics.notify(this.#control, TAIL);
  }

  /** Resolves when more is available; `null` if it already is. */
  more(): Promise<unknown> | null {
    const waiting = Atomics.waitAsync(this.#control, HEAD, this.#tail);
    return waiting.async ? waiting.value : null;
  }
}
