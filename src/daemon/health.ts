import type { Reason } from '../http/api/node-answers.js';
import type { Health } from '../http/ports.js';
import type { PairView } from './pair-view.js';
import type { StoreFailure } from '../titanic/store/store.js';
import type { TitanicEvent, TitanicEvents } from '../titanic/machine/events.js';

type Phase = 'starting' | 'serving' | 'draining';

const NOT_READY: Readonly<Record<Phase, Reason | null>> = {
  starting: { code: 'starting', text: 'starting: not serving clients yet' },
  serving: null,
  draining: { code: 'draining', text: 'draining: shutting down and refusing new requests' },
};

/** Whether this node serves clients, and what is degraded; it learns both from events. */
export class NodeHealth implements TitanicEvents {
  phase: Phase = 'starting';
  /** `null`: a standalone node. */
  pair: Pick<PairView, 'notReady' | 'degraded'> | null = null;
  /** `null`: there is no map. */
  map: { readonly trouble: StoreFailure | null } | null = null;
  /** Why nothing can be stored. */
  #storeTrouble: Reason | null = null;

  emit(event: TitanicEvent): void {
    if (event.name === 'store.failed') {
      const text = `durable requests are refused (500): ${event.text}`;
      this.#storeTrouble = { code: `store_${event.kind}`, text };
    } else if (event.name === 'store.healed') {
      this.#storeTrouble = null;
    }
  }

  get now(): Health {
    const ofStore = this.#storeTrouble === null ? [] : [this.#storeTrouble];
    const trouble = this.map?.trouble ?? null;
    const ofMap: readonly Reason[] =
      trouble === null
        ? []
        : [
            {
              code: `map_${trouble.kind}`,
              text: `new values of the map are dropped: ${trouble.message}`,
            },
          ];
    return {
      notReady: NOT_READY[this.phase] ?? this.pair?.notReady ?? null,
      degraded: [...ofStore, ...ofMap, ...(this.pair?.degraded ?? [])],
    };
  }
}
