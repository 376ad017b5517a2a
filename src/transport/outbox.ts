import { PackedCursor, readPacked } from '../core/packed.js';

/** What a queued frame costs beside its bytes: empty frames are bounded, too. */
const FRAME_COST_BYTES = 96;
/** From how many spent places on the queue is moved to the front of its array. */
const COMPACT_FROM = 1024;

/**
 * The output that waits for one connection: whole messages, bounded in bytes.
 *
 * Over the bound it is *full*: from the message on that did not fit everything is thrown away until
 * the queue has run empty and `reopen` was called.
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
  /** A frame of the message that is being written was thrown away: so is the rest of it. */
  #spoilt = false;

  /** @param prefix frames that stand before those of every message, not counted */
  constructor(prefix: readonly Buffer[], bytesMax: number) {
    this.#prefix = prefix;
    this.#bytesMax = bytesMax;
  }

  get full(): boolean {
    return this.#full;
  }

  /** Of complete messages, with what frames cost beside. */
  get bytes(): number {
    return this.#bytes;
  }

  /** No complete message waits. */
  get empty(): boolean {
    return this.#head === this.#queue.length;
  }

  /**
   * Adds a frame, copying it.
   * @returns false if it was thrown away
   */
  write(bytes: Uint8Array, start: number, end: number, more: boolean): boolean {
    this.#building ??= [...this.#prefix];
    this.#buildingBytes += end - start + FRAME_COST_BYTES;
    // The rest of a message that was spoilt must not fill a box that was reopened since.
    if (!this.#spoilt && this.#bytes + this.#buildingBytes > this.#bytesMax) this.#full = true;
    if (this.#full) this.#spoilt = true;
    const kept = !this.#spoilt;
    if (kept) this.#building.push(Buffer.from(bytes.subarray(start, end)));
    if (!more) this.#finish();
    return kept;
  }

  /** @returns false if anything of it was thrown away */
  writePacked(packed: Buffer, start: number, end: number): boolean {
    let kept = true;
    for (let at = start; at < end; at = this.#cursor.end) {
      readPacked(packed, at, this.#cursor);
      kept = this.write(packed, this.#cursor.start, this.#cursor.end, this.#cursor.more) && kept;
    }
    return kept;
  }

  /** The oldest message that waits. */
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

  /** After `full`: takes messages again, from the next one that begins. */
  reopen(): void {
    this.#full = false;
  }

  /** Throws everything away that waits. */
  clear(): void {
    this.#queue.length = 0;
    this.#head = 0;
    this.#bytes = 0;
    this.#building = undefined;
    this.#buildingBytes = 0;
    this.#spoilt = false;
  }
}
