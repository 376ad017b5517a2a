/** Randomness from a seed: the same campaign again. (Marsaglia's xorshift.) */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (Math.imul(seed, 2654435761) >>> 0) | 1;
    for (let n = 0; n < 8; n++) this.next();
  }

  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state;
  }

  below(bound: number): number {
    return this.next() % bound;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }
}
