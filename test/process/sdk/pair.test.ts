import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, it } from '@jest/globals';

import type { BrokerHost, InternalRequest, InternalService } from '../../../src/broker/ports.js';
import { Client, type ClientOptions } from '../../../src/sdk/client.js';
import type { Handler } from '../../../src/sdk/worker/handler.js';
import { Worker, type WorkerOptions } from '../../../src/sdk/worker.js';
import { Child, killAll, run } from '../../support/child.js';
import { endPairs, PAIR_HEARTBEAT_MS, type PairNode, startPair } from '../../support/pair-nodes.js';
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

const echo: Handler = (request) => request.frames;

async function registered(nodes: readonly PairNode[], count: number): Promise<void> {
  await until(
    () => nodes.every(({ broker }) => broker.load.workers === count),
    `${count} workers at each node`,
  );
}

/** The other node knows of the death after two heartbeats, and waits for a request. */
async function kill(active: PairNode, passive: PairNode): Promise<void> {
  passive.votesIn(2 * PAIR_HEARTBEAT_MS);
  await active.kill();
}

describe('client and worker with a pair', () => {
  it('1,000 outstanding requests survive the death of the active node', async () => {
    const nodes = await startPair();
    const [active, passive] = nodes;
    let slow = true;
    worker(nodes, async (request) => {
      // What the active node has handed out is never answered there.
      if (slow) await sleep(10_000, undefined, { ref: false });
      return request.frames;
    });
    const others = worker(nodes, echo, { concurrency: 100 });
    await registered(nodes, 2);
    const asking = client(nodes);
    const asked = Array.from({ length: 1000 }, (_, number) => `request ${number}`);
    const replies = Promise.all(asked.map((body) => asking.request('echo', body)));
    await until(() => others.counters.answered > 10, 'the first answers');
    slow = false;
    await kill(active, passive);
    expect((await replies).map((reply) => reply.text())).toEqual(asked);
    expect(passive.broker.admission).toBe('serving');
    // Nobody had to register for it.
    expect(passive.broker.counters.workersLost).toMatchObject({ expired: 0, disconnected: 0 });
  });

  it('a switchover causes no error, and requests at workers are answered by the old node', async () => {
    const nodes = await startPair();
    const [first, second] = nodes;
    worker(nodes, async (request) => {
      await sleep(20);
      return request.frames;
    });
    await registered(nodes, 1);
    const asking = client(nodes);
    const asked = Array.from({ length: 60 }, (_, number) => `request ${number}`);
    const replies = Promise.all(asked.map((body) => asking.request('echo', body)));
    await until(() => first.broker.counters.requestsReplied > 2, 'the first answers');
    first.admission('refusing');
    await sleep(20);
    second.admission('serving');
    expect((await replies).map((reply) => reply.text())).toEqual(asked);
    expect(second.broker.counters.requestsReplied).toBeGreaterThan(30);
    expect(first.broker.counters.requestsReplied + second.broker.counters.requestsReplied).toBe(60);
  });

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

  it('a worker serves at one node while the other is down', async () => {
    const nodes = await startPair();
    const [active, passive] = nodes;
    worker(nodes, echo);
    await registered(nodes, 1);
    await kill(active, passive);
    const asking = client(nodes);
    for (let at = 0; at < 10; at++) {
      expect((await asking.request('echo', `${at}`)).text()).toBe(`${at}`);
    }
    expect(passive.broker.load.workers).toBe(1);
  });
});

/** As much of Titanic as both nodes of a pair in sync show. */
class SharedStore implements InternalService {
  readonly prefix = Buffer.from('titanic.');
  readonly #uuids = new Map<string, string>();
  readonly replies = new Map<string, string>();
  /** It keeps what it is given, and answers nothing. */
  isMute = false;
  submits = 0;

  offers(): boolean {
    return true;
  }

  onlyAsks(service: Buffer): boolean {
    return service.toString() === 'titanic.wait';
  }

  get stored(): number {
    return this.#uuids.size;
  }

  request({ id, service, frames, body }: InternalRequest, host: BrokerHost): void {
    const [first = ''] = frames.copyFrom(body).map(String);
    if (service.toString() === 'titanic.submit') {
      this.submits++;
      const { key } = JSON.parse(first) as { readonly key: string };
      const uuid = this.#uuids.get(key) ?? this.#uuids.size.toString(16).padStart(32, '0');
      this.#uuids.set(key, uuid);
      if (!this.isMute) host.answer(id, [Buffer.from('200'), Buffer.from(uuid)]);
      return;
    }
    const reply = this.replies.get(first);
    if (reply !== undefined) host.answer(id, [Buffer.from('200'), Buffer.from(reply)]);
    else if (!this.isMute) host.answer(id, [Buffer.from('300')]);
  }
}

describe('stored requests of a pair', () => {
  it('a submit whose answer was lost with its node is stored only once', async () => {
    const store = new SharedStore();
    const nodes = await startPair([store]);
    const [active, passive] = nodes;
    const asking = client(nodes);
    store.isMute = true;
    const submitted = asking.submit('echo', 'hi');
    await until(() => store.submits > 0, 'the submit');
    store.isMute = false;
    await kill(active, passive);
    const job = await submitted;
    expect(store.submits).toBeGreaterThan(1);
    expect([store.stored, job.uuid]).toEqual([1, '0'.repeat(32)]);
  });

  it('a wait goes on at the other node at once after a switchover', async () => {
    const store = new SharedStore();
    const nodes = await startPair([store]);
    const [first, second] = nodes;
    const asking = client(nodes);
    const job = await asking.submit('echo', 'hi');
    store.isMute = true;
    const result = job.result();
    await until(() => first.broker.load.bytes > 0, 'the wait');
    store.replies.set(job.uuid, 'done');
    first.admission('refusing');
    second.admission('serving');
    // Else it would sit there for the half minute that it asked for.
    expect((await result).text()).toBe('done');
  });

  it('waiting continues while a node that is not certain answers 300', async () => {
    const store = new SharedStore();
    const nodes = await startPair([store]);
    const [active, passive] = nodes;
    const job = await client(nodes).submit('echo', 'hi');
    const result = client(nodes).job(job.uuid).result();
    await kill(active, passive);
    await until(() => passive.broker.admission === 'serving', 'the failover');
    store.replies.set(job.uuid, 'done');
    expect((await result).text()).toBe('done');
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
    const times = ['--timeout-ms', '2000', '--retries', '1'];
    const { status, stderr } = await run(['request', 'upper', 'one', ...times, ...at]);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining('503 this node is not active'),
    });
  });
});
