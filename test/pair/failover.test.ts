import type { ClientOptions } from '../../src/sdk/client.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairOptions,
  removePairs,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';
import { until } from '../support/until.js';

/** A hand-over does not fail because the machine is busy. */
const PATIENT: PairOptions = { heartbeatIntervalMs: 2000 };

const loads: PairLoad[] = [];

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  await removePairs();
});

async function loadedPair(
  options: PairOptions = {},
  client: Partial<ClientOptions> = {},
): Promise<{ readonly pair: PairOfDaemons; readonly load: PairLoad }> {
  const pair = await startPairOfDaemons(options);
  const load = new PairLoad(pair.endpoints, client);
  loads.push(load);
  load.start();
  await load.progress();
  return { pair, load };
}

describe('a pair of processes (§6)', () => {
  it('kill -9 of the active under load: the other serves by a client’s vote; of the passive: the active carries on alone; nothing is lost', async () => {
    const { pair, load } = await loadedPair();
    const first = await pair.inSync();
    const second = otherOf(first);
    await pair.node(first).kill();
    await load.progress();
    await pair.until(second, 'alone', ({ state, inSync }) => state === 'active' && !inSync);
    await pair.start(first);
    expect(await pair.inSync()).toBe(second);
    await load.progress();
    await pair.node(first).kill();
    await load.progress();
    const alone = await pair.until(second, 'alone', ({ inSync }) => !inSync);
    expect(alone).toMatchObject({ state: 'active' });
    await load.progress();
    await pair.start(first);
    expect(await pair.inSync()).toBe(second);
    await expectNothingLost(pair, load);
    expect(pair.logged('ha.split')).toEqual([]);
  });

  it('an active node that is stopped until the other serves comes back as the passive node (D19)', async () => {
    const { pair, load } = await loadedPair();
    const active = await pair.inSync();
    const other = otherOf(active);
    pair.node(active).signal('SIGSTOP');
    await pair.until(other, 'active', ({ state }) => state === 'active');
    await load.progress();
    pair.node(active).signal('SIGCONT');
    await pair.node(active).waitFor('ha.paused');
    expect(await pair.inSync()).toBe(other);
    await load.progress();
    await expectNothingLost(pair, load);
  });

  it('a link that is cut while both live, in each way: both serve, then one, with both histories (D17)', async () => {
    const { pair, load } = await loadedPair();
    for (const cut of ['reset', 'frozen', 'toServer', 'toClient'] as const) {
      const active = await pair.inSync();
      const other = otherOf(active);
      const before = pair.lastSplit;
      // A client that reaches only the passive node makes it serve.
      const stray = new PairLoad([pair.endpointOf(other)]);
      loads.push(stray);
      pair.link.set(cut);
      stray.start();
      await pair.until(other, 'active', ({ state }) => state === 'active');
      await Promise.all([stray.progress(), load.progress()]);
      await pair.until(active, 'alone', ({ state, inSync }) => state === 'active' && !inSync);
      await stray.stop();
      pair.link.set('open');
      await pair.inSync();
      // HTTP may show the state before the log does.
      await until(() => pair.lastSplit > before, `the split is logged (${cut})`);
      for (const [uuid, reply] of stray.open) load.open.set(uuid, reply);
      for (const uuid of stray.closed) load.closed.add(uuid);
      expect([cut, stray.errors]).toEqual([cut, []]);
      await stray.close();
    }
    await expectNothingLost(pair, load);
  });

  it('SIGTERM of the active hands over and ends with 0, without an error at a client', async () => {
    const { pair, load } = await loadedPair(PATIENT);
    const active = await pair.inSync();
    const { status } = await pair.node(active).stop();
    expect(status).toBe(0);
    await pair.until(otherOf(active), 'active', ({ state }) => state === 'active');
    expect(pair.logged('ha.kept')).toEqual([]);
    await load.progress();
    await pair.start(active);
    expect(await pair.inSync()).toBe(otherOf(active));
    await expectNothingLost(pair, load);
  });

  it('a rolling upgrade by switchover: each node restarts while passive, without an error at a client', async () => {
    const { pair, load } = await loadedPair(PATIENT, { timeoutMs: 10_000 });
    for (let turn = 0; turn < 2; turn++) {
      const active = await pair.inSync();
      const passive = otherOf(active);
      await pair.node(passive).stop();
      await load.progress();
      await pair.start(passive);
      expect(await pair.inSync()).toBe(active);
      await pair.switchedOver(active);
      await load.progress();
      expect(await pair.inSync()).toBe(passive);
    }
    await expectNothingLost(pair, load);
    expect(pair.logged('ha.split')).toEqual([]);
  });
});
