/** Codecs and typed services through a real broker: plain, streamed and stored. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { type Client, connect, defineService, json } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { silent } from '../../support/silent.js';
import { PATIENCE_MS } from '../../support/patience.js';

const contract = defineService({
  sum: {
    input: z.array(z.number()),
    output: z.object({ sum: z.number() }),
    progress: z.object({ added: z.number() }),
  },
  'tax.rate': {
    input: z.object({ country: z.string().transform((name) => name.toUpperCase()) }),
    output: z.object({ rate: z.number() }),
  },
});

let endpoint: string;
let release: () => void;
const released = new Promise<void>((resolve) => {
  release = resolve;
});
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  ({ endpoint } = await startDaemon());
  const typed = new Worker({
    endpoints: endpoint,
    contract,
    services: {
      'tax.rate': ({ value }) => ({ rate: value.country === 'DE' ? 0.19 : 0 }),
      sum: async ({ value }, { progress }) => {
        let sum = 0;
        for (const item of value) {
          sum += item;
          progress({ added: sum });
        }
        await released;
        return { sum };
      },
    },
  });
  const plain = new Worker(
    { endpoints: endpoint, service: 'double', codec: json<{ list: number[] }>() },
    async function* ({ value: { list } }) {
      for (const item of list) yield { list: [item] };
      return { list: list.map((item) => item * 2) };
    },
  );
  for (const worker of [typed, plain] as Worker[]) {
    closing.push(() => worker.close());
    await silent(worker).ready;
  }
});

afterAll(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await removeDaemons();
});

describe('values instead of bytes', () => {
  it('call() is answered, and checked at the worker if the client has no contract', async () => {
    const client = connect(endpoint, { contract, codec: json() });
    closing.push(() => client.close());
    expect(await client.call('tax.rate', { country: 'de' })).toEqual({ rate: 0.19 });
    await expect(client.request('tax.rate', { country: 7 })).rejects.toMatchObject({
      ...{ code: 'ERR_SERVICE_FAILED', service: 'tax.rate', serviceCode: 'invalid_argument' },
      details: { issues: [{ path: ['country'] }] },
    });
    const bare: Client = connect(endpoint);
    closing.push(() => bare.close());
    await expect(bare.request('tax.rate', 'not JSON')).rejects.toMatchObject({
      serviceCode: 'invalid_argument',
    });
    // A wrong request that is stored is dead at once.
    const job = await bare.submit('tax.rate', '{"country":7}');
    await expect(job.result({ timeoutMs: PATIENCE_MS })).rejects.toMatchObject({
      serviceCode: 'invalid_argument',
    });
  });

  it('progress is told while a stored request runs, and is no part of its result', async () => {
    const client = connect(endpoint, { contract });
    closing.push(() => client.close());
    const job = await client.enqueue('sum', [1, 2]);
    const told: number[] = [];
    for await (const part of job.progress({ timeoutMs: PATIENCE_MS })) {
      if (part.progress) told.push(part.value.added);
      if (told.length === 2) release();
    }
    const { value } = await job.result({ timeoutMs: PATIENCE_MS });
    const found = await client.job(job.uuid, 'sum').result({ timeoutMs: PATIENCE_MS });
    expect([told, value.sum, found.value.sum]).toEqual([[1, 3], 3, 3]);
    // One who speaks 0.1 gets the reply alone.
    const old = connect(endpoint, { protocol: '0.1' });
    closing.push(() => old.close());
    expect((await old.request('sum', '[4]')).text()).toBe('{"sum":4}');
  });

  it('streamed and stored', async () => {
    const client = connect(endpoint, { codec: json<{ list: number[] }>() });
    closing.push(() => client.close());
    const values: number[][] = [];
    for await (const { value } of client.stream('double', { list: [1, 2] })) {
      values.push(value.list);
    }
    expect(values).toEqual([[1], [2], [2, 4]]);
    const doubled = await client.enqueue('double', { list: [1, 2] });
    expect((await doubled.result({ timeoutMs: PATIENCE_MS })).value).toEqual({ list: [2, 4] });
    const job = await client.submit('tax.rate', { country: 'de' });
    expect((await job.result({ timeoutMs: PATIENCE_MS })).value).toEqual({ rate: 0.19 });
    const state = await job.state();
    expect(state.state === 'replied' && state.reply.value).toEqual({ rate: 0.19 });
    await job.close();
  });
});
