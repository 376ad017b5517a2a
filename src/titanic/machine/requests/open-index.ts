/**
 * The index of open requests: those that may still have to run. Each is a record of integers and
 * doubles in a page of many, found by uuid, without its body (about 135 bytes per request).
 */
import { Buckets, NO_RECORD } from '../../../core/buckets.js';
import { KeyedHash } from '../../../core/keyed-hash.js';
import type { RandomFill } from '../../../core/random.js';

/** A request in the index: the number of its record, reused after `remove`. */
export type Slot = number;

export const NO_SLOT: Slot = NO_RECORD;

const PAGE_BITS = 8;
const PAGE_RECORDS = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_RECORDS - 1;
const INTS = 15;
const DOUBLES = 5;
const UUID_BYTES = 16;

/** Integer fields. Those of STATE are in fsm.ts. */
export const STATE = 0;
export const SERVICE = 1;
export const PRIORITY = 2;
export const ATTEMPTS = 3;
export const ATTEMPTS_MAX = 4;
export const GENERATION = 5;
/**
 * Place in the heap of ready or of delayed requests, whichever it is in; while LOADING, the number
 * of its load.
 */
export const PLACE = 6;
/** Place in the heap of expiries. */
export const EXPIRY_PLACE = 7;
export const BODY_BYTES = 8;
/** Number of its `RequestOwner`: its owner, and who stored it. */
export const OWNER = 9;
/** Place in its service's heap by age. */
export const AGE_PLACE = 10;
/** The number of this broker's claim, in a store that several brokers share; 0: in one that they do not. */
export const CLAIM = 11;
/** The claim of a session that is over. No step is made under it. */
export const LAPSED = -1;
/** The number of its group, among those of all services; 0: none. */
export const GROUP = 12;
/** Links of the heap of its group's ready requests; PLACE is the one to what it hangs on. */
export const CHILD = 13;
export const SIBLING = 14;

/** Double fields. */
export const NUMBER = 0;
/** Monotonic milliseconds, so that a wait does not grow when the wall clock is set back. */
export const NOT_BEFORE = 1;
/** Wall milliseconds. */
export const EXPIRES_AT = 2;
/** The broker's number for it, or -1. */
export const BROKER_ID = 3;
/**
 * Wall milliseconds: the time of acceptance, the end of the requested delay, or an operator's
 * retry.
 */
export const SINCE = 4;

const NO_UUIDS: Buffer = Buffer.alloc(0);

interface Page {
  readonly ints: Int32Array;
  readonly doubles: Float64Array;
  readonly uuids: Buffer;
}

export class OpenIndex {
  readonly #pages: Page[] = [];
  readonly #byUuid = new Buckets();
  readonly #hash: KeyedHash;
  #fresh = 0;
  readonly #freed: Slot[] = [];

  /** @param random see `KeyedHash`: who stores requests can keep those whose uuids suit */
  constructor(random: RandomFill) {
    this.#hash = new KeyedHash(random);
  }

  get count(): number {
    return this.#byUuid.count;
  }

  /**
   * Adds a request whose uuid is not in the index. All fields are 0, except BROKER_ID and the
   * places: -1.
   */
  add(uuid: Buffer): Slot {
    const slot = this.#freed.pop() ?? this.#fresh++;
    if (slot >>> PAGE_BITS === this.#pages.length) {
      this.#pages.push({
        ints: new Int32Array(PAGE_RECORDS * INTS),
        doubles: new Float64Array(PAGE_RECORDS * DOUBLES),
        uuids: Buffer.alloc(PAGE_RECORDS * UUID_BYTES),
      });
    }
    const page = this.#pages[slot >>> PAGE_BITS];
    const at = slot & PAGE_MASK;
    page?.ints.fill(0, at * INTS, (at + 1) * INTS);
    if (page !== undefined) uuid.copy(page.uuids, at * UUID_BYTES);
    this.set(slot, PLACE, -1);
    this.set(slot, EXPIRY_PLACE, -1);
    this.set(slot, AGE_PLACE, -1);
    this.setDouble(slot, BROKER_ID, -1);
    this.#byUuid.add(slot, this.#hash.of(uuid, 0, UUID_BYTES));
    return slot;
  }

  /** All slots in use are below this. */
  get end(): Slot {
    return this.#fresh;
  }

  /** The request with this uuid, or `NO_SLOT`. */
  find(uuid: Buffer): Slot {
    const hash = this.#hash.of(uuid, 0, UUID_BYTES);
    const slots = this.#byUuid;
    for (let slot = slots.first(hash); slot !== NO_SLOT; slot = slots.next(slot)) {
      if (slots.hashOf(slot) === hash && this.#isOf(slot, uuid)) return slot;
    }
    return NO_SLOT;
  }

  remove(slot: Slot): void {
    this.#byUuid.remove(slot);
    this.set(slot, STATE, 0);
    this.#freed.push(slot);
    if (this.count > 0) return;
    // When nothing is open, the pages of a burst can be released at no cost.
    this.#pages.length = 1;
    this.#freed.length = 0;
    this.#fresh = 0;
  }

  /** The uuid, as a copy. */
  uuid(slot: Slot): Buffer {
    const at = (slot & PAGE_MASK) * UUID_BYTES;
    return Buffer.from(this.#uuids(slot).subarray(at, at + UUID_BYTES));
  }

  get(slot: Slot, field: number): number {
    return this.#pages[slot >>> PAGE_BITS]?.ints[(slot & PAGE_MASK) * INTS + field] ?? 0;
  }

  set(slot: Slot, field: number, value: number): void {
    const page = this.#pages[slot >>> PAGE_BITS];
    if (page !== undefined) page.ints[(slot & PAGE_MASK) * INTS + field] = value;
  }

  getDouble(slot: Slot, field: number): number {
    return this.#pages[slot >>> PAGE_BITS]?.doubles[(slot & PAGE_MASK) * DOUBLES + field] ?? 0;
  }

  setDouble(slot: Slot, field: number, value: number): void {
    const page = this.#pages[slot >>> PAGE_BITS];
    if (page !== undefined) page.doubles[(slot & PAGE_MASK) * DOUBLES + field] = value;
  }

  #isOf(slot: Slot, uuid: Buffer): boolean {
    const uuids = this.#uuids(slot);
    const from = (slot & PAGE_MASK) * UUID_BYTES;
    for (let at = 0; at < UUID_BYTES; at++) if (uuids[from + at] !== uuid[at]) return false;
    return true;
  }

  #uuids(slot: Slot): Buffer {
    return this.#pages[slot >>> PAGE_BITS]?.uuids ?? NO_UUIDS;
  }
}

/** The claim under which a step of a request is made. */
export function claimOf(claim: number): { readonly claim?: number } {
  return claim === 0 ? {} : { claim };
}

/** Like `claimOf`, for a step that keeps the claim. */
export function continuedClaim(claim: ReturnType<typeof claimOf>): {
  readonly claim?: number;
  readonly keepsClaim?: boolean;
} {
  return claim.claim === undefined ? {} : { ...claim, keepsClaim: true };
}
