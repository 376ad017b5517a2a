/** Webhooks of brokers that share a database: any of them tells of an end, wherever it happened. */
import { clientOf, endAll, serve } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { ask, httpOf } from '../support/http.js';
import { describeWithPostgres, sharedCluster } from '../support/postgres.js';
import { SHOP, TOKENS } from '../support/programs.js';
import { WebhookReceiver } from '../support/webhook-receiver.js';

const cluster = sharedCluster();
const receivers: WebhookReceiver[] = [];

afterEach(async () => {
  await endAll();
  await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
});

describeWithPostgres('webhooks of a shared database', () => {
  it('tell of replies, of what is dead, and of what another broker cancels', async () => {
    const receiver = await WebhookReceiver.open();
    receivers.push(receiver);
    const server = await cluster();
    const store = `titanic.store=${server.url(await server.database())}`;
    const sets = [store, 'http.listen=127.0.0.1:0', TOKENS, 'limits.quotas={shop: {}}'];
    const broker = (name: string): Promise<Daemon> =>
      startDaemon({ sets: [...sets, `node.name=${name}`, ...receiver.sets()] });
    const [a, b] = [await broker('a'), await broker('b')];
    const api = `${httpOf(a)}/api/v1`;
    const send = async (service: string, query = ''): Promise<string> => {
      const url = `${api}/services/${service}/requests${query}`;
      const headers = receiver.header();
      const { json } = await ask(url, { method: 'POST', token: SHOP, body: 'x', headers });
      return (json as { readonly uuid: string }).uuid;
    };
    const told = async (count: number): Promise<unknown[]> =>
      (await receiver.until(count)).map(({ json: { data } }) => [data['uuid'], data['outcome']]);
    serve(b, 'work', () => 'done');
    const replied = await send('work');
    expect(await told(1)).toEqual([[replied, 'replied']]);
    serve(b, 'work-bad', () => {
      throw new Error('broken');
    });
    const dead = await send('work-bad', '?maxAttempts=1');
    expect((await told(2))[1]).toEqual([dead, 'dead']);
    const cancelled = await send('idle');
    const url = `${httpOf(b)}/api/v1/titanic/requests/${cancelled}`;
    await ask(url, { method: 'DELETE', token: SHOP });
    expect((await told(3))[2]).toEqual([cancelled, 'cancelled']);
  });

  it('tell of what a schedule stores, which is stored with its step', async () => {
    const receiver = await WebhookReceiver.open();
    receivers.push(receiver);
    const server = await cluster();
    const store = `titanic.store=${server.url(await server.database())}`;
    const broker = await startDaemon({ sets: [store, ...receiver.sets()] });
    serve(broker, 'work', () => 'done');
    const webhook = `${receiver.origin}/done`;
    const options = { cron: '* * * * * *', webhook };
    await clientOf(broker).schedule('often', 'work', 'x', options);
    const told = await receiver.until(2);
    expect(told.map(({ json }) => json.data['outcome'])).toEqual(['replied', 'replied']);
    expect(new Set(told.map(({ json }) => json.data['uuid'])).size).toBe(2);
  });
});
