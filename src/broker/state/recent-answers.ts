/** The last answers that were sent to a client, until it is likely that they have arrived (D116). */
import { copyBytes, Words } from '../../core/bytes.js';
import { Frames } from '../../core/frames.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { pack, PackedCursor, packedBytes, readPacked, unpack } from '../../core/packed.js';
import { EMPTY } from '../../wire/mdp.js';
import type { Dialect } from '../../wire/dialect.js';
import type { ReturnPath } from '../../wire/outbound.js';

/** A kept answer begins with these integers, and fills a whole number of them. Where they are: */
const BYTES = 0;
/** The bytes that are used, without those that fill the last integer. */
const USED = 1;
const TIME = 2;
const ENVELOPE = 3;
/** The length of the name, the dialect, whether it is enveloped, and whether it was sent, a byte each. */
const FORM = 4;
const HEAD_BYTES = 20;
const INT_BITS = 2;
const ENVELOPED = 1 << 16;
const SENT = 1 << 24;

const NO_INTS = new Int32Array(0);
const RING_BYTES_MIN = 1024;
const RING_BYTES_MAX = 256 * 1024;
const ANSWERS_MAX = 1024;
/** A larger answer is not copied while its client is connected: the copy would cost as much as sending it. */
const ANSWER_BYTES_MAX = 64 * 1024;

/** An answer for a client: what is sent, and the way back to it. */
export interface Answer {
  readonly path: ReturnPath;
  readonly name: Buffer;
  /** The body, from `from` on. */
  readonly frames: Frames;
  readonly from: number;
}

/** Bytes that a kept answer uses. */
function usedBy(path: ReturnPath, name: Buffer, frames: Frames, from: number): number {
  const envelopeBytes = path.envelopeEnd - path.envelopeStart;
  return HEAD_BYTES + envelopeBytes + name.length + packedBytes(frames, from, frames.count);
}

function write(
  used: number,
  path: ReturnPath,
  name: Buffer,
  frames: Frames,
  from: number,
  bytes: Buffer,
  ints: Int32Array,
  at: number,
  now: number,
): void {
  const { envelope, envelopeStart, envelopeEnd, dialect, enveloped } = path;
  const head = at >>> INT_BITS;
  const { length } = name;
  ints[head + BYTES] = whole(used);
  ints[head + USED] = used;
  ints[head + TIME] = now | 0;
  ints[head + ENVELOPE] = envelopeEnd - envelopeStart;
  ints[head + FORM] = length | (dialect << 8) | (enveloped ? ENVELOPED : 0);
  const nameAt = at + HEAD_BYTES + envelopeEnd - envelopeStart;
  copyBytes(envelope.bytes, envelopeStart, envelopeEnd, bytes, at + HEAD_BYTES);
  copyBytes(name, 0, length, bytes, nameAt);
  pack(frames, from, frames.count, bytes, nameAt + length, false);
}

/** Rounded up to whole integers. */
function whole(bytes: number): number {
  return (bytes + 3) & ~3;
}

/** The integers of a buffer, which begins at one. */
function intsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> INT_BITS);
}

/** A copy of an answer that outlives its frames. */
export function keptAnswer({ path, name, frames, from }: Answer): Buffer {
  const used = usedBy(path, name, frames, from);
  const kept = Buffer.allocUnsafeSlow(whole(used));
  write(used, path, name, frames, from, kept, intsOf(kept), 0, 0);
  return kept;
}

/** A copy of an answer that was sent once. */
export function sentOnce(kept: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(kept.length);
  kept.copy(copy);
  intsOf(copy)[FORM] = (intsOf(copy)[FORM] ?? 0) | SENT;
  return copy;
}

export function wasSent(kept: Buffer): boolean {
  return ((intsOf(kept)[FORM] ?? 0) & SENT) !== 0;
}

/** Reads a kept answer, whose bytes the result refers to. */
export function readAnswer(kept: Buffer): Answer {
  const [, used = 0, , envelopeBytes = 0, form = 0] = intsOf(kept);
  const envelopeEnd = HEAD_BYTES + envelopeBytes;
  const nameEnd = envelopeEnd + (form & 0xff);
  const frames = new Frames();
  unpack(kept, nameEnd, used, frames);
  frames.isLasting = true;
  const path = {
    dialect: ((form >>> 8) & 0xff) as Dialect,
    enveloped: (form & ENVELOPED) !== 0,
    envelope: new Words(kept),
    envelopeStart: HEAD_BYTES,
    envelopeEnd,
  };
  return { path, name: kept.subarray(envelopeEnd, nameEnd), frames, from: 0 };
}

/** The id of the request that a kept answer is for, one character per byte: the last frame of its envelope. */
export function idOfAnswer(kept: Buffer): string {
  const envelopeBytes = intsOf(kept)[ENVELOPE] ?? 0;
  return lastFrame(kept, HEAD_BYTES, HEAD_BYTES + envelopeBytes);
}

/** The last of the packed frames `[start, end)`, one character per byte. */
function lastFrame(bytes: Buffer, start: number, end: number): string {
  const cursor = new PackedCursor();
  for (cursor.end = start; cursor.end < end;) readPacked(bytes, cursor.end, cursor);
  return bytes.toString('latin1', cursor.start, cursor.end);
}

export class RecentAnswers {
  readonly #memory: MemoryAccount;
  #ring: Buffer = EMPTY;
  #ints: Int32Array = NO_INTS;
  /** The answers are at `[from, to)`, the oldest first. */
  #from = 0;
  #to = 0;
  #count = 0;

  /** @param memory what its bytes count in */
  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  get count(): number {
    return this.#count;
  }

  /** Keeps a copy of an answer, as long as there is room; the oldest go first. @param now monotonic milliseconds */
  keep(path: ReturnPath, name: Buffer, frames: Frames, from: number, now: number): void {
    const used = usedBy(path, name, frames, from);
    if (used > ANSWER_BYTES_MAX) return;
    if (this.#count >= ANSWERS_MAX) this.#drop();
    const bytes = whole(used);
    if (this.#to + bytes > this.#ring.length && !this.#makeRoom(bytes)) return;
    write(used, path, name, frames, from, this.#ring, this.#ints, this.#to, now);
    this.#to += bytes;
    this.#count++;
  }

  /** How many milliseconds ago the oldest was sent; -1: there is none. */
  ageOfOldest(now: number): number {
    if (this.#count === 0) return -1;
    return (now | 0) - (this.#ints[(this.#from >>> INT_BITS) + TIME] ?? 0);
  }

  /** Drops those that were sent at least so many milliseconds ago. */
  dropOlder(ageMs: number, now: number): void {
    while (this.#count > 0 && this.ageOfOldest(now) >= ageMs) this.#drop();
  }

  /** Frees the memory, if nothing is kept. */
  shrink(): void {
    if (this.#count > 0 || this.#ring.length === 0) return;
    this.#memory.add('requests', -this.#ring.length);
    this.#ring = EMPTY;
    this.#ints = NO_INTS;
    this.#from = 0;
    this.#to = 0;
  }

  clear(): void {
    this.#count = 0;
    this.shrink();
  }

  /** The answers, the oldest first, as views that are valid until the next call. */
  *all(): Generator<Buffer, undefined> {
    for (let at = this.#from; at < this.#to;) {
      const bytes = this.#ints[at >>> INT_BITS] ?? 0;
      yield this.#ring.subarray(at, at + bytes);
      at += bytes;
    }
  }

  #drop(): void {
    this.#from += this.#ints[(this.#from >>> INT_BITS) + BYTES] ?? 0;
    this.#count--;
    if (this.#count === 0) {
      this.#from = 0;
      this.#to = 0;
    }
  }

  /** Makes room behind the last answer. */
  #makeRoom(bytes: number): boolean {
    while (this.#to + bytes > this.#ring.length) {
      const used = this.#to - this.#from;
      // Moving less than half for at least half that was written: each byte is moved about once.
      const isWorthMoving = this.#from >= this.#ring.length / 2;
      if (isWorthMoving && used + bytes <= this.#ring.length) {
        this.#ring.copyWithin(0, this.#from, this.#to);
        this.#from = 0;
        this.#to = used;
      } else if (!this.#grow(used + bytes)) {
        if (this.#count === 0) return false;
        this.#drop();
      }
    }
    return true;
  }

  #grow(needed: number): boolean {
    let size = Math.max(RING_BYTES_MIN, this.#ring.length);
    while (size < needed || size === this.#ring.length) size *= 2;
    const more = size - this.#ring.length;
    if (size > RING_BYTES_MAX || !this.#memory.mayHold(more)) return false;
    const ring = Buffer.allocUnsafeSlow(size);
    this.#ring.copy(ring, 0, this.#from, this.#to);
    this.#memory.add('requests', more);
    this.#ring = ring;
    this.#ints = intsOf(ring);
    this.#to -= this.#from;
    this.#from = 0;
    return true;
  }
}
