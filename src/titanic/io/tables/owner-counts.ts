/**
 * What a store file holds for each owner. Updated with every change, so that no start has to count.
 */
import type { Owner, OwnerCount } from '../../store/store.js';
import type { Statements } from './statements.js';

export class OwnerCounts {
  readonly #sql: Statements;
  readonly #counts = new Map<Owner, OwnerCount>();
  /** The counts before the current transaction, for owners that it changed. */
  readonly #before = new Map<Owner, OwnerCount>();

  constructor(sql: Statements) {
    this.#sql = sql;
    for (const count of sql.owners.all()) this.#counts.set(count.owner, count);
  }

  get all(): readonly OwnerCount[] {
    return [...this.#counts.values()];
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

  /** Called before the transaction is committed. @returns the counts that it changed */
  write(): readonly OwnerCount[] {
    const changed = [...this.#before.keys()].map((owner) => this.#of(owner));
    for (const { owner, stored, bytes } of changed) {
      if (stored === 0) this.#sql.deleteOwner.run(owner);
      else this.#sql.setOwner.run(owner, stored, bytes);
    }
    return changed;
  }

  committed(): void {
    for (const owner of this.#before.keys()) {
      if (this.#of(owner).stored === 0) this.#counts.delete(owner);
    }
    this.#before.clear();
  }

  rolledBack(): void {
    for (const [owner, count] of this.#before) this.#counts.set(owner, count);
    this.#before.clear();
  }
}
