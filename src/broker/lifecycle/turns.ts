/** Work that is too much for one turn of the broker: it is done in slices, and identities take turns (D103). */
import { present } from '../../core/assert.js';
import { OldestFirst } from '../../core/oldest-first.js';
import type { Identity } from '../state/identities.js';

/**
 * Maximum number of requests that one turn handles per kind of due work, so that it does not block
 * the loop.
 */
export const RUN_BUDGET = 2048;

/** What is done for one identity before the next one has its turn. */
const SLICE = 256;

export class Turns<Item> {
  /** What each identity waits for, in order, by its name: it may end meanwhile. */
  readonly #waiting = new OldestFirst<string, Item[]>();

  add(identity: Identity, item: Item): void {
    const others = this.#waiting.get(identity.name);
    if (others === undefined) this.#waiting.set(identity.name, [item]);
    else others.push(item);
  }

  /**
   * @param budget how much may be done
   * @param work does at most so much of an item
   * @returns false if there is more to do
   */
  run(budget: number, work: (item: Item, most: number) => Slice): boolean {
    // An item costs something even if there is nothing to do for it.
    for (let left = budget; left > 0; left--) {
      const turn = this.#waiting.oldest;
      if (turn === null) return true;
      const { key: name, value: items } = turn;
      const { done, isLast } = work(present(items[0], 'what waits'), Math.min(SLICE, left));
      left -= done;
      if (isLast) items.shift();
      this.#waiting.delete(name);
      if (items.length > 0) this.#waiting.set(name, items);
    }
    return this.#waiting.size === 0;
  }
}

/** What was done of an item, and whether it is finished. */
export interface Slice {
  readonly done: number;
  readonly isLast: boolean;
}
