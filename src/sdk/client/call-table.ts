import { byAge, type Call } from './call.js';
import { PROBE_ID } from './correlation.js';

const SLOTS_MIN = 64;
/** A table with more slots is released when it is empty. */
const SLOTS_RETAINED = 4096;

/**
 * The outstanding requests, by the id in their correlation frame.
 *
 * Ids are given in order. The low bits of an id are its slot, the high bits the slot's generation:
 * an answer to an earlier request in the same slot has another id, so it is never mistaken for the
 * answer to the present one. An id is used again only after all others. Ids are signed 32-bit
 * integers, because V8 allocates memory for larger ones.
 */
export class CallTable {
  #slots: (Call | null)[] = emptySlots(SLOTS_MIN);
  #size = 0;
  #lastId: number;
  /** Calls that were sent again under another id, by the ids before. */
  readonly #earlier = new Map<number, Call>();

  /** @param lastId the id before the first one */
  constructor(lastId = PROBE_ID) {
    this.#lastId = lastId;
  }

  get size(): number {
    return this.#size;
  }

  /** An id whose slot is free. The next call that is added must have it. */
  nextId(): number {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const mask = this.#slots.length - 1;
    let id = this.#lastId;
    do id = (id + 1) | 0;
    while (id === PROBE_ID || this.#slots[id & mask] !== null);
    this.#lastId = id;
    return id;
  }

  /** Ids are given from the first one on again. */
  restart(): void {
    this.#lastId = PROBE_ID;
  }

  add(call: Call): void {
    this.#slots[call.id & (this.#slots.length - 1)] = call;
    this.#size++;
  }

  get(id: number): Call | undefined {
    const call = this.#slots[id & (this.#slots.length - 1)];
    if (call?.id === id) return call;
    return this.#earlier.size === 0 ? undefined : this.#earlier.get(id);
  }

  /** Gives a call that is here the next id; answers to the sends before find it, too. */
  renew(call: Call): void {
    this.#slots[call.id & (this.#slots.length - 1)] = null;
    this.#earlier.set(call.id, call);
    (call.earlierIds ??= []).push(call.id);
    call.id = this.nextId();
    this.#slots[call.id & (this.#slots.length - 1)] = call;
  }

  delete(call: Call): void {
    if (this.get(call.id) !== call) return;
    for (const id of call.earlierIds ?? []) this.#earlier.delete(id);
    this.#slots[call.id & (this.#slots.length - 1)] = null;
    this.#size--;
    if (this.#size === 0 && this.#slots.length > SLOTS_RETAINED) {
      this.#slots = emptySlots(SLOTS_MIN);
    }
  }

  /** All calls, in the order in which their ids were given. */
  all(): Call[] {
    return this.#slots.filter((call) => call !== null).sort(byAge);
  }

  /** Calls in different slots are in different slots of a larger table, too. */
  #grow(): void {
    const slots = emptySlots(this.#slots.length * 2);
    for (const call of this.#slots) if (call !== null) slots[call.id & (slots.length - 1)] = call;
    this.#slots = slots;
  }
}

function emptySlots(count: number): (Call | null)[] {
  return Array.from({ length: count }, () => null);
}
