/** What is in the store of each service, as it told last: also while this node sleeps. */
import { SERVICES_KEPT_MAX, type ServiceCount } from './store.js';

export class StoredServices {
  /** By name, one character a byte. Of more services than are kept the last ones are not known. */
  readonly #counts = new Map<string, ServiceCount>();

  told(counts: readonly ServiceCount[]): void {
    for (const count of counts) {
      const name = count.service.toString('latin1');
      const isEmpty = count.pending + count.replied + count.dead === 0;
      if (isEmpty) this.#counts.delete(name);
      else if (this.#counts.size < SERVICES_KEPT_MAX || this.#counts.has(name)) {
        // What the store tells are views of a larger piece of memory.
        this.#counts.set(name, { ...count, service: Buffer.from(count.service) });
      }
    }
  }

  /** `null`: nothing of it is in the store, or it is one too many to be known. */
  of(service: Buffer): ServiceCount | null {
    return this.#counts.get(service.toString('latin1')) ?? null;
  }

  /** Those that have something in the store. */
  all(): IterableIterator<ServiceCount> {
    return this.#counts.values();
  }
}
