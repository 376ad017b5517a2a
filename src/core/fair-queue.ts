import { OldestFirst } from './oldest-first.js';

/** The items of one party. */
interface Line<Item> {
  readonly items: Item[];
  /** Bytes of each item. */
  readonly sizes: number[];
  /** How many items have already been taken out. */
  head: number;
  bytes: number;
}

/** An item, its party, and its bytes. */
export interface Queued<Item> {
  readonly party: string;
  readonly item: Item;
  readonly bytes: number;
}

/** Items that were taken out are removed in bulk, so that each item is moved once on average. */
const HEAD_MAX = 1024;

/**
 * A queue for each party, which take turns: a party with few items waits for at most one item of
 * each other party, however many those have (D75).
 */
export class FairQueue<Item> {
  /** Lines of items, in the order of their turns. */
  readonly #lines = new OldestFirst<string, Line<Item>>();
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  sizeOf(party: string): number {
    const line = this.#lines.get(party);
    return line === undefined ? 0 : line.items.length - line.head;
  }

  bytesOf(party: string): number {
    return this.#lines.get(party)?.bytes ?? 0;
  }

  push(party: string, item: Item, bytes: number): void {
    let line = this.#lines.get(party);
    if (line === undefined) {
      line = { items: [], sizes: [], head: 0, bytes: 0 };
      this.#lines.set(party, line);
    }
    line.items.push(item);
    line.sizes.push(bytes);
    line.bytes += bytes;
    this.#bytes += bytes;
    this.#size++;
  }

  /** Bytes of the item that `shift` takes next; 0 if there is none. */
  get nextBytes(): number {
    const line = this.#lines.oldest?.value;
    return line?.sizes[line.head] ?? 0;
  }

  /** Takes the first item of the party whose turn it is; the party then goes to the back. */
  shift(): Item | undefined {
    const turn = this.#lines.oldest;
    if (turn === null) return undefined;
    const { key: party, value: line } = turn;
    const first = line.items[line.head];
    const bytes = line.sizes[line.head++] ?? 0;
    if (first === undefined) return undefined;
    this.#lines.delete(party);
    if (line.head < line.items.length) {
      if (line.head === HEAD_MAX) {
        line.items.splice(0, HEAD_MAX);
        line.sizes.splice(0, HEAD_MAX);
        line.head = 0;
      }
      this.#lines.set(party, line);
    }
    line.bytes -= bytes;
    this.#bytes -= bytes;
    this.#size--;
    return first;
  }

  /** Takes all items, party by party, each in its order. */
  drain(): Queued<Item>[] {
    const all: Queued<Item>[] = [];
    for (const { key: party, value } of this.#lines) {
      const { items, sizes, head } = value;
      for (const [place, item] of items.slice(head).entries()) {
        all.push({ party, item, bytes: sizes[head + place] ?? 0 });
      }
    }
    this.#lines.clear();
    this.#size = 0;
    this.#bytes = 0;
    return all;
  }
}
