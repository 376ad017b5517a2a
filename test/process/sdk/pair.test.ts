import { setTimeout as sleep } from 'node:timers/promises';

import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import type { Handler } from '../../../src/sdk/worker/handler.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { Child, killAll, run } from '../../support/child.js';
import { endPairs, type PairNode, startPair } from '../../support/pair-nodes.js';
import { until } from '../../support/until.js';

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await killAll();
  await endPairs();
});

function client(nodes: readonly PairNode[], options: Partial<ClientOptions> = {}): Client {
  const made = new Client({ endpoints: nodes.map(({ endpoint }) => endpoint), ...options });
  closing.push(() => made.close());
  return made;
}

function worker(
  nodes: readonly PairNode[],
  handler: Handler,
  options: Partial<WorkerOptions> = {},
): Worker {
  const endpoints = nodes.map(({ endpoint }) => endpoint);
  const made = new Worker({ endpoints, service: 'echo', ...options }, handler);
  closing.push(() => made.close({ graceMs: 100 }));
  void made.run();
  return made;
}

async function registered(nodes: readonly PairNode[], count: number): Promise<void> {
  await until(
    () => nodes.every(({ broker }) => broker.load.workers === count),
    `${count} workers at each node`,
  );
}

describe('client and worker with a pair', () => {
  it.each([1, 8])('a worker runs %i at once, of both nodes together', async (concurrency) => {
    const nodes = await startPair();
    const [first, second] = nodes;
    second.admission('serving');
    let running = 0;
    let most = 0;
    worker(
      nodes,
      async (request) => {
        most = Math.max(most, ++running);
        await sleep(1);
        running--;
        return request.frames;
      },
      { concurrency },
    );
    await registered(nodes, 1);
    const clients = [client([first]), client([second])];
    const replies = clients.flatMap((each) =>
      Array.from({ length: 100 }, (_, number) => each.request('echo', String(number))),
    );
    expect(await Promise.all(replies)).toHaveLength(200);
    expect(most).toBe(concurrency);
  });

  it('a worker that closes drains at both nodes', async () => {
    const nodes = await startPair();
    const [first, second] = nodes;
    second.admission('serving');
    const closingOne = worker(
      nodes,
      async (request) => {
        await sleep(200);
        return request.frames;
      },
      { concurrency: 2 },
    );
    await registered(nodes, 1);
    const replies = [first, second].map((node) => client([node]).request('echo', 'hi'));
    await until(() => closingOne.running === 2, 'both to be at work');
    await closingOne.close();
    expect((await Promise.all(replies)).map((reply) => reply.text())).toEqual(['hi', 'hi']);
    await registered(nodes, 0);
    for (const { broker } of nodes) {
      expect(broker.load).toMatchObject({ workers: 0, requests: 0 });
      expect(broker.counters.workersLost).toMatchObject({ disconnected: 1, connection: 0 });
    }
  });
});

describe('majordomo … --endpoint … --endpoint …', () => {
  it('request, worker and services find the node that serves', async () => {
    const nodes = await startPair();
    const [first, second] = nodes;
    const at = nodes.flatMap(({ endpoint }) => ['--endpoint', endpoint]);
    new Child(['worker', 'upper', ...at, '--', 'tr', 'a-z', 'A-Z']).input('');
    await registered(nodes, 1);
    expect(await run(['request', 'upper', 'one', ...at])).toMatchObject({ stdout: 'ONE\n' });
    first.admission('refusing');
    second.admission('serving');
    expect(await run(['request', 'upper', 'two', ...at])).toMatchObject({ stdout: 'TWO\n' });
    await first.kill();
    expect(await run(['request', 'upper', 'three', ...at])).toMatchObject({ stdout: 'THREE\n' });
    const services = await run(['services', '-o', 'json', ...at]);
    expect(JSON.parse(services.stdout)).toMatchObject([{ service: 'upper', workersWaiting: 1 }]);
  });

  it('a request that both nodes refuse exits with 1 and says so', async () => {
    const nodes = await startPair();
    nodes[0].admission('refusing');
    const at = nodes.flatMap(({ endpoint }) => ['--endpoint', endpoint]);
    const times = ['--timeout-ms', '4000'];
    const { status, stderr } = await run(['request', 'upper', 'one', ...times, ...at]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('503 this node is not active'),
    });
  });
});
