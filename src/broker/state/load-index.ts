/**
 * The available workers of one service, by load: least loaded first, then least recently used
 * (D23). Each load has a chain in order of use, and a bitmap shows which loads have a worker, so
 * that joining, leaving and finding cost the same for one worker and for thousands.
 */
import { Chain, type ChainLink } from '../../core/chain.js';

/** Chains of so many loads stay, whether they are empty or not. */
const LOADS_RETAINED = 64;
/** Above that, so many empty ones are dropped with each step. A worker that comes back makes as many anew. */
const DROPPED_MAX = 8;

export class LoadIndex<T> {
  /** The last one has a worker, or is about to be dropped: else what was once a load would stay. */
  readonly #chains: Chain<T>[] = [];
  #bitmap: Int32Array = new Int32Array(1);

  /** Moves the link behind all others of its load. */
  put(link: ChainLink<T>, load: number): void {
    this.remove(link);
    while (this.#chains.length <= load) this.#chains.push(new Chain());
    const word = load >>> 5;
    if (word >= this.#bitmap.length) {
      const grown = new Int32Array(Math.max(word + 1, this.#bitmap.length * 2));
      grown.set(this.#bitmap);
      this.#bitmap = grown;
    }
    this.#bitmap[word] = (this.#bitmap[word] ?? 0) | (1 << (load & 31));
    this.#chains[load]?.append(link);
    this.#drop(DROPPED_MAX);
  }

  /** Removes a link. The bit of its load is cleared when the next search finds the chain empty. */
  remove(link: ChainLink<T>): void {
    link.leave();
  }

  /** Removes the link of a worker that is lost. */
  forget(link: ChainLink<T>): void {
    link.leave();
    this.#drop(Infinity);
  }

  #drop(most: number): void {
    const chains = this.#chains;
    for (let left = most; left > 0 && chains.length > LOADS_RETAINED; left--) {
      if (chains[chains.length - 1]?.head !== null) return;
      chains.pop();
    }
  }

  /** Loads for which there is a chain. */
  get loads(): number {
    return this.#chains.length;
  }

  /** The first of the least loaded, or `null` if none is available. */
  first(): T | null {
    for (let word = 0; word < this.#bitmap.length; word++) {
      let bits = this.#bitmap[word] ?? 0;
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        const head = this.#chains[word * 32 + bit]?.head;
        if (head !== null && head !== undefined) return head.owner;
        bits &= ~(1 << bit);
        this.#bitmap[word] = bits;
      }
    }
    return null;
  }
}
