/** A pair behind a load balancer, whose clients all use HTTP (docs/http.md, a load balancer). */
import { Worker } from '../../src/sdk/worker.js';
import { freePorts } from '../support/free-ports.js';
import { ask } from '../support/http.js';
import {
  otherOf,
  type PairOfDaemons,
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
