/**
 * The envelopes whose owners sent `mmi.hello` over one connection and therefore get refusals (D11),
 * with what each said about itself.
 */
import { present } from '../../core/assert.js';
import type { MemoryAccount } from '../../core/holdings.js';
import { OldestFirst } from '../../core/oldest-first.js';
import { pack, PackedCursor, packedBytes, readPacked } from '../../core/packed.js';
import type { Dialect } from '../../wire/dialect.js';
import type { Inbound } from '../../wire/inbound.js';

/** Memory that an envelope takes, each of its frames, and each of its bytes, which are kept four times (measured). */
const ENVELOPE_BYTES = 768;
const FRAME_BYTES = 200;
const KEPT_TIMES = 4;
const NO_ENVELOPE = Buffer.alloc(0);

/** An envelope, or the beginning of some. */
class Prefix<Hello> {
  hello: Hello | null = null;
  /** Longer beginnings, by the frame that follows, one character per byte. */
  readonly next = new Map<string, Prefix<Hello>>();
}

/** An envelope, packed, and the dialect of its hello. */
export interface HelloPlace {
  readonly envelope: Buffer;
  readonly dialect: Dialect;
}

/** @typeParam Hello what is known of whoever sent one */
export class Hellos<Hello> {
  readonly #memory: MemoryAccount;
  /** What is counted there. */
  #held = 0;
  readonly #empty = new Prefix<Hello>();
  /** All envelopes but the empty one, which takes no place, by the order of their last hellos. */
  readonly #places = new OldestFirst<string, HelloPlace>();
  /** Length of the longest envelope. */
  #bytesMax = 0;
  /** Length of all envelopes together. */
  bytes = 0;

  /** @param memory of the identity of the connection */
  constructor(memory: MemoryAccount) {
    this.#memory = memory;
  }

  /** How many places are taken. */
  get count(): number {
    return this.#places.size;
  }

  /** Whether any came with an envelope. */
  get haveEnvelopes(): boolean {
    return this.#empty.next.size > 0;
  }

  get isEmpty(): boolean {
    return this.#empty.hello === null && this.#empty.next.size === 0;
  }

  /** Whether a hello of this envelope needs no further place. @param envelope packed */
  has(envelope: Buffer): boolean {
    return envelope.length === 0 || this.#places.has(envelope.toString('latin1'));
  }

  /** Sets what the envelope's owner says about itself. @param envelope packed @returns what it said before */
  set(envelope: Buffer, dialect: Dialect, hello: Hello): Hello | null {
    const chain = this.#chainOf(envelope);
    const prefix = chain.at(-1)?.prefix ?? this.#empty;
    const before = prefix.hello;
    prefix.hello = hello;
    if (envelope.length === 0) return before;
    if (before === null) this.#count(memoryOfHello(envelope));
    const key = envelope.toString('latin1');
    if (!this.#places.delete(key)) this.bytes += envelope.length;
    this.#places.set(key, { envelope, dialect });
    this.#bytesMax = Math.max(this.#bytesMax, envelope.length);
    return before;
  }

  /** Frees the place of the envelope whose last hello is the oldest; its hello counts until `forget`. */
  freeOldest(): HelloPlace {
    const place = present(this.#places.oldest, 'a place that is taken').value;
    this.#places.shift();
    this.bytes -= place.envelope.length;
    return place;
  }

  /** Forgets the hello of an envelope, unless it has a place again. @returns what it said */
  forget(envelope: Buffer): Hello | null {
    if (this.has(envelope)) return null;
    const chain = this.#chainOf(envelope);
    const forgotten = chain.at(-1)?.prefix.hello ?? null;
    for (const [at, { prefix, frame, from }] of chain.reverse().entries()) {
      if (at === 0 && prefix.hello !== null) {
        prefix.hello = null;
        this.#count(-memoryOfHello(envelope));
      }
      if (prefix.hello !== null || prefix.next.size > 0) break;
      from.next.delete(frame);
    }
    return forgotten;
  }

  /** Forgets all: the connection has ended. */
  clear(): void {
    this.#empty.next.clear();
    this.#places.clear();
    this.#count(-this.#held);
  }

  #count(change: number): void {
    this.#held += change;
    this.#memory.add('contracts', change);
  }

  /** The beginnings of the envelope, each made if it is not there. */
  #chainOf(envelope: Buffer): { prefix: Prefix<Hello>; frame: string; from: Prefix<Hello> }[] {
    const chain = [];
    let from = this.#empty;
    const cursor = new PackedCursor();
    for (cursor.end = 0; cursor.end < envelope.length;) {
      readPacked(envelope, cursor.end, cursor);
      const frame = envelope.toString('latin1', cursor.start, cursor.end);
      let prefix = from.next.get(frame);
      if (prefix === undefined) from.next.set(frame, (prefix = new Prefix<Hello>()));
      chain.push({ prefix, frame, from });
      from = prefix;
    }
    return chain;
  }

  /**
   * Returns the hello of the longest known envelope with which the packed envelope `[start, end)`
   * begins; `null` if there is none. Each frame is looked at once at most, however many have said
   * hello.
   */
  of(buffer: Buffer, start: number, end: number): Hello | null {
    let prefix: Prefix<Hello> | undefined = this.#empty;
    let found = prefix.hello;
    if (this.#bytesMax === 0) return found;
    const cursor = new PackedCursor();
    for (cursor.end = start; prefix.next.size > 0 && cursor.end < end;) {
      readPacked(buffer, cursor.end, cursor);
      if (cursor.end - start > this.#bytesMax) break;
      prefix = prefix.next.get(buffer.toString('latin1', cursor.start, cursor.end));
      if (prefix === undefined) break;
      found = prefix.hello ?? found;
    }
    return found;
  }
}

/** What the sender of a request that has just arrived said about itself; `null`: nothing. */
export function helloOf<Hello>(inbound: Inbound, hellos: Hellos<Hello>): Hello | null {
  if (hellos.isEmpty) return null;
  if (!hellos.haveEnvelopes) return hellos.of(NO_ENVELOPE, 0, 0);
  const envelope = packedEnvelope(inbound);
  return hellos.of(envelope, 0, envelope.length);
}

/** What a hello takes in memory. @param envelope packed */
export function memoryOfHello(envelope: Buffer): number {
  if (envelope.length === 0) return 0;
  return ENVELOPE_BYTES + packedFrames(envelope) * FRAME_BYTES + envelope.length * KEPT_TIMES;
}

/** How many frames a packed envelope has. */
export function packedFrames(envelope: Buffer): number {
  let frames = 0;
  const cursor = new PackedCursor();
  for (cursor.end = 0; cursor.end < envelope.length; frames++) {
    readPacked(envelope, cursor.end, cursor);
  }
  return frames;
}

/** The packed envelope of a request that has just arrived. */
export function packedEnvelope({ frames, envelopeFrames }: Inbound): Buffer {
  const envelope = Buffer.allocUnsafe(packedBytes(frames, 0, envelopeFrames));
  pack(frames, 0, envelopeFrames, envelope, 0, true);
  return envelope;
}
