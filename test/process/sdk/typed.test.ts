/** Codecs and typed services through a real broker: plain, streamed and stored. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { type Client, connect, defineService, json } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { silent } from '../../support/silent.js';
import { PATIENCE_MS } from '../../support/patience.js';

const contract = defineService({
  'tax.rate': {
    request: z.object({ country: z.string().transform((name) => name.toUpperCase()) }),
    reply: z.object({ rate: z.number() }),
  },
});

let endpoint: string;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  ({ endpoint } = await startDaemon());
  const typed = new Worker({
    endpoints: endpoint,
    contract,
    services: { 'tax.rate': ({ value }) => ({ rate: value.country === 'DE' ? 0.19 : 0 }) },
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

  it('streamed and stored', async () => {
    const client = connect(endpoint, { codec: json<{ list: number[] }>() });
    closing.push(() => client.close());
    const values: number[][] = [];
    for await (const { value } of client.stream('double', { list: [1, 2] })) {
      values.push(value.list);
    }
    expect(values).toEqual([[1], [2], [2, 4]]);
    const job = await client.submit('tax.rate', { country: 'de' } as never);
    expect((await job.result({ timeoutMs: PATIENCE_MS })).value).toEqual({ rate: 0.19 });
    const state = await job.state();
    expect(state.state === 'replied' && state.reply.value).toEqual({ rate: 0.19 });
    await job.close();
  });
});
