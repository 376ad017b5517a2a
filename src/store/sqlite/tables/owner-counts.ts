/** What a store file holds for each owner. */
import type { Owner, OwnerCount } from '../../store.js';

export class OwnerCounts {
  readonly #counts: Map<Owner, OwnerCount>;
  /** The counts before the current transaction, for owners that it changed. */
  readonly #before = new Map<Owner, OwnerCount>();

  constructor(counts: readonly OwnerCount[]) {
    this.#counts = new Map(counts.map((count) => [count.owner, count]));
  }

  get all(): readonly OwnerCount[] {
    return [...this.#counts.values()];
  }

  /** The counts that the current transaction changed. */
  get changed(): readonly OwnerCount[] {
    return [...this.#before.keys()].map((owner) => this.#of(owner));
  }

  add(owner: Owner, stored: number, bytes: number): void {
    const count = this.#of(owner);
    if (!this.#before.has(owner)) this.#before.set(owner, count);
    const after = { owner, stored: count.stored + stored, bytes: count.bytes + bytes };
    this.#counts.set(owner, after);
  }

  #of(owner: Owner): OwnerCount {
    return this.#counts.get(owner) ?? { owner, stored: 0, bytes: 0 };
  }

  committed(): void {
    for (const owner of this.#before.keys()) {
      const { stored, bytes } = this.#of(owner);
      if (stored === 0 && bytes === 0) this.#counts.delete(owner);
    }
    this.#before.clear();
  }

  rolledBack(): void {
    for (const [owner, count] of this.#before) this.#counts.set(owner, count);
    this.#before.clear();
  }
}
