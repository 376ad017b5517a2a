/** What waits and who works, by the label of the service: counted when someone asks. */
import { LABELS_MAX } from './labels.js';
import type { ByLabel } from './request-counters.js';
import type { Service } from './state.js';

export interface ServiceGauges {
  /** Requests of clients that wait for a worker. */
  readonly queued: ByLabel;
  readonly workers: Readonly<Record<'waiting' | 'busy', ByLabel>>;
}

export function gaugesOf(services: Iterable<Service>): ServiceGauges {
  const queued = new Float64Array(LABELS_MAX);
  const waiting = new Float64Array(LABELS_MAX);
  const busy = new Float64Array(LABELS_MAX);
  for (const { label, queue, workers, workersBusy } of services) {
    queued[label] = (queued[label] ?? 0) + queue.count;
    waiting[label] = (waiting[label] ?? 0) + workers.size - workersBusy;
    busy[label] = (busy[label] ?? 0) + workersBusy;
  }
  return { queued, workers: { waiting, busy } };
}
