/** The workers of `majordomo bench`, in a process of their own. */
import process from 'node:process';

import { Client } from '../../../sdk/client.js';
import { Worker } from '../../../sdk/worker.js';
import { type LoadPlan, received, send, sendFailure } from './messages.js';

const LOOK_MS = 20;

async function run(plan: LoadPlan): Promise<void> {
  const { service, concurrency } = plan;
  const at = { endpoints: plan.workerEndpoints, ...plan.keys };
  const workers = Array.from(
    { length: plan.workers },
    () => new Worker({ ...at, service, concurrency }, (request) => request.frames),
  );
  const runs = Promise.all(workers.map((worker) => worker.run()));
  const registered = allRegistered(plan);
  await Promise.race([registered, runs]);
  send({ kind: 'ready' });
  process.once('disconnect', () => {
    for (const worker of workers) void worker.close({ graceMs: 0 });
  });
  await runs;
}

/** Asks the broker until it knows all of them. */
async function allRegistered(plan: LoadPlan): Promise<void> {
  const { service, workers } = plan;
  const client = new Client({ endpoints: plan.workerEndpoints, ...plan.keys });
  try {
    for (;;) {
      const answer = await client.request('mmi.workers', service);
      const [status, list] = answer.frames;
      // A broker without that extension cannot be asked; by now its workers are registered.
      if (status?.toString() === '501') return;
      const found: unknown = list === undefined ? [] : JSON.parse(list.toString());
      if (Array.isArray(found) && found.length >= workers) return;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    await client.close();
  }
}

void received()
  .then(run)
  .catch((error: unknown) => {
    sendFailure(error);
    process.disconnect();
  });
