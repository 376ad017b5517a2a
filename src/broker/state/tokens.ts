/**
 * The `client` frame that a worker is given (D7): the number of the delivery, that of the request,
 * and 64 random bits of the request. It is opaque to the worker and cannot be guessed.
 *
 * Each four bits are a letter from `a` to `p`: some workers keep the frame as a C string, which ends at a
 * zero byte. A word of 32 bits is two words of letters, first the lower half of each of its bytes, then the upper one,
 * so both directions take a few operations and no table.
 */
import { int32At, Words } from '../../core/bytes.js';
import type { Frames } from '../../core/frames.js';
import { OldestFirst } from '../../core/oldest-first.js';
import type { RandomFill } from '../../core/random.js';
import {
  DELIVERIES,
  LOST,
  RANDOM_HIGH,
  RANDOM_LOW,
  recordAt,
  type RequestId,
  type RequestTable,
} from './request-table.js';

export const TOKEN_BYTES = 26;
/** Offsets of its parts; the number of the delivery comes first. */
const ID_AT = 2;
const HIGH_AT = 10;
const LOW_AT = 18;
const WORD_BYTES = 4;
const FIRST_LETTER = 0x61;
const HALF_BYTE = 0x0f;
/** A word with `FIRST_LETTER`, or `HALF_BYTE`, in each of its bytes. */
const FIRST_LETTERS = 0x61616161;
const HALF_BYTES = 0x0f0f0f0f;
const NOT_SPELLED = -1;
const DELIVERY_MASK = 0xff;
/** How many past deliveries are distinguished: as many as the fields LOST and SPOILED have bits. */
const DELIVERIES_REMEMBERED = 32;
const RANDOM_POOL_BYTES = 8192;
/**
 * How many finished requests with lost tokens are remembered, to distinguish late replies from
 * forged ones.
 */
const OUTLIVED_MAX = 10_000;

/** How a request ended, for a reply that may still arrive. */
export type LateReplyReason = 'answered' | 'too_late';

/** What is remembered of a request that ended while a lost worker might still answer it. */
interface Outlived {
  readonly outcome: LateReplyReason;
  /** The field LOST. */
  readonly lost: number;
}

export class Tokens {
  readonly #table: RequestTable;
  readonly #random: RandomFill;
  readonly #pool = new Words(Buffer.alloc(RANDOM_POOL_BYTES));
  #poolAt = RANDOM_POOL_BYTES;
  readonly #token = new Words(Buffer.alloc(TOKEN_BYTES));
  /** Requests that ended while a lost worker might still answer, by their random bits. */
  readonly #outlived = new OldestFirst<string, Outlived>();

  constructor(table: RequestTable, random: RandomFill) {
    this.#table = table;
    this.#random = random;
  }

  /** Gives the request its random bits. Called once per request. */
  assign(id: RequestId): void {
    if (this.#poolAt === RANDOM_POOL_BYTES) {
      this.#random(this.#pool.bytes);
      this.#poolAt = 0;
    }
    const page = this.#table.page(id);
    const at = recordAt(id);
    const { view } = this.#pool;
    page[at + RANDOM_HIGH] = view.getInt32(this.#poolAt);
    page[at + RANDOM_LOW] = view.getInt32(this.#poolAt + 4);
    this.#poolAt += 8;
  }

  /** The token of the current delivery; the buffer is reused. */
  encode(id: RequestId): Words {
    const { view } = this.#token;
    const page = this.#table.page(id);
    const at = recordAt(id);
    const delivery = page[at + DELIVERIES] ?? 0;
    view.setUint8(0, FIRST_LETTER + (delivery & HALF_BYTE));
    view.setUint8(1, FIRST_LETTER + ((delivery >>> 4) & HALF_BYTE));
    spell(view, ID_AT, id);
    spell(view, HIGH_AT, page[at + RANDOM_HIGH] ?? 0);
    spell(view, LOW_AT, page[at + RANDOM_LOW] ?? 0);
    return this.#token;
  }

  /** The request that the token in this frame belongs to, or -1. */
  request(frames: Frames, index: number): number {
    if (frames.size(index) !== TOKEN_BYTES) return -1;
    const buffer = frames.buffer(index);
    const start = frames.start(index);
    const high = spelledIn(buffer, start + HIGH_AT);
    const low = spelledIn(buffer, start + LOW_AT);
    return this.#known(spelledIn(buffer, start + ID_AT), high, low, deliveryIn(buffer, start));
  }

  /** The request that the token at `start` belongs to, or -1. */
  requestAt({ bytes, view }: Words, start: number): number {
    const high = spelledAt(view, start + HIGH_AT);
    const low = spelledAt(view, start + LOW_AT);
    return this.#known(spelledAt(view, start + ID_AT), high, low, deliveryIn(bytes, start));
  }

  #known(id: number, high: number, low: number, delivery: number): number {
    if (delivery === NOT_SPELLED || !this.#table.has(id)) return -1;
    const page = this.#table.page(id);
    const at = recordAt(id);
    if (page[at + RANDOM_HIGH] !== high || page[at + RANDOM_LOW] !== low) return -1;
    const back = ((page[at + DELIVERIES] ?? 0) - delivery) & DELIVERY_MASK;
    return back < DELIVERIES_REMEMBERED ? id : -1;
  }

  /** Whether the frame is the token of a request, or one of an ended one that may still be answered. */
  isKnown(frames: Frames, index: number): boolean {
    return this.request(frames, index) !== -1 || this.outlived(frames, index) !== null;
  }

  /** True if the token is that of the request's current (or last) delivery. */
  isLatest(frames: Frames, index: number, id: RequestId): boolean {
    return this.#isLatest(deliveryIn(frames.buffer(index), frames.start(index)), id);
  }

  /** Like `isLatest`, for the token at `start`. */
  isLatestAt({ bytes }: Words, start: number, id: RequestId): boolean {
    return this.#isLatest(deliveryIn(bytes, start), id);
  }

  #isLatest(delivery: number, id: RequestId): boolean {
    return ((this.#table.get(id, DELIVERIES) - delivery) & DELIVERY_MASK) === 0;
  }

  /** The bit of the token's delivery in the fields LOST and SPOILED. */
  deliveryBit(frames: Frames, index: number): number {
    return deliveryBit(deliveryIn(frames.buffer(index), frames.start(index)));
  }

  /** The request ended, but a worker lost in silence may still answer it. */
  outlive(id: RequestId, outcome: LateReplyReason): void {
    if (this.#outlived.size >= OUTLIVED_MAX) this.#outlived.shift();
    const lost = this.#table.get(id, LOST);
    this.#outlived.set(this.encode(id).bytes.toString('latin1', HIGH_AT), { outcome, lost });
  }

  /**
   * How the request ended, if this is the token of a worker that was lost in silence with it (D8).
   */
  outlived(frames: Frames, index: number): LateReplyReason | null {
    if (this.#outlived.size === 0 || frames.size(index) !== TOKEN_BYTES) return null;
    const known = this.#outlived.get(frames.view(index).toString('latin1', HIGH_AT));
    if (
      known === undefined ||
      deliveryIn(frames.buffer(index), frames.start(index)) === NOT_SPELLED
    ) {
      return null;
    }
    return (known.lost & this.deliveryBit(frames, index)) === 0 ? null : known.outcome;
  }
}

/** Writes a word as letters. */
function spell(view: DataView, at: number, word: number): void {
  view.setInt32(at, (word & HALF_BYTES) + FIRST_LETTERS);
  view.setInt32(at + WORD_BYTES, ((word >>> 4) & HALF_BYTES) + FIRST_LETTERS);
}

/** The word of these letters; `NOT_SPELLED`, which is no request's number, if one of them is none. */
function wordOf(lower: number, upper: number): number {
  const low = lower - FIRST_LETTERS;
  const high = upper - FIRST_LETTERS;
  return ((low | high) & ~HALF_BYTES) === 0 ? low | (high << 4) : NOT_SPELLED;
}

function spelledAt(view: DataView, at: number): number {
  return wordOf(view.getInt32(at), view.getInt32(at + WORD_BYTES));
}

/** Like `spelledAt`. (Frames may each have a buffer of their own; a view for each would cost more than this.) */
function spelledIn(bytes: Uint8Array, at: number): number {
  return wordOf(int32At(bytes, at), int32At(bytes, at + WORD_BYTES));
}

/** The number of the delivery in the token at `start`, or `NOT_SPELLED`. */
function deliveryIn(bytes: Uint8Array, start: number): number {
  const low = (bytes[start] ?? 0) - FIRST_LETTER;
  const high = (bytes[start + 1] ?? 0) - FIRST_LETTER;
  return ((low | high) & ~HALF_BYTE) === 0 ? low | (high << 4) : NOT_SPELLED;
}

/** @param delivery number of the delivery, from 1 */
export function deliveryBit(delivery: number): number {
  return 1 << (delivery & (DELIVERIES_REMEMBERED - 1));
}
