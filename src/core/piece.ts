/**
 * Memory for one large message. V8 counts such memory and collects its whole heap for it, and the system takes time to
 * give it; so a piece is used again as soon as nobody uses it any more. Its buffer ends then: who looks at that later
 * finds no bytes, and never those of another message.
 */
import { Words } from './bytes.js';

/** Sizes are rounded up by a sixteenth at most, or to pages. */
const STEPS_BITS = 4;
const STEP_BITS_MIN = 12;

/** The free memory of one size. */
interface Free {
  readonly buffers: ArrayBuffer[];
  /** How many of these were not needed since the last `giveBackUnused`. */
  unused: number;
}

const pieces = new WeakMap<Buffer, Piece>();
const freeBySize = new Map<number, Free>();
let freeBytes = 0;
/** Of the process; a broker may have more. */
let freeBytesMax = 32 * 1024 * 1024;

export class Piece {
  readonly words: Words;
  #users = 1;

  /**
   * Makes a piece, whose maker is the first user.
   * @param bytes at least so many
   * @param skipped so many bytes of its memory are before the first one, for the alignment of something in it
   */
  constructor(bytes: number, skipped = 0) {
    const all = take(pieceBytes(bytes + skipped));
    this.words = new Words(skipped === 0 ? all : all.subarray(skipped));
    pieces.set(this.words.bytes, this);
  }

  /** There is one more user, who calls `release`. Who never does leaves the memory to V8. */
  hold(): void {
    this.#users++;
  }

  /** A user has ended. The last one frees the memory. */
  release(): void {
    if (--this.#users === 0) keep(this.words.bytes);
  }
}

/** The piece to which these bytes are all the memory; `undefined`: V8 collects them. */
export function pieceOf(bytes: Buffer): Piece | undefined {
  return pieces.get(bytes);
}

/** The memory of a piece for so many bytes. */
export function pieceBytes(bytes: number): number {
  const step = 2 ** Math.max(STEP_BITS_MIN, 31 - Math.clz32(bytes) - STEPS_BITS);
  return Math.ceil(bytes / step) * step;
}

/** Changes how much free memory is kept at most, in bytes. */
export function keepFree(bytesMax: number): void {
  freeBytesMax = bytesMax;
}

/** Memory of all pieces that are free. */
export function freePieceBytes(): number {
  return freeBytes;
}

function take(size: number): Buffer {
  const free = freeBySize.get(size);
  const buffer = free?.buffers.pop();
  if (free === undefined || buffer === undefined) return Buffer.allocUnsafeSlow(size);
  free.unused = Math.min(free.unused, free.buffers.length);
  freeBytes -= size;
  return Buffer.from(buffer);
}

function keep({ buffer }: Buffer): void {
  if (!(buffer instanceof ArrayBuffer)) return;
  const length = buffer.byteLength;
  if (freeBytes + length > freeBytesMax) {
    buffer.transfer(0);
    return;
  }
  let free = freeBySize.get(length);
  if (free === undefined) freeBySize.set(length, (free = { buffers: [], unused: 0 }));
  free.buffers.push(buffer.transfer());
  freeBytes += length;
}

/** Gives back free memory that was not needed since the call before. */
export function giveBackUnused(): void {
  for (const [size, free] of freeBySize) {
    const { buffers, unused } = free;
    for (const buffer of buffers.splice(0, unused)) buffer.transfer(0);
    freeBytes -= size * unused;
    free.unused = buffers.length;
    if (buffers.length === 0) freeBySize.delete(size);
  }
}
