import { setTimeout as pause } from 'node:timers/promises';

import { Hosts, removeHosts } from '../support/hosts.js';
import {
  otherOf,
  type PairOfDaemons,
  type PairRole,
  removePairs,
  startPairOfDaemons,
} from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';
import { LONG_TEST_MS } from '../support/patience.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';

const TOOL = 'network namespaces';

const loads: PairLoad[] = [];

afterEach(async () => {
  await Promise.all(loads.splice(0).map((load) => load.close()));
  await removePairs();
  removeHosts();
});

interface Scene {
  readonly hosts: Hosts;
  readonly pair: PairOfDaemons;
  readonly load: PairLoad;
  readonly active: PairRole;
}

function loadOn(endpoints: readonly string[]): PairLoad {
  const load = new PairLoad(endpoints);
  loads.push(load);
  load.start();
  return load;
}

/** Two hosts whose nodes are in sync, and clients and workers of both on this one. */
async function threeHosts(): Promise<Scene> {
  const hosts = Hosts.connect();
  const pair = await startPairOfDaemons({}, hosts);
  const load = loadOn(pair.endpoints);
  await load.progress();
  return { hosts, pair, load, active: await pair.inSync() };
}

/** A client that knows one node keeps asking there until that node serves. */
async function serveBoth({ pair, load, active }: Scene): Promise<void> {
  const other = otherOf(active);
  await pair.until(active, 'alone', ({ inSync }) => !inSync);
  const stray = loadOn([pair.endpointOf(other)]);
  await pair.until(other, 'active', ({ state }) => state === 'active');
  await Promise.all([stray.progress(), load.progress()]);
  await pair.until(active, 'alone', ({ state, inSync }) => state === 'active' && !inSync);
  await stray.stop();
  expect(stray.errors).toEqual([]);
  for (const [uuid, reply] of stray.open) load.open.set(uuid, reply);
  for (const uuid of stray.closed) load.closed.add(uuid);
}

describe('two nodes and their clients on three hosts (§6)', () => {
  itWithTool(
    TOOL,
    'the link is cut, or what one says to the other is lost: both serve, then one, with both histories',
    async () => {
      const { hosts, pair, load } = await threeHosts();
      const cuts: readonly ((active: PairRole) => void)[] = [
        () => hosts.parts(),
        (active) => hosts.mutes(active),
        (active) => hosts.mutes(otherOf(active)),
      ];
      for (const cut of cuts) {
        const active = await pair.inSync();
        const before = pair.lastSplit;
        cut(active);
        await serveBoth({ hosts, pair, load, active });
        hosts.heals();
        await pair.inSync();
        // HTTP may show the state before the log does.
        await until(() => pair.lastSplit > before, 'the split is logged');
      }
      await expectNothingLost(pair, load);
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'the active node is silent to the passive one, but no client votes: the passive node never serves',
    async () => {
      const { hosts, pair, load, active } = await threeHosts();
      hosts.parts();
      await pair.until(otherOf(active), 'alone', ({ peer }) => peer?.up === false);
      await load.progress(200);
      await pause(4 * pair.heartbeatIntervalMs);
      await pair.until(otherOf(active), 'passive', ({ state }) => state === 'passive');
      hosts.heals();
      expect(await pair.inSync()).toBe(active);
      await expectNothingLost(pair, load);
      expect(pair.logged('ha.split')).toEqual([]);
    },
  );

  itWithTool(
    TOOL,
    'the active node loses its network: the other serves; the passive node: the active node carries on alone',
    async () => {
      const { hosts, pair, load, active: first } = await threeHosts();
      const second = otherOf(first);
      hosts.unplugs(first);
      await pair.until(second, 'active', ({ state }) => state === 'active');
      await load.progress();
      hosts.heals();
      expect(await pair.inSync()).toBe(second);
      await load.progress();
      const { epoch } = await pair.until(second, 'active', ({ state }) => state === 'active');
      hosts.unplugs(first);
      await pair.until(second, 'alone', ({ inSync }) => !inSync);
      await load.progress();
      hosts.heals();
      expect(await pair.inSync()).toBe(second);
      await expectNothingLost(pair, load);
      // The first part may have split them.
      expect(pair.lastSplit).toBeLessThanOrEqual(epoch);
    },
  );
});
