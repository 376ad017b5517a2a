/** What the error of a request without an answer says: what the broker knows. */
import { type Client, type ClientOptions, connect } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { startTestBroker, type TestBroker } from '../../../src/testing/testing.js';

let broker: TestBroker;
const closing: { close: () => Promise<void> }[] = [];

beforeAll(async () => {
  broker = await startTestBroker();
});

afterAll(async () => {
  await Promise.all(closing.map((each) => each.close()));
  await broker.close();
});

function clientOf(options: Partial<ClientOptions> = {}): Client {
  const client = connect(broker.endpoint, { timeoutMs: 5000, ...options });
  closing.push(client);
  return client;
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'resolved',
    (error: unknown) => (error as Error).message,
  );
}

/** A worker that answers nothing until it is closed. */
async function hanging(service: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const worker = new Worker({ endpoints: broker.endpoint, service }, () => promise);
  closing.push({
    close: async () => {
      resolve('');
      await worker.close();
    },
  });
  await worker.ready;
}

describe('what was waited for in vain', () => {
  it.concurrent.each(['failover', 'freelance'] as const)(
    'is told with the name that was possibly meant, %s',
    async (strategy) => {
      await hanging('tax.rate');
      expect(await messageOf(clientOf({ strategy }).request('tax.rat', ''))).toBe(
        `no reply from 'tax.rat' in time (timeoutMs 5000; sent once): no worker serves it; did you mean "tax.rate"?`,
      );
    },
  );

  it.concurrent('is told with what its workers are at', async () => {
    await hanging('at.work');
    expect(await messageOf(clientOf().request('at.work', ''))).toContain(
      ': its only worker has 1 request, and none waits',
    );
  });

  it.concurrent('is told with what waits', async () => {
    await hanging('busy');
    const client = clientOf();
    const ends = ['1', '2', '3'].map((body) => messageOf(client.request('busy', body)));
    expect(new Set(await Promise.all(ends))).toEqual(
      new Set([
        "no reply from 'busy' in time (timeoutMs 5000; sent once): its only worker is busy, and 2 requests wait",
      ]),
    );
  });

  it.concurrent('is told of a stored reply, too', async () => {
    const job = await clientOf().enqueue('nobody.there', '');
    expect(await messageOf(job.result({ timeoutMs: 5000 }))).toMatch(
      /within 5000 ms: no worker serves it$/,
    );
  });
});
