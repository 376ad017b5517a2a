import type { Service } from '../admin/api/node-answers.js';

/** True if requests wait, plain or stored and due, and the service has no worker. */
export function isUnserved({ workersWaiting, workersBusy, queued, durable }: Service): boolean {
  const due = durable === null ? 0 : durable.pending - (durable.delayed ?? 0);
  return queued + due > 0 && workersWaiting + workersBusy === 0;
}
