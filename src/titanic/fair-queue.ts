/**
 * What waits, in a queue for each party, which take turns: who has little waits for one of each of the
 * others, however much they have (D75).
 */
interface Line<Item> {
  readonly items: { readonly item: Item; readonly bytes: number }[];
  /** How many of them are taken out already. */
  head: number;
  bytes: number;
}

/** Taken out items are let go in one go: each is moved once on average. */
const HEAD_MAX = 1024;

export class FairQueue<Item> {
  /** In the order of their turns. */
  readonly #lines = new Map<string, Line<Item>>();
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
      line = { items: [], head: 0, bytes: 0 };
      this.#lines.set(party, line);
    }
    line.items.push({ item, bytes });
    line.bytes += bytes;
    this.#bytes += bytes;
    this.#size++;
  }

  /** Bytes of the one that `shift` takes; 0 if there is none. */
  get nextBytes(): number {
    for (const { items, head } of this.#lines.values()) return items[head]?.bytes ?? 0;
    return 0;
  }

  /** Takes out the first one of whose turn it is, who then goes behind all others. */
  shift(): Item | undefined {
    for (const [party, line] of this.#lines) {
      const first = line.items[line.head++];
      if (first === undefined) return undefined;
      this.#lines.delete(party);
      if (line.head < line.items.length) {
        if (line.head === HEAD_MAX) {
          line.items.splice(0, HEAD_MAX);
          line.head = 0;
        }
        this.#lines.set(party, line);
      }
      line.bytes -= first.bytes;
      this.#bytes -= first.bytes;
      this.#size--;
      return first.item;
    }
    return undefined;
  }

  /** Takes out everything, party by party, each in its order. */
  drain(): Item[] {
    const all: Item[] = [];
    for (const { items, head } of this.#lines.values()) {
      for (const { item } of items.slice(head)) all.push(item);
    }
    this.#lines.clear();
    this.#size = 0;
    this.#bytes = 0;
    return all;
  }
}
