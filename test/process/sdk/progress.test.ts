/** `job.progress()` at a daemon that is killed while a worker sends parts. */
import { afterEach, describe, expect, it } from '@jest/globals';

import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { PATIENCE_MS } from '../../support/patience.js';

const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await removeDaemons();
});

describe('job.progress', () => {
  it('follows a stored request over a kill of the broker; result() has what was stored', async () => {
    const daemon = await startDaemon();
    const { endpoint, dataDir } = daemon;
    let mayEnd = (): void => undefined;
    const end = new Promise<void>((resolve) => (mayEnd = resolve));
    let runs = 0;
    const worker = new Worker(
      { endpoints: endpoint, service: 'render', concurrency: 2 },
      async function* () {
        const run = ++runs;
        yield await Promise.resolve(`run ${run}: half`);
        if (run === 1) await new Promise(() => undefined);
        await end;
        yield `run ${run}: most`;
        return 'done';
      },
    );
    closing.push(() => worker.close({ graceMs: 0 }));
    void worker.run();
    await worker.ready;
    const client = new Client({ endpoints: endpoint, timeoutMs: 500, retries: 100 });
    closing.push(() => client.close());
    const job = await client.enqueue('render', 'x');
    const parts = job.progress({ timeoutMs: PATIENCE_MS });
    const seen = async (): Promise<string> => {
      const { value } = await parts.next();
      return value === undefined ? 'end' : `${value.attempt}.${value.index} ${value.text()}`;
    };
    expect(await seen()).toBe('1.0 run 1: half');
    await daemon.kill();
    await startDaemon({ endpoint, dataDir });
    expect(await seen()).toBe('1.0 run 2: half');
    mayEnd();
    expect(await seen()).toBe('1.1 run 2: most');
    expect(await seen()).toBe('end');
    const reply = await job.result({ timeoutMs: PATIENCE_MS });
    expect(reply.frames.map(String)).toEqual(['run 2: half', 'run 2: most', 'done']);
  });
});
