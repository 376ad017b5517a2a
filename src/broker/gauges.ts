/** Waiting requests, workers and pauses, for the row of each service. Counted on demand. */
import { PLAIN } from './request-counters.js';
import type { Service } from './state/entities.js';

export function measure(services: Iterable<Service>): void {
  for (const service of services) {
    const { counts, waiting, workers, workersBusy, isPaused } = service;
    counts[PLAIN.inFlight] = inFlight(service);
    counts[PLAIN.queued] = waiting.plainCount;
    counts[PLAIN.workers.waiting] = workers.size - workersBusy;
    counts[PLAIN.workers.busy] = workersBusy;
    counts[PLAIN.paused] = isPaused ? 1 : 0;
  }
}

/** Requests of clients that are at its workers. */
export function inFlight(service: Service): number {
  return held(service) - service.storedOut;
}

/** How many more requests its workers take now. */
export function freePlaces({ workers }: Service): number {
  let free = 0;
  for (const { credit, held: out } of workers) free += Math.max(0, credit - out.count);
  return free;
}

function held({ workers }: Service): number {
  let out = 0;
  for (const worker of workers) out += worker.held.count;
  return out;
}
