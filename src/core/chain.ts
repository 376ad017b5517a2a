/** The place of an object in a `Chain`. */
export class ChainLink<T> {
  readonly owner: T;
  chain: Chain<T> | null = null;
  previous: ChainLink<T> | null = null;
  next: ChainLink<T> | null = null;

  constructor(owner: T) {
    this.owner = owner;
  }

  /** Removes the link from its chain, if it is in one. */
  leave(): void {
    this.chain?.remove(this);
  }
}

/**
 * A doubly linked list of objects that carry their own link: inserting, removing and moving to the
 * end take constant time. If all entries have the same timeout and are appended in order of time,
 * the head is always the next to expire.
 */
export class Chain<T> {
  head: ChainLink<T> | null = null;
  #tail: ChainLink<T> | null = null;

  /** Moves the link to the end, removing it from its previous position. */
  append(link: ChainLink<T>): void {
    if (this.#tail === link) return;
    if (link.chain !== null) link.chain.remove(link);
    link.chain = this;
    link.previous = this.#tail;
    if (this.#tail === null) this.head = link;
    else this.#tail.next = link;
    this.#tail = link;
  }

  /**
   * Inserts a link that is in no chain behind the last one that is not `after` it, searching from
   * the end.
   */
  insert(link: ChainLink<T>, after: (other: T) => boolean): void {
    let previous = this.#tail;
    while (previous !== null && after(previous.owner)) previous = previous.previous;
    const next = previous === null ? this.head : previous.next;
    link.chain = this;
    link.previous = previous;
    link.next = next;
    if (previous === null) this.head = link;
    else previous.next = link;
    if (next === null) this.#tail = link;
    else next.previous = link;
  }

  remove(link: ChainLink<T>): void {
    if (link.previous === null) this.head = link.next;
    else link.previous.next = link.next;
    if (link.next === null) this.#tail = link.previous;
    else link.next.previous = link.previous;
    link.chain = null;
    link.previous = null;
    link.next = null;
  }
}
