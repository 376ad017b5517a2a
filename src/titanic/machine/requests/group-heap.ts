/**
 * The ready requests of one group in the order of dispatch: a pairing heap whose links are fields of the index, so that
 * a hundred thousand groups of one request each have no arrays of their own.
 */
import { CHILD, NO_SLOT, type OpenIndex, PLACE, SIBLING, type Slot } from './open-index.js';

/** What a heap of the index is ordered by. */
export type Before = (a: Slot, b: Slot) => boolean;

export class GroupHeap {
  #root: Slot = NO_SLOT;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The first, or `NO_SLOT`. */
  get first(): Slot {
    return this.#root;
  }

  push(slot: Slot, index: OpenIndex, before: Before): void {
    this.#size++;
    index.set(slot, PLACE, NO_SLOT);
    index.set(slot, CHILD, NO_SLOT);
    index.set(slot, SIBLING, NO_SLOT);
    this.#root = this.#root === NO_SLOT ? slot : join(this.#root, slot, index, before);
  }

  remove(slot: Slot, index: OpenIndex, before: Before): void {
    this.#size--;
    const below = joinAll(index.get(slot, CHILD), index, before);
    if (slot === this.#root) {
      this.#root = below;
      return;
    }
    const above = index.get(slot, PLACE);
    const next = index.get(slot, SIBLING);
    index.set(above, index.get(above, CHILD) === slot ? CHILD : SIBLING, next);
    if (next !== NO_SLOT) index.set(next, PLACE, above);
    if (below !== NO_SLOT) this.#root = join(this.#root, below, index, before);
  }

  /** Some of them, the first one last. */
  *all(index: OpenIndex): Generator<Slot, undefined> {
    const found = this.#root === NO_SLOT ? [] : [this.#root];
    for (let at = 0; at < found.length; at++) {
      const children = index.get(found[at] ?? NO_SLOT, CHILD);
      for (let slot = children; slot !== NO_SLOT; slot = index.get(slot, SIBLING)) found.push(slot);
    }
    yield* found.reverse();
  }

  /** How many come before one of them, counted up to `most`. */
  countBefore(item: Slot, most: number, index: OpenIndex, before: Before): number {
    const found: Slot[] = this.#root !== NO_SLOT && before(this.#root, item) ? [this.#root] : [];
    for (let at = 0; at < found.length && found.length < most; at++) {
      const children = index.get(found[at] ?? NO_SLOT, CHILD);
      // Below one that does not come before it, none does.
      for (let slot = children; slot !== NO_SLOT; slot = index.get(slot, SIBLING)) {
        if (before(slot, item) && found.push(slot) >= most) return most;
      }
    }
    return Math.min(found.length, most);
  }
}

/** Makes one heap of two. @returns its first */
function join(a: Slot, b: Slot, index: OpenIndex, before: Before): Slot {
  const [first, other] = before(b, a) ? [b, a] : [a, b];
  const next = index.get(first, CHILD);
  index.set(other, SIBLING, next);
  if (next !== NO_SLOT) index.set(next, PLACE, other);
  index.set(first, CHILD, other);
  index.set(other, PLACE, first);
  index.set(first, SIBLING, NO_SLOT);
  index.set(first, PLACE, NO_SLOT);
  return first;
}

/** Makes one heap of all these siblings: first of each two, then of those, the last ones first. */
function joinAll(children: Slot, index: OpenIndex, before: Before): Slot {
  let pairs: Slot = NO_SLOT;
  for (let slot = children; slot !== NO_SLOT;) {
    const second = index.get(slot, SIBLING);
    const next = second === NO_SLOT ? NO_SLOT : index.get(second, SIBLING);
    const pair = second === NO_SLOT ? slot : join(slot, second, index, before);
    index.set(pair, SIBLING, pairs);
    index.set(pair, PLACE, NO_SLOT);
    pairs = pair;
    slot = next;
  }
  let all = pairs;
  for (let slot = all === NO_SLOT ? NO_SLOT : index.get(all, SIBLING); slot !== NO_SLOT;) {
    const next = index.get(slot, SIBLING);
    all = join(all, slot, index, before);
    slot = next;
  }
  if (all !== NO_SLOT) {
    index.set(all, SIBLING, NO_SLOT);
    index.set(all, PLACE, NO_SLOT);
  }
  return all;
}
