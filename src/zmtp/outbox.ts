import { PackedCursor, readPacked } from '../core/packed.js';

/** Overhead of a queued frame: it also bounds the number of empty frames. */
const FRAME_COST_BYTES = 96;
/** A request has these at most, unless its body is of many. */
const FEW_FRAMES = 16;
/** The queue moves to the front of its array when this many entries before it are free. */
const COMPACT_FROM = 1024;

/**
 * The output that waits for one connection: whole messages, bounded in bytes.
 *
 * Above the bound it is *full*: it drops the message that did not fit and all that follow until the
 * queue is empty and `reopen` is called.
 */
export class Outbox {
  readonly #prefix: readonly Buffer[];
  readonly #bytesMax: number;
  readonly #cursor = new PackedCursor();
  readonly #queue: Buffer[][] = [];
  #head = 0;
  #bytes = 0;
  #building: Buffer[] | undefined;
  #buildingBytes = 0;
  #full = false;
  /** A frame of the message being written was dropped, so the rest is dropped, too. */
  #spoilt = false;

  /** @param prefix frames that precede those of every message; not counted */
  constructor(prefix: readonly Buffer[], bytesMax: number) {
    this.#prefix = prefix;
    this.#bytesMax = bytesMax;
  }

  get full(): boolean {
    return this.#full;
  }

  /** Size of the complete messages, including the overhead of their frames. */
  get bytes(): number {
    return this.#bytes;
  }

  /** No complete message waits. */
  get empty(): boolean {
    return this.#head === this.#queue.length;
  }

  /** Whether a message of so many bytes, in a few frames, would be kept. */
  hasRoom(bytes: number): boolean {
    const bytesMax = bytes + FEW_FRAMES * FRAME_COST_BYTES;
    return !this.#full && this.#bytes + bytesMax <= this.#bytesMax;
  }

  /**
   * Adds a copy of a frame.
   * @returns false if it was dropped
   */
  write(bytes: Uint8Array, start: number, end: number, more: boolean): boolean {
    this.#building ??= [...this.#prefix];
    this.#buildingBytes += end - start + FRAME_COST_BYTES;
    // The rest of a spoilt message must not fill an outbox that has been reopened since.
    if (!this.#spoilt && this.#bytes + this.#buildingBytes > this.#bytesMax) this.#full = true;
    if (this.#full) this.#spoilt = true;
    const wasAdded = !this.#spoilt;
    if (wasAdded) this.#building.push(Buffer.from(bytes.subarray(start, end)));
    if (!more) this.#finish();
    return wasAdded;
  }

  /** @returns false if any of it was dropped */
  writePacked(packed: Buffer, start: number, end: number): boolean {
    let wasAdded = true;
    for (let at = start; at < end; at = this.#cursor.end) {
      readPacked(packed, at, this.#cursor);
      wasAdded =
        this.write(packed, this.#cursor.start, this.#cursor.end, this.#cursor.more) && wasAdded;
    }
    return wasAdded;
  }

  /** The oldest message waiting. */
  peek(): Buffer[] | undefined {
    return this.#queue[this.#head];
  }

  /** Removes the oldest message. */
  shift(): void {
    const message = this.#queue[this.#head];
    if (message === undefined) return;
    for (let index = this.#prefix.length; index < message.length; index++) {
      this.#bytes -= (message[index]?.length ?? 0) + FRAME_COST_BYTES;
    }
    this.#queue[this.#head++] = [];
    if (this.empty) {
      this.#queue.length = 0;
      this.#head = 0;
    } else if (this.#head >= COMPACT_FROM && this.#head * 2 >= this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
  }

  #finish(): void {
    if (!this.#spoilt && this.#building !== undefined) {
      this.#queue.push(this.#building);
      this.#bytes += this.#buildingBytes;
    }
    this.#building = undefined;
    this.#buildingBytes = 0;
    this.#spoilt = false;
  }

  /** After `full`: accepts messages again, beginning with the next one. */
  reopen(): void {
    this.#full = false;
  }

  /** Drops everything that waits. */
  clear(): void {
    this.#queue.length = 0;
    this.#head = 0;
    this.#bytes = 0;
    this.#building = undefined;
    this.#buildingBytes = 0;
    this.#spoilt = false;
  }
}
