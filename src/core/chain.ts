/**
 * A doubly linked list of objects that carry their own link: joining, leaving and moving to the end
 * cost the same however long the list is. Kept in order of time, it is a deadline structure for one
 * duration: the head is always due first.
 */
export class ChainLink<T> {
  readonly owner: T;
  chain: Chain<T> | null = null;
  previous: ChainLink<T> | null = null;
  next: ChainLink<T> | null = null;

  constructor(owner: T) {
    this.owner = owner;
  }

  /** Takes the link out of the chain that it is in, if any. */
  leave(): void {
    this.chain?.remove(this);
  }
}

export class Chain<T> {
  head: ChainLink<T> | null = null;
  #tail: ChainLink<T> | null = null;

  /** Puts the link at the end, taking it out of where it was. */
  append(link: ChainLink<T>): void {
    if (this.#tail === link) return;
    if (link.chain !== null) link.chain.remove(link);
    link.chain = this;
    link.previous = this.#tail;
    if (this.#tail === null) this.head = link;
    else this.#tail.next = link;
    this.#tail = link;
  }

  /** Puts a link that is in no chain behind the last one that is not `after` it, from the end on. */
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
