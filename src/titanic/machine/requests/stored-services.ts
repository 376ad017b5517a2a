/** What the store holds for each service, as last reported; also while this node is inactive. */
import { ownCopy } from '../../../core/bytes.js';
import { escapeName } from '../../../core/escape.js';
import type { CountedService, CountedServices } from '../../../core/counted-services.js';
import { STORED } from './counters.js';
import { SERVICES_COUNTED_MAX, type ServiceCount } from '../../../store/store.js';

interface StoredService extends ServiceCount {
  readonly counted: CountedService;
}

export class StoredServices {
  readonly #counted: CountedServices;
  /** Keyed by name, one character per byte. */
  readonly services = new Map<string, StoredService>();
  /** Names of services that came or went since they were last taken. */
  readonly #changed = new Set<string>();

  constructor(counted: CountedServices) {
    this.#counted = counted;
  }

  /** If there are more services than are kept, only those that the broker knows are known. */
  update(counts: readonly ServiceCount[]): void {
    for (const count of counts) {
      const name = count.service.toString('latin1');
      const known = this.services.get(name);
      if (count.pending + count.replied + count.dead === 0) {
        if (known === undefined) continue;
        known.counted.isStored = false;
        this.services.delete(name);
        this.#changed.add(name);
        continue;
      }
      const counted = known?.counted ?? this.#newly(count.service);
      if (counted === null) continue;
      if (known === undefined) this.#changed.add(name);
      this.#counted.stores(counted, STORED);
      // The store reports views of a larger piece of memory, so they are copied.
      const service = known?.service ?? ownCopy(count.service);
      this.services.set(name, { ...count, service, counted });
    }
  }

  #newly(service: Buffer): CountedService | null {
    const shown = escapeName(service);
    const hasRoom = this.services.size < SERVICES_COUNTED_MAX;
    return hasRoom ? this.#counted.of(shown) : this.#counted.find(shown);
  }

  /** `null`: the store holds nothing for it, or it is above the maximum. */
  of(service: Buffer): StoredService | null {
    return this.services.get(service.toString('latin1')) ?? null;
  }

  /** Services that came or went since the last call. */
  takeChanges(): { readonly service: Buffer; readonly hasStored: boolean }[] {
    const news = [...this.#changed].map((name) => ({
      service: Buffer.from(name, 'latin1'),
      hasStored: this.services.has(name),
    }));
    this.#changed.clear();
    return news;
  }
}
