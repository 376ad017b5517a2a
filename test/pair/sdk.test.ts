import { Client, type ClientOptions } from '../../src/sdk/client.js';
import type { Handler } from '../../src/sdk/worker/handler.js';
import { Worker } from '../../src/sdk/worker.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairRole,
  removePairs,
  ROLES,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { until } from '../support/until.js';

/** Longer than a case may last: a client that waits this long did not move by a 503. */
const NEVER_MS = 300_000;

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await removePairs();
});

function client(
  pair: PairOfDaemons,
  first: PairRole,
  options: Partial<ClientOptions> = {},
): Client {
  const endpoints = [first, otherOf(first)].map((role) => pair.endpointOf(role));
  const made = new Client({ endpoints, ...options });
  closing.push(() => made.close());
  return made;
}

const echo: Handler = (request) => request.frames;

/** A worker, once both nodes know it. */
async function worker(pair: PairOfDaemons, handler: Handler, concurrency = 1): Promise<Worker> {
  const before = ROLES.map((role) => pair.node(role).logged('worker.registered').length);
  const { endpoints } = pair;
  const made = new Worker({ endpoints, service: 'echo', concurrency }, handler);
  closing.push(() => made.close({ graceMs: 100 }));
  void made.run();
  await Promise.all(
    ROLES.map((role, at) => pair.node(role).waitFor('worker.registered', (before[at] ?? 0) + 1)),
  );
  return made;
}

/** A hand-over does not fail because the machine is busy. */
const PATIENT = { heartbeatIntervalMs: 2000 };

describe('client and worker of the SDK with two daemons (§7)', () => {
  it('a client that asks the passive node first moves on at once after its 503 (D11)', async () => {
    const pair = await startPairOfDaemons(PATIENT);
    await worker(pair, echo);
    const passive = otherOf(await pair.inSync());
    const asking = client(pair, passive, { timeoutMs: NEVER_MS });
    expect((await asking.request('echo', 'hi')).text()).toBe('hi');
    await pair.node(passive).waitFor('request.refused');
  });

  it('a client of the active node moves to the other at a switchover, by the 503 alone', async () => {
    const pair = await startPairOfDaemons(PATIENT);
    await worker(pair, echo);
    const active = await pair.inSync();
    const asking = client(pair, active, { timeoutMs: NEVER_MS });
    for (const from of [active, otherOf(active)]) {
      expect((await asking.request('echo', `before ${from}`)).text()).toBe(`before ${from}`);
      await pair.switchedOver(from);
      expect((await asking.request('echo', `after ${from}`)).text()).toBe(`after ${from}`);
      await pair.inSync();
    }
  });

  it('1,000 outstanding requests survive kill -9 of the active node', async () => {
    const pair = await startPairOfDaemons();
    const { promise: killed, resolve: release } = Promise.withResolvers<null>();
    // Requests that the active node dispatched to it are never answered there.
    await worker(pair, async ({ frames }) => {
      await killed;
      return frames;
    });
    const quick = await worker(pair, echo, 100);
    const active = await pair.inSync();
    const asking = client(pair, active);
    const asked = Array.from({ length: 1000 }, (_, number) => `request ${number}`);
    const replies = Promise.all(asked.map((body) => asking.request('echo', body)));
    await until(() => quick.counters.answered > 0, 'the quick worker answers');
    await pair.node(active).kill();
    release(null);
    expect((await replies).map((reply) => reply.text())).toEqual(asked);
    await pair.until(otherOf(active), 'active', ({ state }) => state === 'active');
    // No worker had to register again for it (D15).
    expect(pair.node(otherOf(active)).logged('worker.lost')).toEqual([]);
  });

  it('waiting for a stored result continues when the active node is killed', async () => {
    const pair = await startPairOfDaemons();
    const active = await pair.inSync();
    const asking = client(pair, active);
    const job = await asking.submit('echo', 'hi', { idempotencyKey: 'order-17' });
    const result = job.result({ timeoutMs: NEVER_MS });
    await pair.node(active).kill();
    // No worker serves it before.
    await pair.start(active);
    await worker(pair, echo);
    expect((await result).text()).toBe('hi');
    const again = await asking.submit('echo', 'hi', { idempotencyKey: 'order-17' });
    expect(again.uuid).toBe(job.uuid);
    await job.close();
  });

  it.each<[string, (pair: PairOfDaemons, active: PairRole) => Promise<unknown>]>([
    ['kill -9', (pair, active) => pair.node(active).kill()],
    ['a switchover', (pair, active) => pair.switchedOver(active)],
  ])('a limit of what runs holds over %s, by the count of the workers (D118)', async (_, ends) => {
    const services = 'broker.services=[{"match":"echo","group":{"running":1}}]';
    // The handlers take longer than a node waits for what workers say.
    const pair = await startPairOfDaemons({
      heartbeatIntervalMs: 1000,
      sets: [services, 'broker.heartbeatIntervalMs=500'],
    });
    const { promise: released, resolve: release } = Promise.withResolvers<null>();
    const runs = { now: 0, most: 0, all: 0 };
    const handler: Handler = async ({ group, frames }) => {
      if (group !== 'slow') return frames;
      runs.all++;
      runs.most = Math.max(runs.most, ++runs.now);
      await released;
      runs.now--;
      return frames;
    };
    // Each has a place left, whatever else it runs.
    for (let workers = 0; workers < 2; workers++) await worker(pair, handler, 3);
    const active = await pair.inSync();
    const asking = client(pair, active, { timeoutMs: NEVER_MS });
    const slow = [asking.request('echo', 'first', { group: 'slow' })];
    await until(() => runs.now === 1, 'the first one runs');
    await ends(pair, active);
    slow.push(asking.request('echo', 'second', { group: 'slow' }));
    // It waits as long as others may: when it is answered, the second one could have begun.
    expect((await asking.request('echo', 'other', { group: 'other' })).text()).toBe('other');
    expect(runs).toMatchObject({ now: 1, all: 1 });
    release(null);
    expect((await Promise.all(slow)).map((reply) => reply.text())).toEqual(['first', 'second']);
    expect(runs).toMatchObject({ now: 0, most: 1 });
  });

  it('a durable call continues when the active node is killed, and is closed at the other', async () => {
    const pair = await startPairOfDaemons();
    const active = await pair.inSync();
    const asking = client(pair, active);
    const { promise: stored, resolve: isStored } = Promise.withResolvers<null>();
    const options = { idempotencyKey: 'order-18', onStored: () => isStored(null) };
    const reply = asking.callDurable('echo', 'hi', { ...options, timeoutMs: NEVER_MS });
    await stored;
    await pair.node(active).kill();
    await pair.start(active);
    await worker(pair, echo);
    expect((await reply).text()).toBe('hi');
    const again = await asking.enqueue('echo', 'hi', { idempotencyKey: 'order-18' });
    expect(again.found).toBe('closed');
  });
});
