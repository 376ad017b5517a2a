/** What is stored now, for the row of each service. Summed up on demand. */
import { increment } from '../../core/counts.js';
import { STORED, type TitanicCounters } from './counters.js';
import type { OpenFigures } from './dispatcher.js';
import type { StoreCounts } from '../../store/store.js';
import type { StoredServices } from './stored-services.js';

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
export function measureStored(from: GaugeSources, wall: number): void {
  const { counters, counts, services, delivered } = from;
  const { others } = counters;
  others.fill(0, STORED.counters);
  for (const { stored } of counters.services.all()) stored?.now.fill(0, STORED.counters);
  const rest = {
    pending: Math.max(0, counts.pending - delivered),
    dispatched: delivered,
    replied: counts.replied,
    dead: counts.dead,
  };
  for (const { counted, service, pending, replied, dead } of services.all()) {
    const row = counters.of(counted.shown);
    const { out: dispatched, since } = from.openOf(service);
    const here = { pending: Math.max(0, pending - dispatched), dispatched, replied, dead };
    for (const state of STATES) {
      increment(row, STORED.requests[state], here[state]);
      rest[state] -= here[state];
    }
    // An age is not summed up: the oldest of those without a label is told of them together.
    const told = counted.hasLabel ? row : others;
    told[STORED.oldestMs] = Math.max(told[STORED.oldestMs] ?? 0, ageMs(since, wall));
  }
  // The counts of services that are not known by name.
  for (const state of STATES) increment(others, STORED.requests[state], Math.max(0, rest[state]));
}

/** @param since `null`: no request waits */
function ageMs(since: number | null, wall: number): number {
  return since === null ? 0 : Math.max(0, wall - since);
}

const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const;
