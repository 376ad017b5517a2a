/** The order of an `IndexedHeap`, and where it notes the positions of items. */
export interface HeapOrder {
  /** True if `a` comes before `b`. */
  before(a: number, b: number): boolean;
  /** Records that `item` is now at position `place`; -1: it has left the heap. */
  moved(item: number, place: number): void;
}

/** Initial capacity, in items. */
const ROOM_MIN = 8;

/**
 * A binary heap of small integers from which any item can be removed. The caller defines the order,
 * and stores each item's position in a field of its own.
 */
export class IndexedHeap {
  /** 32 bits each: growing an array of a million 64-bit numbers blocks the process for 10 ms. */
  #items = new Int32Array(ROOM_MIN);
  #size = 0;
  readonly #order: HeapOrder;

  constructor(order: HeapOrder) {
    this.#order = order;
  }

  get size(): number {
    return this.#size;
  }

  /** The first, or -1. */
  peek(): number {
    return this.#size === 0 ? -1 : (this.#items[0] ?? -1);
  }

  /** The item at a position, or -1. The last ones are among those that come late. */
  at(place: number): number {
    return place < this.#size ? (this.#items[place] ?? -1) : -1;
  }

  /** How many items come before this one, counted up to `most`. */
  countBefore(item: number, most: number): number {
    const places = [0];
    let count = 0;
    // Below an item that does not come before it, none does.
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      if (place >= this.#size || !this.#order.before(this.at(place), item)) continue;
      if (++count >= most) break;
      places.push(place * 2 + 1, place * 2 + 2);
    }
    return count;
  }

  push(item: number): void {
    if (this.#size === this.#items.length) this.#resize(this.#size * 2);
    this.#rise(this.#size++, item);
  }

  /** Removes the item at a position that `moved` reported. */
  removeAt(place: number): void {
    if (place < 0 || place >= this.#size) return;
    const removed = this.#items[place] ?? -1;
    const last = this.#items[--this.#size] ?? -1;
    if (place < this.#size) this.#settle(place, last);
    this.#order.moved(removed, -1);
    const room = this.#items.length;
    if (room > ROOM_MIN && this.#size < room / 4) this.#resize(room / 2);
  }

  /** Removes the first item. Returns it, or -1. */
  pop(): number {
    const first = this.peek();
    if (first >= 0) this.removeAt(0);
    return first;
  }

  #resize(room: number): void {
    const items = new Int32Array(room);
    items.set(this.#items.subarray(0, this.#size));
    this.#items = items;
  }

  #settle(place: number, item: number): void {
    const parent = (place - 1) >> 1;
    if (place > 0 && this.#order.before(item, this.#items[parent] ?? -1)) this.#rise(place, item);
    else this.#sink(place, item);
  }

  #rise(from: number, item: number): void {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#items[parent] ?? -1;
      if (!this.#order.before(item, above)) break;
      this.#set(place, above);
      place = parent;
    }
    this.#set(place, item);
  }

  #sink(from: number, item: number): void {
    let place = from;
    const length = this.#size;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= length) break;
      if (child + 1 < length) {
        const right = this.#items[child + 1] ?? -1;
        if (this.#order.before(right, this.#items[child] ?? -1)) child++;
      }
      const below = this.#items[child] ?? -1;
      if (!this.#order.before(below, item)) break;
      this.#set(place, below);
      place = child;
    }
    this.#set(place, item);
  }

  #set(place: number, item: number): void {
    this.#items[place] = item;
    this.#order.moved(item, place);
  }
}
