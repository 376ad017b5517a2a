import { isDeepStrictEqual } from 'node:util';

import { Client } from '../../src/sdk/client.js';
import { killAll, run } from '../support/child.js';
import { ask } from '../support/http.js';
import {
  otherOf,
  type PairOfDaemons,
  pairOfDaemons,
  type PairRole,
  removePairs,
  ROLES,
} from '../support/pair-daemons.js';
import { PairLoad } from '../support/pair-load.js';
import { expectNothingLost } from '../support/pair-proof.js';
import { removeSmallDisks, SmallDisk } from '../support/small-disk.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';

const TOOL = 'root';

const clients: Client[] = [];
const loads: PairLoad[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(loads.splice(0).map((load) => load.close()));
  await killAll();
  removeSmallDisks();
  await removePairs();
});

interface Scene {
  readonly pair: PairOfDaemons;
  readonly client: Client;
  readonly load: PairLoad;
  /** Of the requested node. */
  readonly disk: SmallDisk;
}

/** A pair in sync, in which the active or the passive node has a small disk. */
async function smallDiskOf(which: 'active' | 'passive'): Promise<Scene & { role: PairRole }> {
  const pair = await pairOfDaemons();
  const role: PairRole = 'backup';
  const disk = new SmallDisk(pair.dataDirOf(role), '24m');
  await Promise.all(ROLES.map((each) => pair.start(each)));
  if (((await pair.inSync()) === role) !== (which === 'active')) {
    await pair.switchedOver(await pair.inSync());
    await pair.inSync();
  }
  const load = new PairLoad(pair.endpoints);
  loads.push(load);
  load.start();
  await load.progress();
  await load.stop();
  const client = new Client({ endpoints: pair.endpoints, timeoutMs: 10_000 });
  clients.push(client);
  return { pair, client, load, disk, role };
}

async function degraded(pair: PairOfDaemons, role: PairRole): Promise<unknown[]> {
  const { json } = await ask(`${pair.httpOf(role)}/readyz`);
  return (json as { readonly degraded: readonly { readonly code: string }[] }).degraded.map(
    ({ code }) => code,
  );
}

async function store(client: Client): Promise<string> {
  const { frames } = await client.request('titanic.request', ['nobody', 'x'.repeat(20_000)]);
  return String(frames[0]);
}

describe('a full disk in a pair', () => {
  itWithTool(
    TOOL,
    'the passive one’s: the active stores alone, both say why, and it catches up with room',
    async () => {
      const { pair, client, load, disk, role } = await smallDiskOf('passive');
      disk.fill();
      // Its log still has some room.
      const said = async (): Promise<unknown[]> =>
        Promise.all([degraded(pair, role), degraded(pair, otherOf(role))]);
      await until(async () => {
        if (isDeepStrictEqual(await said(), [['store_failed'], ['not_in_sync']])) return true;
        expect(await store(client)).toBe('200');
        return false;
      }, 'both nodes say why');
      await pair.node(role).waitFor('ha.failed');
      const { stdout } = await run(['ha', 'status', '--admin', pair.httpOf(role)]);
      expect(stdout).toMatch(/^WARNING: data from the peer cannot be stored: .*full/m);
      await pair.until(otherOf(role), 'active', ({ state }) => state === 'active');
      disk.free();
      expect(await pair.inSync()).toBe(otherOf(role));
      await until(
        async () => (await degraded(pair, role)).length === 0,
        'the passive node is well',
      );
      await expectNothingLost(pair, load);
    },
  );

  itWithTool(
    TOOL,
    'the active one’s: durable requests are refused, it goes on leading, and heals with room',
    async () => {
      const { pair, client, load, disk, role } = await smallDiskOf('active');
      disk.fill();
      let said = '200';
      await until(async () => {
        said = await store(client);
        return said !== '200';
      }, 'a durable request is refused');
      expect(said).toMatch(/^500 .*free space/);
      expect(await degraded(pair, role)).toContain('store_full');
      await pair.until(role, 'active', ({ state }) => state === 'active');
      expect(pair.logged('ha.split')).toEqual([]);
      disk.free();
      await until(async () => (await store(client)) === '200', 'a durable request is accepted');
      expect(await pair.inSync()).toBe(role);
      await expectNothingLost(pair, load);
    },
  );
});
