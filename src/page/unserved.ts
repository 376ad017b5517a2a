import type { Service } from '../http/api/node-answers.js';

/** Requests wait, plain or stored, and nobody takes them. Those that are not due yet wait for their time. */
export function isUnserved({ workersWaiting, workersBusy, queued, durable }: Service): boolean {
  const due = durable === null ? 0 : durable.pending - (durable.delayed ?? 0);
  return queued + due > 0 && workersWaiting + workersBusy === 0;
}
