/** The idempotency keys of a store file, which count for their owners as long as they are kept. */
import type { KnownKey } from '../../merge.js';
import { keyBytes, type Owner } from '../../store.js';
import { type DeltaSum, keysDelta } from '../../tally.js';
import type { Statements } from './statements.js';

export class KeyRows {
  readonly #sql: Statements;
  readonly #deltas: DeltaSum;
  /** The number of the transaction. */
  readonly #changed: number;

  constructor(sql: Statements, deltas: DeltaSum, changed: number) {
    this.#sql = sql;
    this.#deltas = deltas;
    this.#changed = changed;
  }

  /** Takes the place of one that led elsewhere. */
  put(service: Buffer, key: Buffer, { owner, uuid, until, extra }: KnownKey): void {
    this.drop(service, key, owner);
    this.#sql.addKey.run(service, key, owner, uuid, until, this.#changed, extra);
    this.#deltas.add(keysDelta(owner, keyBytes(service, key)));
  }

  drop(service: Buffer, key: Buffer, owner: Owner): void {
    const { changes } = this.#sql.deleteKey.run(service, key, owner);
    if (changes > 0) this.#deltas.add(keysDelta(owner, -keyBytes(service, key)));
  }
}
