/** An item of a circle. The fields belong to `Circle`. */
export interface InCircle<Item> {
  /** The neighbours of an item; `null`: it is in no circle. */
  after: Item | null;
  before: Item | null;
}

/** Items that take turns: the first one's turn comes next, and one that had its turn is the last. */
export class Circle<Item extends InCircle<Item>> {
  #first: Item | null = null;

  get first(): Item | null {
    return this.#first;
  }

  /** Adds an item, which is in no circle, as the last one. */
  append(item: Item): void {
    const first = this.#first ?? item;
    const last = first.before ?? first;
    this.#first = first;
    item.after = first;
    item.before = last;
    last.after = item;
    first.before = item;
  }

  /** The first one had its turn. */
  turn(): void {
    if (this.#first !== null) this.#first = this.#first.after;
  }

  /** Takes out an item, if it is in this circle. */
  remove(item: Item): void {
    const { after, before } = item;
    if (after === null || before === null) return;
    before.after = after;
    after.before = before;
    if (this.#first === item) this.#first = after === item ? null : after;
    item.after = null;
    item.before = null;
  }

  /** All items, in the order of their turns. The circle must not change meanwhile. */
  *all(): Generator<Item, undefined> {
    const first = this.#first;
    for (let item = first; item !== null; item = item.after === first ? null : item.after) {
      yield item;
    }
  }
}
