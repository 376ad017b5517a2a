/** The last answers that were sent to a client, until it is likely that they have arrived (D116). */
import { copyBytes, Words } from '../../core/bytes.js';
import { Frames } from '../../core/frames.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { pack, PackedCursor, packedBytes, readPacked, unpack } from '../../core/packed.js';
import { EMPTY } from '../../wire/mdp.js';
import type { Dialect } from '../../wire/dialect.js';
import type { ReturnPath } from '../../wire/outbound.js';

/** An answer begins with `size, time, length of the envelope` (32 bits each), `length of the name, dialect, enveloped, sent`. */
const TIME_AT = 4;
const ENVELOPE_AT = 8;
const NAME_AT = 12;
const DIALECT_AT = 13;
const ENVELOPED_AT = 14;
const SENT_AT = 15;
const HEAD_BYTES = 16;

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

/** Bytes that a kept answer takes. */
function bytesOf({ path, name, frames, from }: Answer): number {
  const envelopeBytes = path.envelopeEnd - path.envelopeStart;
  return HEAD_BYTES + envelopeBytes + name.length + packedBytes(frames, from, frames.count);
}

function write(answer: Answer, bytes: number, at: number, to: Buffer, now: number): void {
  const { path, name, frames, from } = answer;
  const { envelope, envelopeStart, envelopeEnd } = path;
  to.writeUInt32LE(bytes, at);
  to.writeInt32LE(now | 0, at + TIME_AT);
  to.writeUInt32LE(envelopeEnd - envelopeStart, at + ENVELOPE_AT);
  to[at + NAME_AT] = name.length;
  to[at + DIALECT_AT] = path.dialect;
  to[at + ENVELOPED_AT] = path.enveloped ? 1 : 0;
  to[at + SENT_AT] = 0;
  let next = at + HEAD_BYTES;
  copyBytes(envelope.bytes, envelopeStart, envelopeEnd, to, next);
  next += envelopeEnd - envelopeStart;
  copyBytes(name, 0, name.length, to, next);
  pack(frames, from, frames.count, to, next + name.length, false);
}

/** A copy of an answer that outlives its frames. */
export function keptAnswer(answer: Answer): Buffer {
  const bytes = bytesOf(answer);
  const kept = Buffer.allocUnsafeSlow(bytes);
  write(answer, bytes, 0, kept, 0);
  return kept;
}

/** A copy of an answer that was sent once. */
export function sentOnce(kept: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(kept.length);
  kept.copy(copy);
  copy[SENT_AT] = 1;
  return copy;
}

export function wasSent(kept: Buffer): boolean {
  return kept[SENT_AT] === 1;
}

/** Reads a kept answer, whose bytes the result refers to. */
export function readAnswer(kept: Buffer): Answer {
  const envelopeEnd = HEAD_BYTES + kept.readUInt32LE(ENVELOPE_AT);
  const nameEnd = envelopeEnd + (kept[NAME_AT] ?? 0);
  const frames = new Frames();
  unpack(kept, nameEnd, kept.length, frames);
  frames.isLasting = true;
  const path = {
    dialect: kept[DIALECT_AT] as Dialect,
    enveloped: kept[ENVELOPED_AT] === 1,
    envelope: new Words(kept),
    envelopeStart: HEAD_BYTES,
    envelopeEnd,
  };
  return { path, name: kept.subarray(envelopeEnd, nameEnd), frames, from: 0 };
}

/** The id of the request that a kept answer is for, one character per byte: the last frame of its envelope. */
export function idOfAnswer(kept: Buffer): string {
  const end = HEAD_BYTES + kept.readUInt32LE(ENVELOPE_AT);
  return lastFrame(kept, HEAD_BYTES, end);
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
  keep(answer: Answer, now: number): void {
    const bytes = bytesOf(answer);
    if (bytes > ANSWER_BYTES_MAX) return;
    if (this.#count >= ANSWERS_MAX) this.#drop();
    if (!this.#makeRoom(bytes)) return;
    write(answer, bytes, this.#to, this.#ring, now);
    this.#to += bytes;
    this.#count++;
  }

  /** How many milliseconds ago the oldest was sent; -1: there is none. */
  ageOfOldest(now: number): number {
    if (this.#count === 0) return -1;
    return (now | 0) - this.#ring.readInt32LE(this.#from + TIME_AT);
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
      const bytes = this.#ring.readUInt32LE(at);
      yield this.#ring.subarray(at, at + bytes);
      at += bytes;
    }
  }

  #drop(): void {
    this.#from += this.#ring.readUInt32LE(this.#from);
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
    this.#to -= this.#from;
    this.#from = 0;
    return true;
  }
}
