/** Waiting requests and workers, by the label of the service. Counted on demand. */
import { type ByLabel, byLabel } from '../core/labels.js';
import type { Service } from './state/entities.js';

export interface ServiceGauges {
  /** Requests of clients that wait for a worker. */
  readonly queued: ByLabel;
  /** Requests of clients that are at workers. */
  readonly inFlight: ByLabel;
  readonly workers: Readonly<Record<'waiting' | 'busy', ByLabel>>;
}

export function gaugesOf(services: Iterable<Service>): ServiceGauges {
  const queued = byLabel();
  const inFlight = byLabel();
  const waiting = byLabel();
  const busy = byLabel();
  for (const { label, queue, workers, workersBusy, storedOut } of services) {
    let out = 0;
    for (const { held } of workers) out += held.count;
    inFlight[label] = (inFlight[label] ?? 0) + out - storedOut;
    queued[label] = (queued[label] ?? 0) + queue.count;
    waiting[label] = (waiting[label] ?? 0) + workers.size - workersBusy;
    busy[label] = (busy[label] ?? 0) + workersBusy;
  }
  return { queued, inFlight, workers: { waiting, busy } };
}
