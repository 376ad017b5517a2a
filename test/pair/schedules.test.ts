/** Schedules of a pair: every due time is stored once, through a failover and a split. */
import { join } from 'node:path';

import { Client } from '../../src/sdk/client.js';
import {
  otherOf,
  type PairOfDaemons,
  removePairs,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { ask, tokenOf } from '../support/http.js';
import { sqliteContent } from '../support/sqlite-content.js';
import { until } from '../support/until.js';

const JSON_BODY = { 'content-type': 'application/json' };
const clients: Client[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await removePairs();
});

/** The keys of the schedule's requests, when both nodes have stopped; equal at both. */
async function keysOf(pair: PairOfDaemons): Promise<string[]> {
  const { differences } = await pair.rest();
  expect(differences).toEqual([]);
  const { requests } = sqliteContent(join(pair.dataDirOf('primary'), 'titanic.db'));
  return requests
    .filter(({ request: { service } }) => service.toString() === 'tick')
    .map(({ key }) => key?.toString('latin1') ?? 'without a key');
}

function clientOf(endpoints: readonly string[]): Client {
  const client = new Client({ endpoints, timeoutMs: 31_000 });
  clients.push(client);
  return client;
}

/** When it was due last, as its key says. */
async function firings(client: Client): Promise<number> {
  return (await client.schedules())[0]?.firings ?? 0;
}

describe('a schedule of a pair', () => {
  it('goes on at the other node after kill -9, and each due time is stored once', async () => {
    const pair = await startPairOfDaemons();
    const client = clientOf(pair.endpoints);
    await client.schedule('every', 'tick', 'x', { cron: '* * * * * *' });
    const active = await pair.inSync();
    await until(async () => (await firings(client)) >= 3, 'three due times');
    const token = tokenOf(pair.node(active));
    const pause = `${pair.httpOf(active)}/api/v1/services/tick/pause`;
    expect((await ask(pause, { method: 'POST', token })).json).toEqual({ paused: true });
    const limit = { ...{ method: 'POST', token, body: '{"groupRunning":3}' }, headers: JSON_BODY };
    const limited = `${pair.httpOf(active)}/api/v1/services/other/limit`;
    expect((await ask(limited, limit)).json).toEqual({ limited: true });
    await pair.node(active).kill();
    const before = await firings(client);
    await until(async () => (await firings(client)) >= before + 3, 'three more');
    // What was paused at one node is paused at the other.
    const { json } = await ask(`${pair.httpOf(otherOf(active))}/api/v1/services?service=tick`);
    expect(json).toMatchObject({ items: [{ service: 'tick', paused: true }] });
    const other = `${pair.httpOf(otherOf(active))}/api/v1/services?service=other`;
    expect((await ask(other)).json).toMatchObject({
      items: [{ limits: null, groupLimits: { running: 3 }, limitsSet: { by: null } }],
    });
    await pair.start(active);
    expect(await pair.inSync()).toBe(otherOf(active));
    await client.unschedule('every');
    const keys = await keysOf(pair);
    expect(keys.length).toBeGreaterThanOrEqual(6);
    expect(keys).not.toContain('without a key');
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('that both nodes served during a split stored each due time once', async () => {
    const pair = await startPairOfDaemons();
    const client = clientOf(pair.endpoints);
    await client.schedule('every', 'tick', 'x', { cron: '* * * * * *' });
    const active = await pair.inSync();
    pair.link.set('reset');
    const here = clientOf([pair.endpointOf(active)]);
    const there = clientOf([pair.endpointOf(otherOf(active))]);
    const counts = [await firings(here), await firings(there)];
    const grew = async (each: Client, at: number): Promise<boolean> =>
      (await firings(each)) >= (counts[at] ?? 0) + 3;
    await until(async () => (await grew(here, 0)) && (await grew(there, 1)), 'both served it');
    pair.link.set('open');
    await pair.inSync();
    await client.unschedule('every');
    const keys = await keysOf(pair);
    expect(keys).not.toContain('without a key');
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.length).toBeGreaterThanOrEqual(3);
  });
});
