/** The idempotency keys of a store file, which count for their owners as long as they are kept. */
import type { KnownKey } from '../../merge.js';
import { keyBytes, type Owner } from '../../store.js';
import type { OwnerCounts } from './owner-counts.js';
import type { Statements } from './statements.js';

export class KeyRows {
  readonly #sql: Statements;
  readonly #owners: OwnerCounts;
  /** The number of the transaction. */
  readonly #changed: number;

  constructor(sql: Statements, owners: OwnerCounts, changed: number) {
    this.#sql = sql;
    this.#owners = owners;
    this.#changed = changed;
  }

  /** Takes the place of one that led elsewhere. */
  put(service: Buffer, key: Buffer, { owner, uuid, until, extra }: KnownKey): void {
    this.drop(service, key, owner);
    this.#sql.addKey.run(service, key, owner, uuid, until, this.#changed, extra);
    this.#owners.add(owner, 0, keyBytes(service, key));
  }

  drop(service: Buffer, key: Buffer, owner: Owner): void {
    const { changes } = this.#sql.deleteKey.run(service, key, owner);
    if (changes > 0) this.#owners.add(owner, 0, -keyBytes(service, key));
  }
}
