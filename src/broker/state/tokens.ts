/**
 * The `client` frame that a worker is given (D7): the number of the request, that of the delivery,
 * and 64 random bits of the request. It is opaque to the worker and cannot be guessed.
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

export const TOKEN_BYTES = 13;
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
  /** Keyed by the random bits of a request that ended while a lost worker might still answer it. */
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
    view.setUint8(0, (page[at + DELIVERIES] ?? 0) & DELIVERY_MASK);
    view.setInt32(1, id);
    view.setInt32(5, page[at + RANDOM_HIGH] ?? 0);
    view.setInt32(9, page[at + RANDOM_LOW] ?? 0);
    return this.#token;
  }

  /** The request that the token in this frame belongs to, or -1. */
  request(frames: Frames, index: number): number {
    if (frames.size(index) !== TOKEN_BYTES) return -1;
    const buffer = frames.buffer(index);
    const start = frames.start(index);
    // (Frames may each have a buffer of their own; a view for each would cost more than this.)
    const high = int32At(buffer, start + 5);
    const low = int32At(buffer, start + 9);
    return this.#known(int32At(buffer, start + 1), high, low, buffer[start] ?? 0);
  }

  /** The request that the token at `start` belongs to, or -1. */
  requestAt({ view }: Words, start: number): number {
    const high = view.getInt32(start + 5);
    const low = view.getInt32(start + 9);
    return this.#known(view.getInt32(start + 1), high, low, view.getUint8(start));
  }

  #known(id: number, high: number, low: number, delivery: number): number {
    if (!this.#table.has(id)) return -1;
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
    return this.#isLatest(frames.buffer(index)[frames.start(index)] ?? 0, id);
  }

  /** As `isLatest`, of the token at `start`. */
  isLatestAt({ view }: Words, start: number, id: RequestId): boolean {
    return this.#isLatest(view.getUint8(start), id);
  }

  #isLatest(delivery: number, id: RequestId): boolean {
    return ((this.#table.get(id, DELIVERIES) - delivery) & DELIVERY_MASK) === 0;
  }

  /** The bit of the token's delivery in the fields LOST and SPOILED. */
  deliveryBit(frames: Frames, index: number): number {
    return deliveryBit(frames.buffer(index)[frames.start(index)] ?? 0);
  }

  /** The request ended, but a worker lost in silence may still answer it. */
  outlive(id: RequestId, outcome: LateReplyReason): void {
    if (this.#outlived.size >= OUTLIVED_MAX) this.#outlived.shift();
    const lost = this.#table.get(id, LOST);
    this.#outlived.set(this.encode(id).bytes.toString('latin1', 5), { outcome, lost });
  }

  /**
   * How the request ended, if this is the token of a worker that was lost in silence with it (D8).
   */
  outlived(frames: Frames, index: number): LateReplyReason | null {
    if (this.#outlived.size === 0 || frames.size(index) !== TOKEN_BYTES) return null;
    const known = this.#outlived.get(frames.view(index).toString('latin1', 5));
    if (known === undefined) return null;
    return (known.lost & this.deliveryBit(frames, index)) === 0 ? null : known.outcome;
  }
}

/** @param delivery number of the delivery, from 1 */
export function deliveryBit(delivery: number): number {
  return 1 << (delivery & (DELIVERIES_REMEMBERED - 1));
}
