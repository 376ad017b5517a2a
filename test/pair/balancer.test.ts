/** A pair behind a load balancer, whose clients all use HTTP (docs/http.md, a load balancer). */
import { Worker } from '../../src/sdk/worker.js';
import { freePorts } from '../support/free-ports.js';
import { ask, type Reply } from '../support/http.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairRole,
  removePairs,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { SHOP, TOKENS } from '../support/programs.js';
import { documented, killProxies, startHaproxy } from '../support/proxies.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';

const workers: Worker[] = [];

afterEach(async () => {
  killProxies();
  await Promise.all(workers.splice(0).map((worker) => worker.close({ graceMs: 0 })));
  await removePairs();
});

/** HAProxy as the document has it, with the addresses of this pair. @returns its address */
async function balanced(pair: PairOfDaemons): Promise<string> {
  const [port = 0] = await freePorts(1);
  const lines = documented('haproxy')
    .replace('10.0.0.1:5580', new URL(pair.httpOf('primary')).host)
    .replace('10.0.0.2:5580', new URL(pair.httpOf('backup')).host);
  await startHaproxy(
    `${lines}frontend http\n  bind 127.0.0.1:${port}\n  default_backend majordomo\n`,
  );
  return `http://127.0.0.1:${port}`;
}

describe('an Idempotency-Key that only the other node of a pair may know', () => {
  it('is told as unknown, and refused if its request may run once only; that makes a node serve, too', async () => {
    const pair = await startPairOfDaemons({ sets: [TOKENS, 'limits.quotas={shop: {}}'] });
    const got: string[] = [];
    const worker = new Worker({ endpoints: pair.endpoints, service: 'work' }, (asked) => {
      got.push(asked.text());
      return 'done';
    });
    workers.push(worker);
    void worker.run();
    const send = async (role: PairRole, body: string, headers = {}): Promise<Reply> => {
      const options = { method: 'POST', token: SHOP, body };
      const keyed = { 'idempotency-key': body, ...headers };
      const url = `${pair.httpOf(role)}/api/v1/services/work/requests`;
      return await ask(url, { ...options, headers: keyed });
    };
    const once = { 'majordomo-once': 'true' };
    const [first, second] = [await pair.inSync(), otherOf(await pair.inSync())];
    await until(async () => (await send(first, 'pay')).status === 200, 'a request is answered');
    // While the first one serves.
    expect(await send(second, 'pay')).toMatchObject({ status: 503 });
    const refused = await send(second, 'pay', once);
    expect([refused.status, refused.text]).toEqual([
      502,
      expect.stringContaining('does not serve'),
    ]);
    await pair.node(first).kill();
    const isReady = async (): Promise<boolean> => {
      expect((await send(second, 'once', once)).status).toBe(502);
      return (await ask(`${pair.httpOf(second)}/readyz`)).status === 200;
    };
    await until(isReady, 'the other node serves');
    let again = await send(second, 'pay');
    await until(async () => {
      again = await send(second, 'pay');
      return again.status === 200;
    }, 'it runs again');
    expect(again.headers['idempotency-status']).toBe('unknown');
    expect(got).toEqual(['pay', 'pay']);
  });
});

describe('a pair behind HAProxy that asks /servez, whose clients all use HTTP', () => {
  itWithTool(
    'haproxy',
    'fails over with the next request, and again when the other one is back',
    async () => {
      const pair = await startPairOfDaemons({ sets: [TOKENS, 'limits.quotas={shop: {}}'] });
      const worker = new Worker({ endpoints: pair.endpoints, service: 'work' }, () => 'done');
      workers.push(worker);
      void worker.run();
      const url = await balanced(pair);
      const isAnswered = async (): Promise<boolean> => {
        const sent = ask(`${url}/api/v1/services/work/requests`, {
          method: 'POST',
          token: SHOP,
          body: 'x',
        });
        // HAProxy answers 503, or cuts the connection, until it knows that a node is dead.
        return await sent.then(({ status }) => status === 200).catch(() => false);
      };
      const first = await pair.inSync();
      const second = otherOf(first);
      await until(isAnswered, 'a request is answered');
      expect((await ask(`${pair.httpOf(second)}/servez`)).status).toBe(503);
      await pair.node(first).kill();
      await until(
        async () => (await ask(`${pair.httpOf(second)}/servez`)).status === 200,
        'the other node would take over',
      );
      // The probe alone makes no node serve.
      expect((await ask(`${pair.httpOf(second)}/readyz`)).status).toBe(503);
      await until(isAnswered, 'a request is answered by the other node');
      expect((await ask(`${pair.httpOf(second)}/readyz`)).status).toBe(200);
      await pair.start(first);
      expect(await pair.inSync()).toBe(second);
      expect((await ask(`${pair.httpOf(first)}/servez`)).status).toBe(503);
      await pair.node(second).kill();
      await until(isAnswered, 'a request is answered by the first node');
    },
  );
});
