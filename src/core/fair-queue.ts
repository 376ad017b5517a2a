import { OldestFirst } from './oldest-first.js';

/** The items of one party. */
interface PartyQueue<Item> {
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
  /** Queues of items, in the order of their turns. */
  readonly #queues = new OldestFirst<string, PartyQueue<Item>>();
  #size = 0;
  #bytes = 0;

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  sizeOf(party: string): number {
    const queue = this.#queues.get(party);
    return queue === undefined ? 0 : queue.items.length - queue.head;
  }

  bytesOf(party: string): number {
    return this.#queues.get(party)?.bytes ?? 0;
  }

  push(party: string, item: Item, bytes: number): void {
    let queue = this.#queues.get(party);
    if (queue === undefined) {
      queue = { items: [], sizes: [], head: 0, bytes: 0 };
      this.#queues.set(party, queue);
    }
    queue.items.push(item);
    queue.sizes.push(bytes);
    queue.bytes += bytes;
    this.#bytes += bytes;
    this.#size++;
  }

  /** Bytes of the item that `shift` takes next; 0 if there is none. */
  get nextBytes(): number {
    const queue = this.#queues.oldest?.value;
    return queue?.sizes[queue.head] ?? 0;
  }

  /** Takes the first item of the party whose turn it is; the party then goes to the back. */
  shift(): Item | undefined {
    const turn = this.#queues.oldest;
    if (turn === null) return undefined;
    const { key: party, value: queue } = turn;
    const first = queue.items[queue.head];
    const bytes = queue.sizes[queue.head++] ?? 0;
    if (first === undefined) return undefined;
    this.#queues.delete(party);
    if (queue.head < queue.items.length) {
      if (queue.head === HEAD_MAX) {
        queue.items.splice(0, HEAD_MAX);
        queue.sizes.splice(0, HEAD_MAX);
        queue.head = 0;
      }
      this.#queues.set(party, queue);
    }
    queue.bytes -= bytes;
    this.#bytes -= bytes;
    this.#size--;
    return first;
  }

  /** Takes all items, party by party, each in its order. */
  drain(): Queued<Item>[] {
    const all: Queued<Item>[] = [];
    for (const { key: party, value } of this.#queues) {
      const { items, sizes, head } = value;
      for (const [place, item] of items.slice(head).entries()) {
        all.push({ party, item, bytes: sizes[head + place] ?? 0 });
      }
    }
    this.#queues.clear();
    this.#size = 0;
    this.#bytes = 0;
    return all;
  }
}
