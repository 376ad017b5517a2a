/**
 * The holders of one service: other brokers whose workers can take a request while none here is
 * available (D83).
 */
import type { RemoteHolder } from '../ports.js';

/** Pairs of holders that are tried for one request: the first may have no room for its bytes. */
const TRIES_MAX = 4;

/** A holder, as far as it concerns which one is picked. */
interface Pickable {
  readonly credit: number;
  readonly held: { readonly count: number };
  readonly remote: RemoteHolder | null;
  /** The place among the holders with credit left; -1: none. */
  freeAt: number;
}

export class RemoteIndex<Holder extends Pickable> {
  readonly #all = new Set<Holder>();
  /** Holders with credit left, in no order. */
  readonly #free: Holder[] = [];
  /** State of a generator (xorshift): the choice needs no secrecy. */
  #random: number;

  constructor(seed: number) {
    this.#random = seed | 1;
  }

  get size(): number {
    return this.#all.size;
  }

  get hasFree(): boolean {
    return this.#free.length > 0;
  }

  add(holder: Holder): void {
    this.#all.add(holder);
    this.update(holder);
  }

  delete(holder: Holder): void {
    this.#all.delete(holder);
    this.#take(holder);
  }

  /** Takes note that the credit of a holder, or the number of requests out at it, has changed. */
  update(holder: Holder): void {
    if (!this.#all.has(holder)) return;
    if (holder.held.count >= holder.credit) {
      this.#take(holder);
    } else if (holder.freeAt < 0) {
      holder.freeAt = this.#free.length;
      this.#free.push(holder);
    }
  }

  /**
   * Picks the less loaded of two random holders.
   * @param bytes, isOnce see `RemoteHolder.takes`
   * @returns `null`: none takes the request
   */
  pick(bytes: number, isOnce: boolean): Holder | null {
    const { length } = this.#free;
    for (let tries = 0; tries < TRIES_MAX && length > 0; tries++) {
      const one = this.#at(length, bytes, isOnce);
      const other = this.#at(length, bytes, isOnce);
      if (one === null && other === null) continue;
      if (one === null || other === null) return one ?? other;
      return loadOf(other) < loadOf(one) ? other : one;
    }
    // Few have room: look at all of them.
    return this.#free.find((holder) => holder.remote?.takes(bytes, isOnce) === true) ?? null;
  }

  #at(length: number, bytes: number, isOnce: boolean): Holder | null {
    const found = this.#free[this.#below(length)];
    return found?.remote?.takes(bytes, isOnce) === true ? found : null;
  }

  #below(limit: number): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return (x >>> 0) % limit;
  }

  #take(holder: Holder): void {
    const at = holder.freeAt;
    if (at < 0) return;
    holder.freeAt = -1;
    const last = this.#free.pop();
    if (last === undefined || last === holder) return;
    this.#free[at] = last;
    last.freeAt = at;
  }
}

function loadOf({ remote }: Pickable): number {
  return remote?.load ?? 1;
}
