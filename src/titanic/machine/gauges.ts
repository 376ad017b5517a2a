/** What is stored now, by the label of the service. Summed up on demand. */
import { type ByLabel, byLabel, increment, OTHERS } from '../../core/labels.js';
import type { TitanicCounters } from './counters.js';
import type { OpenFigures } from './dispatcher.js';
import type { StoreCounts } from '../store/store.js';
import type { StoredServices } from './stored-services.js';

export interface StoredGauges {
  readonly requests: Readonly<Record<'pending' | 'dispatched' | 'replied' | 'dead', ByLabel>>;
  /** How long the oldest pending request has waited, in milliseconds; 0 if there is none. */
  readonly oldestMs: ByLabel;
}

/** The sources of the sums. */
export interface GaugeSources {
  readonly counters: TitanicCounters;
  readonly counts: StoreCounts;
  readonly services: StoredServices;
  /** Requests with a worker, for all services. */
  readonly delivered: number;
  openOf(service: Buffer): OpenFigures;
}

/** @param wall milliseconds since 1970 */
export function storedGauges(from: GaugeSources, wall: number): StoredGauges {
  const { counters, counts, services, delivered } = from;
  const requests = {
    pending: byLabel(),
    dispatched: byLabel(),
    replied: byLabel(),
    dead: byLabel(),
  };
  const oldestMs = byLabel();
  const rest = {
    pending: Math.max(0, counts.pending - delivered),
    dispatched: delivered,
    replied: counts.replied,
    dead: counts.dead,
  };
  for (const { service, shown, pending, replied, dead } of services.all()) {
    const label = counters.labels.of(shown);
    counters.stored.add(label);
    const { out: dispatched, since } = from.openOf(service);
    const here = { pending: Math.max(0, pending - dispatched), dispatched, replied, dead };
    for (const state of STATES) {
      increment(requests[state], label, here[state]);
      rest[state] -= here[state];
    }
    oldestMs[label] = Math.max(oldestMs[label] ?? 0, ageMs(since, wall));
  }
  // The counts of services that are not known by name.
  for (const state of STATES) increment(requests[state], OTHERS, Math.max(0, rest[state]));
  return { requests, oldestMs };
}

/** @param since `null`: no request waits */
function ageMs(since: number | null, wall: number): number {
  return since === null ? 0 : Math.max(0, wall - since);
}

const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const;
