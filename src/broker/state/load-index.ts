/**
 * The available workers of one service, by load: least loaded first, then least recently used
 * (D23). Each load has a chain in order of use, and a bitmap shows which loads have a worker, so
 * that joining, leaving and finding cost the same for one worker and for thousands.
 */
import { Chain, type ChainLink } from '../../core/chain.js';

/** After so many steps, loads above all of theirs are dropped: a worker takes each load in turn, up and down. */
const STEPS = 1024;

export class LoadIndex<T> {
  readonly #chains: Chain<T>[] = [];
  /** The highest load of the latest steps, and how many are to come before what is above it is dropped. */
  #highest = 0;
  #stepsLeft = STEPS;
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
    if (load > this.#highest) this.#highest = load;
    if (--this.#stepsLeft > 0) return;
    this.#drop(this.#highest + 1);
    this.#highest = 0;
    this.#stepsLeft = STEPS;
  }

  /** Removes a link. The bit of its load is cleared when the next search finds the chain empty. */
  remove(link: ChainLink<T>): void {
    link.leave();
  }

  /** Removes the link of a worker that is lost. */
  forget(link: ChainLink<T>): void {
    link.leave();
    this.#drop(0);
  }

  /** Drops loads that no worker has, from the highest one on. */
  #drop(retained: number): void {
    const chains = this.#chains;
    while (chains.length > retained && chains[chains.length - 1]?.head === null) chains.pop();
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
