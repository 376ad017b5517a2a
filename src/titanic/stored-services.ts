/** What is in the store of each service, as it told last: also while this node sleeps. */
import { escapeName } from '../core/escape.js';
import { OTHERS } from '../core/labels.js';
import type { TitanicCounters } from './counters.js';
import { SERVICES_KEPT_MAX, type ServiceCount } from './store.js';

/** Labels are left for services that get a worker: a name costs whoever stores a request nothing. */
const LABELS_SHARE = 0.5;

export interface StoredService extends ServiceCount {
  /** Its name as it may be shown (D3). */
  readonly shown: string;
}

export class StoredServices {
  readonly #counters: TitanicCounters;
  /** By name, one character a byte. */
  readonly #services = new Map<string, StoredService>();
  /** Names of those that came or went since they were taken. */
  readonly #news = new Set<string>();

  constructor(counters: TitanicCounters) {
    this.#counters = counters;
  }

  /** Of more services than are kept only those are known that have a label of their own. */
  told(counts: readonly ServiceCount[]): void {
    const { labels, stored } = this.#counters;
    for (const count of counts) {
      const name = count.service.toString('latin1');
      if (count.pending + count.replied + count.dead === 0) {
        if (this.#services.delete(name)) this.#news.add(name);
        continue;
      }
      const known = this.#services.get(name);
      const shown = known?.shown ?? escapeName(count.service);
      const label = labels.claim(shown, LABELS_SHARE);
      stored.add(label);
      const hasPlace = this.#services.size < SERVICES_KEPT_MAX || label !== OTHERS;
      if (known === undefined && !hasPlace) continue;
      if (known === undefined) this.#news.add(name);
      // What the store tells are views of a larger piece of memory.
      const service = known?.service ?? Buffer.from(count.service);
      this.#services.set(name, { ...count, service, shown });
    }
  }

  /** `null`: nothing of it is in the store, or it is one too many to be known. */
  of(service: Buffer): StoredService | null {
    return this.#services.get(service.toString('latin1')) ?? null;
  }

  /** Those that came, or went, since this was last asked. */
  takeNews(): { readonly service: Buffer; readonly hasStored: boolean }[] {
    const news = [...this.#news].map((name) => ({
      service: Buffer.from(name, 'latin1'),
      hasStored: this.#services.has(name),
    }));
    this.#news.clear();
    return news;
  }

  /** Those that have something in the store. */
  all(): IterableIterator<StoredService> {
    return this.#services.values();
  }
}
