/** A worker with several services, its state and events, at a real broker. */
import { afterEach, describe, expect, it } from '@jest/globals';

import type { Client } from '../../../src/sdk/client.js';
import { connect } from '../../../src/sdk/client.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { outcome } from './program.js';

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await removeDaemons();
});

function workerOf(options: WorkerOptions): Worker {
  const worker = new Worker(options);
  closing.push(() => worker.close({ graceMs: 100 }));
  return worker;
}

function clientOf(endpoint: string): Client {
  const client = connect(endpoint, { ifNoWorker: 'fail' });
  closing.push(() => client.close());
  return client;
}

describe('a worker with several services', () => {
  it.each(['0.1', '0.2'] as const)(
    'is ready when the broker knows all of them, and serves each (%s)',
    async (protocol) => {
      const { endpoint } = await startDaemon();
      const worker = workerOf({
        endpoints: endpoint,
        protocol,
        concurrency: 3,
        services: { upper: (r) => r.text().toUpperCase(), lower: (r) => r.text().toLowerCase() },
      });
      await worker.ready;
      const client = clientOf(endpoint);
      const [, json] = (await client.request('mmi.services', '')).frames;
      const known = (JSON.parse(String(json)) as { service: string }[]).map((one) => one.service);
      expect(known.sort()).toEqual(['lower', 'upper']);
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const service = index % 2 === 0 ? 'upper' : 'lower';
          return (await client.request(service, 'Hi')).text();
        }),
      );
      expect(new Set(answers)).toEqual(new Set(['HI', 'hi']));
      expect(worker.registrations).toHaveLength(2);
    },
  );

  it('tells that it was lost with the broker, and registered with the next one', async () => {
    const daemon = await startDaemon();
    const worker = workerOf({ endpoints: daemon.endpoint, services: { echo: (r) => r.frames } });
    const heard: string[] = [];
    const again = new Promise<void>((resolve) => {
      worker.on('lost', ({ service, reason }) => heard.push(`${service} ${reason}`));
      worker.on('registered', () => {
        heard.push('registered');
        if (heard.length > 1) resolve();
      });
    });
    await worker.ready;
    await daemon.kill();
    await startDaemon({ endpoint: daemon.endpoint });
    await again;
    expect(heard).toEqual(['registered', 'echo connection', 'registered']);
  });
});

describe('a worker that nobody listens to', () => {
  it('prints one line if it reaches no broker', async () => {
    const program = `
      const options = { endpoints: 'tcp://127.0.0.1:9', service: 'echo', heartbeatIntervalMs: 1000 };
      new Worker(options, (r) => r.frames).run();
    `;
    const { output } = await outcome(program, {}, 15_000);
    const lines = output.split('\n').filter((line) => line.includes('MDP_WORKER_LOST'));
    expect(lines).toEqual([
      expect.stringContaining(
        "'echo' is not registered at tcp://127.0.0.1:9: no broker answers; trying again",
      ),
    ]);
  });
});
