/** Webhooks of a pair: the node that serves tells of each end, through a failover. */
import { Client } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';
import { ask } from '../support/http.js';
import { removePairs, startPairOfDaemons } from '../support/pair-daemons.js';
import { SHOP, TOKENS } from '../support/programs.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const clients: Client[] = [];
const workers: Worker[] = [];
const receivers: WebhookReceiver[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(workers.splice(0).map((worker) => worker.close({ graceMs: 0 })));
  await removePairs();
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
});

describe('a webhook of a pair', () => {
  it('whose request was answered before kill -9 is told by the other node; so is one that was not', async () => {
    const receiver = await WebhookReceiver.open();
    receivers.push(receiver);
    // What the first node sends arrives, and is never answered.
    receiver.answering = () => undefined;
    const sets = [TOKENS, 'limits.quotas={shop: {}}', ...receiver.sets()];
    const pair = await startPairOfDaemons({ sets });
    const active = await pair.inSync();
    const store = async (service: string): Promise<string> => {
      const url = `${pair.httpOf(active)}/api/v1/services/${service}/requests`;
      const headers = receiver.header();
      const { json } = await ask(url, { method: 'POST', token: SHOP, body: 'x', headers });
      return (json as { readonly uuid: string }).uuid;
    };
    const serve = (service: string): void => {
      const worker = new Worker({ endpoints: pair.endpoints, service }, () => 'done');
      workers.push(worker);
      void worker.run();
    };
    serve('work');
    const waiting = await store('idle');
    const answered = await store('work');
    await receiver.until(1);
    await pair.node(active).kill();
    receiver.answering = (response) => response.writeHead(204).end();
    // A client's request has the other node serve.
    const client = new Client({ endpoints: pair.endpoints, timeoutMs: 61_000 });
    clients.push(client);
    expect((await client.request('work', 'x')).text()).toBe('done');
    const told = async (count: number): Promise<unknown[]> =>
      (await receiver.until(count)).map(({ json: { data } }) => data['uuid']);
    expect(await told(2)).toEqual([answered, answered]);
    serve('idle');
    expect(await told(3)).toEqual([answered, answered, waiting]);
    await pair.start(active);
    const { differences } = await pair.rest();
    expect(differences).toEqual([]);
    expect(receiver.received).toHaveLength(3);
  });
});
