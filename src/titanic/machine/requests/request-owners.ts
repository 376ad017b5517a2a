/** The owners of open requests, and whose turn their changes take, as small numbers that fit into the index. */
import { present } from '../../../core/assert.js';
import type { Ownership, Owner } from '../../../store/store.js';

interface RequestOwner extends Ownership {
  /**
   * The party whose turn its changes take: the identity that stored it, or its owner if it was
   * stored before this process began.
   */
  readonly party: string;
}

interface Entry {
  readonly number: number;
  readonly owner: RequestOwner;
  readonly key: string;
  users: number;
}

export class RequestOwners {
  readonly #byKey = new Map<string, Entry>();
  readonly #byNumber: (Entry | null)[] = [];
  readonly #free: number[] = [];

  /** Returns the number of an owner, used by one more request. */
  use(owner: Owner, isShared: boolean, party: string): number {
    const key = `${isShared ? 1 : 0} ${owner} ${party}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.users++;
      return known.number;
    }
    const number = this.#free.pop() ?? this.#byNumber.length;
    const entry = { number, owner: { owner, isShared, party }, key, users: 1 };
    this.#byKey.set(key, entry);
    this.#byNumber[number] = entry;
    return number;
  }

  of(number: number): RequestOwner {
    return present(this.#byNumber[number], 'an open request has an owner').owner;
  }

  release(number: number): void {
    const entry = present(this.#byNumber[number], 'an open request has an owner');
    if (--entry.users > 0) return;
    this.#byKey.delete(entry.key);
    this.#byNumber[number] = null;
    this.#free.push(number);
  }
}
