import { Chain, ChainLink } from './chain.js';

interface Entry<Key, Value> {
  readonly key: Key;
  readonly value: Value;
}

class Linked<Key, Value> implements Entry<Key, Value> {
  readonly key: Key;
  value: Value;
  readonly link: ChainLink<Linked<Key, Value>> = new ChainLink(this);

  constructor(key: Key, value: Value) {
    this.key = key;
    this.value = value;
  }
}

/**
 * A map in the order in which its entries were added, whose oldest entry is found at once.
 *
 * (To look for the first entry of a Map or Set, V8 steps over every entry that was deleted before it:
 * with many entries that come and go, each look may take as long as all of them.)
 */
export class OldestFirst<Key, Value> {
  readonly #entries = new Map<Key, Linked<Key, Value>>();
  #order = new Chain<Linked<Key, Value>>();

  get size(): number {
    return this.#entries.size;
  }

  get oldest(): Entry<Key, Value> | null {
    return this.#order.head?.owner ?? null;
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  /** Adds it as the newest entry. As in a Map, a key that is here keeps its place. */
  set(key: Key, value: Value): void {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.value = value;
      return;
    }
    const entry = new Linked(key, value);
    this.#entries.set(key, entry);
    this.#order.append(entry.link);
  }

  /** @returns whether it was here */
  delete(key: Key): boolean {
    this.#entries.get(key)?.link.leave();
    return this.#entries.delete(key);
  }

  /** Removes the oldest entry. */
  shift(): void {
    const { oldest } = this;
    if (oldest !== null) this.delete(oldest.key);
  }

  clear(): void {
    this.#entries.clear();
    this.#order = new Chain();
  }

  /** From the oldest on. The entry that was returned last may be deleted. */
  *[Symbol.iterator](): Generator<Entry<Key, Value>, undefined> {
    for (let link = this.#order.head; link !== null;) {
      const { next } = link;
      yield link.owner;
      link = next;
    }
  }
}
