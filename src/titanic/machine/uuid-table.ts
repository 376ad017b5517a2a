/**
 * Maps uuids to record numbers, without an object for each. The uuids are generated here, so their
 * random bits serve as the hash. The table has 256 parts, so that growing one never takes long.
 */
const PARTS = 256;
const EMPTY = -1;
const SIZE_MIN = 8;
/** The slots of each part that has nothing. */
const NO_SLOTS = new Int32Array([EMPTY]);
const PART_BYTE = 15;
const HASH_BYTE = 11;

/** Compares a uuid with that of a record. */
export type IsUuidOf = (slot: number, uuid: Buffer) => boolean;
/** The hash of a record's uuid: `UuidTable.hash` of it. */
export type HashOf = (slot: number) => number;

interface Part {
  slots: Int32Array;
  count: number;
}

export class UuidTable {
  readonly #parts: Part[] = Array.from({ length: PARTS }, () => ({
    slots: NO_SLOTS,
    count: 0,
  }));
  readonly #isUuidOf: IsUuidOf;
  readonly #hashOf: HashOf;
  #count = 0;

  constructor(isUuidOf: IsUuidOf, hashOf: HashOf) {
    this.#isUuidOf = isUuidOf;
    this.#hashOf = hashOf;
  }

  static hash(uuid: Buffer, offset = 0): number {
    const at = offset + HASH_BYTE;
    return (
      (uuid[at] ?? 0) |
      ((uuid[at + 1] ?? 0) << 8) |
      ((uuid[at + 2] ?? 0) << 16) |
      (((uuid[at + 3] ?? 0) & 0x7f) << 24)
    );
  }

  get count(): number {
    return this.#count;
  }

  /** The record of a uuid, or -1. */
  find(uuid: Buffer): number {
    const part = this.#part(uuid);
    const mask = part.slots.length - 1;
    for (let at = UuidTable.hash(uuid) & mask; ; at = (at + 1) & mask) {
      const slot = part.slots[at] ?? EMPTY;
      if (slot === EMPTY || this.#isUuidOf(slot, uuid)) return slot;
    }
  }

  /** Adds a record whose uuid is not in the table. */
  add(uuid: Buffer, slot: number): void {
    const part = this.#part(uuid);
    if ((part.count + 1) * 2 > part.slots.length) this.#grow(part);
    put(part.slots, UuidTable.hash(uuid), slot);
    part.count++;
    this.#count++;
  }

  /** Removes a record that is in the table. */
  delete(uuid: Buffer): void {
    const part = this.#part(uuid);
    const { slots } = part;
    const mask = slots.length - 1;
    let hole = UuidTable.hash(uuid) & mask;
    while (!this.#isUuidOf(slots[hole] ?? EMPTY, uuid)) hole = (hole + 1) & mask;
    part.count--;
    this.#count--;
    for (let at = (hole + 1) & mask; slots[at] !== EMPTY; at = (at + 1) & mask) {
      const slot = slots[at] ?? EMPTY;
      const homeSlot = this.#hashOf(slot) & mask;
      // An entry may move into the hole if its home slot is not between the hole and itself.
      if (((at - homeSlot) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slot;
      hole = at;
    }
    slots[hole] = EMPTY;
  }

  #part(uuid: Buffer): Part {
    const part = this.#parts[uuid[PART_BYTE] ?? 0];
    if (part === undefined) throw new RangeError('a byte is below 256');
    return part;
  }

  #grow(part: Part): void {
    const grown = new Int32Array(Math.max(SIZE_MIN, part.slots.length * 2)).fill(EMPTY);
    for (const slot of part.slots) if (slot !== EMPTY) put(grown, this.#hashOf(slot), slot);
    part.slots = grown;
  }
}

function put(slots: Int32Array, hash: number, slot: number): void {
  const mask = slots.length - 1;
  let at = hash & mask;
  while (slots[at] !== EMPTY) at = (at + 1) & mask;
  slots[at] = slot;
}
