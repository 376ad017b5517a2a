import type { FleetReturnReason } from './protocol.js';
import type { DroppedReason } from './fleet-events.js';

/** What the fleet machine has counted since its start. */
export class FleetCounters {
  /** Requests sent to other brokers, and taken from them. */
  readonly bridged: { out: number; in: number } = { out: 0, in: 0 };
  /** Requests that came back from other brokers without an answer. */
  readonly returned: Record<FleetReturnReason, number> = { busy: 0, returned: 0, lost: 0 };
  /** Packs, or parts of them, that were not used; `late`: no fault of anybody, and not reported. */
  readonly dropped: Record<DroppedReason | 'late', number> = {
    garbage: 0,
    version: 0,
    fleet: 0,
    replayed: 0,
    jump: 0,
    unknown: 0,
    late: 0,
    chunk: 0,
    full: 0,
  };
}
