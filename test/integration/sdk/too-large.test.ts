/** Messages over the limits between SDK and broker, over real sockets. */
import { Client } from '../../../src/sdk/client.js';
import { type Handler, Worker } from '../../../src/sdk/worker.js';
import { startTestBroker, type TestBroker } from '../../../src/testing/testing.js';

const opened: { close(): Promise<unknown> }[] = [];
/** Of the test broker: `limits.messageBytes`. */
const LIMIT = 16 * 1024 * 1024;
const LARGE = Buffer.alloc(LIMIT + 1);

function opening<Each extends { close(): Promise<unknown> }>(each: Each): Each {
  opened.unshift(each);
  return each;
}

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
});

/** A worker, with how often it ran. */
async function offer(
  { endpoint }: TestBroker,
  handler: Handler,
): Promise<{ readonly failures: string[]; runs: number }> {
  const seen = { failures: [] as string[], runs: 0 };
  const worker = new Worker({ endpoints: endpoint, service: 'work', concurrency: 4 }, (...args) => {
    seen.runs++;
    return handler(...args);
  });
  worker.on('failed', ({ error }) => {
    seen.failures.push(String(error));
  });
  worker.on('lost', ({ reason }) => {
    seen.failures.push(`lost: ${reason}`);
  });
  opening(worker);
  void worker.run();
  await worker.ready;
  return seen;
}

describe('a message over the limits (D100)', () => {
  it('of a client fails its request alone, also before the limit is known', async () => {
    const broker = opening(await startTestBroker());
    const worker = await offer(broker, () => 'done');
    const client = opening(new Client({ endpoints: broker.endpoint, timeoutMs: 240_000 }));
    for (let round = 0; round < 3; round++) {
      const [large, small] = await Promise.allSettled([
        client.request('work', LARGE),
        client.request('work', 'x'),
      ]);
      expect(large).toMatchObject({ reason: { code: 'ERR_MDP_TOO_LARGE' } });
      expect(small).toMatchObject({ status: 'fulfilled' });
    }
    await expect(client.enqueue('work', LARGE)).rejects.toMatchObject({
      code: 'ERR_MDP_TOO_LARGE',
    });
    expect(worker.runs).toBe(3);
    expect(client.counters).toMatchObject({ resends: 0, reopened: 0 });
  });

  it('of a worker fails its request alone, for plain, streamed and stored ones', async () => {
    const broker = opening(await startTestBroker());
    const failure = { code: 'ERR_SERVICE_FAILED', serviceCode: 'too-large' };
    const worker = await offer(broker, async function* (request) {
      const asked = request.text();
      if (asked === 'part') yield LARGE;
      return await Promise.resolve(asked === 'large' ? LARGE : 'small');
    });
    const client = opening(new Client({ endpoints: broker.endpoint, timeoutMs: 240_000 }));
    const others = Array.from({ length: 3 }, () => client.request('work', 'other'));
    await expect(client.request('work', 'large')).rejects.toMatchObject({
      ...failure,
      details: { bytes: LIMIT + 1, bytesMax: LIMIT },
    });
    await expect(client.request('work', 'part')).rejects.toMatchObject(failure);
    const job = await client.enqueue('work', 'large');
    await expect(job.result()).rejects.toMatchObject(failure);
    for (const other of await Promise.all(others)) expect(other.text()).toBe('small');
    expect(worker.runs).toBe(6);
    expect(worker.failures).toHaveLength(3);
    expect(worker.failures.join()).not.toContain('lost');
  });
});
