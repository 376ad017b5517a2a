import { SharedMap } from '../../../src/sdk/map/shared-map.js';
import { killAll } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { ask, httpOf } from '../../support/http.js';
import { mapOf, MAPS } from '../../support/map-endpoint.js';
import { contentOf } from '../../support/map-load.js';
import { removeSmallDisks, SmallDisk } from '../../support/small-disk.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';

const VALUE = 'x'.repeat(20_000);
const KEPT = Array.from({ length: 20 }, (_, at) => `/kept/${at}`);
const SETS = [MAPS, 'http.listen=127.0.0.1:0'];
const maps: SharedMap[] = [];

afterEach(async () => {
  await Promise.all(maps.splice(0).map((map) => map.close()));
  await killAll();
  removeSmallDisks();
  await removeDaemons();
});

function mapAt(daemon: Daemon, timeoutMs: number): SharedMap {
  const map = new SharedMap({ endpoints: [mapOf(daemon)], timeoutMs });
  maps.push(map);
  return map;
}

async function degraded(daemon: Daemon): Promise<readonly string[]> {
  const { json } = await ask(`${httpOf(daemon)}/readyz`);
  return (json as { readonly degraded: readonly { readonly code: string }[] }).degraded.map(
    ({ code }) => code,
  );
}

/** New values do not fit; what a change of a few pages needs, does. */
const LITTLE_BYTES = 256 * 1024;
const LARGE = 'x'.repeat(2 * 1024 * 1024);

/** A daemon whose map has twenty keys, on a small disk. */
async function onSmallDisk(): Promise<{ readonly daemon: Daemon; readonly disk: SmallDisk }> {
  const dataDir = temporaryDirectory();
  const disk = new SmallDisk(dataDir, '24m');
  const daemon = await startDaemon({ dataDir, sets: SETS });
  const writer = mapAt(daemon, 60_000);
  for (const key of KEPT) await writer.set(key, VALUE);
  return { daemon, disk };
}

async function restarted({ dataDir, endpoint }: Daemon): Promise<Daemon> {
  return await startDaemon({ dataDir, endpoint, sets: SETS });
}

/** A new value is dropped, and `/readyz` says why. */
async function expectFull(daemon: Daemon): Promise<void> {
  const map = mapAt(daemon, 3000);
  await map.synced;
  await expect(map.set('/new', LARGE)).rejects.toMatchObject({ code: 'ERR_MDP_TIMEOUT' });
  await until(async () => (await degraded(daemon)).includes('map_full'), 'it says why');
}

async function expectHealed(daemon: Daemon): Promise<void> {
  const map = mapAt(daemon, 60_000);
  await map.set('/new', LARGE);
  await daemon.waitFor('map.healed');
  await until(async () => (await degraded(daemon)).length === 0, 'nothing is wrong any more');
  expect((await daemon.stop()).status).toBe(0);
}

describe('a full disk under the map (D57)', () => {
  itWithTool(
    'root',
    'new values are dropped and /readyz says why; deletions go through; it heals with room',
    async () => {
      const { daemon, disk } = await onSmallDisk();
      disk.fill(LITTLE_BYTES);
      await expectFull(daemon);
      const map = mapAt(daemon, 60_000);
      await map.delete('/kept/0');
      await daemon.kill();
      const again = await restarted(daemon);
      const reader = mapAt(again, 60_000);
      await reader.synced;
      expect([...contentOf(reader).keys()].sort()).toEqual(KEPT.slice(1).sort());
      await expectFull(again);
      await reader.delete('/kept/1');
      disk.free();
      await expectHealed(again);
    },
  );

  itWithTool(
    'root',
    'with no room at all a node starts, serves what there is, and deletes later',
    async () => {
      const { daemon, disk } = await onSmallDisk();
      await daemon.kill();
      disk.fill();
      const again = await restarted(daemon);
      const reader = mapAt(again, 60_000);
      await reader.synced;
      expect([...contentOf(reader).keys()].sort()).toEqual([...KEPT].sort());
      const gone = reader.delete('/kept/0');
      await expectFull(again);
      disk.free();
      await gone;
      await expectHealed(again);
    },
  );
});
