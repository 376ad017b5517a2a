/** What a store file holds for each service: a temporary table, which rolls back with the others. */
import { present } from '../../../core/assert.js';
import { SERVICES_COUNTED_MAX, type ServiceCount, type StoredState } from '../../store.js';
import type { Statements } from './statements.js';

type Change = { -readonly [Key in keyof Omit<ServiceCount, 'service'>]: ServiceCount[Key] };

export class ServiceCounts {
  readonly #sql: Statements;
  /** Keyed by name, one character per byte: the change that the current transaction made. */
  readonly #changes = new Map<string, Change>();

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  /** All services or, if there are more than are kept in memory, those with the most requests. */
  get all(): readonly ServiceCount[] {
    return this.#sql.services.all(SERVICES_COUNTED_MAX);
  }

  /** @param by 1: a request enters that state; -1: it leaves it */
  add(service: Buffer, state: StoredState, attempts: number, by: 1 | -1): void {
    const name = service.toString('latin1');
    let change = this.#changes.get(name);
    if (change === undefined) {
      change = { pending: 0, retrying: 0, replied: 0, dead: 0 };
      this.#changes.set(name, change);
    }
    change[state] += by;
    if (state === 'pending' && attempts > 0) change.retrying += by;
  }

  /** Called before the transaction is committed. @returns the counts that it changed */
  write(): readonly ServiceCount[] {
    const written: ServiceCount[] = [];
    for (const [name, { pending, retrying, replied, dead }] of this.#changes) {
      if (pending === 0 && retrying === 0 && replied === 0 && dead === 0) continue;
      const service = Buffer.from(name, 'latin1');
      const row = this.#sql.addToService.get(service, pending, retrying, replied, dead);
      const count = { service, ...present(row, 'the service that was written') };
      if (count.pending + count.replied + count.dead === 0) this.#sql.deleteService.run(service);
      written.push(count);
    }
    return written;
  }

  /** The transaction is over, whether committed or not. */
  ended(): void {
    this.#changes.clear();
  }
}
