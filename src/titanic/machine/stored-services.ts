/** What the store holds for each service, as last reported; also while this node is inactive. */
import { escapeName } from '../../core/escape.js';
import { OTHERS } from '../../core/labels.js';
import type { TitanicCounters } from './counters.js';
import { SERVICES_KEPT_MAX, type ServiceCount } from '../store/store.js';

/**
 * Labels are reserved for services that get a worker, because anybody can store requests under any
 * number of names.
 */
const LABELS_SHARE = 0.5;

export interface StoredService extends ServiceCount {
  /** Its name in printable form (D3). */
  readonly shown: string;
}

export class StoredServices {
  readonly #counters: TitanicCounters;
  /** Keyed by name, one character per byte. */
  readonly #services = new Map<string, StoredService>();
  /** Names of services that came or went since they were last taken. */
  readonly #changed = new Set<string>();

  constructor(counters: TitanicCounters) {
    this.#counters = counters;
  }

  /** If there are more services than are kept, only those with a label of their own are known. */
  update(counts: readonly ServiceCount[]): void {
    const { labels, stored } = this.#counters;
    for (const count of counts) {
      const name = count.service.toString('latin1');
      if (count.pending + count.replied + count.dead === 0) {
        if (this.#services.delete(name)) this.#changed.add(name);
        continue;
      }
      const known = this.#services.get(name);
      const shown = known?.shown ?? escapeName(count.service);
      const label = labels.claim(shown, LABELS_SHARE);
      stored.add(label);
      const hasPlace = this.#services.size < SERVICES_KEPT_MAX || label !== OTHERS;
      if (known === undefined && !hasPlace) continue;
      if (known === undefined) this.#changed.add(name);
      // The store reports views of a larger piece of memory, so they are copied.
      const service = known?.service ?? Buffer.from(count.service);
      this.#services.set(name, { ...count, service, shown });
    }
  }

  /** `null`: the store holds nothing for it, or it is above the maximum. */
  of(service: Buffer): StoredService | null {
    return this.#services.get(service.toString('latin1')) ?? null;
  }

  /** Services that came or went since the last call. */
  takeChanges(): { readonly service: Buffer; readonly hasStored: boolean }[] {
    const news = [...this.#changed].map((name) => ({
      service: Buffer.from(name, 'latin1'),
      hasStored: this.#services.has(name),
    }));
    this.#changed.clear();
    return news;
  }

  /** Services that have something in the store. */
  all(): IterableIterator<StoredService> {
    return this.#services.values();
  }
}
