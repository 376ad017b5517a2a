import { SharedMap } from '../../../src/sdk/map/shared-map.js';
import { MapNode } from '../../support/map-node.js';
import { until } from '../../support/until.js';
import { PATIENCE_MS } from '../../support/patience.js';

let node: MapNode | null = null;
let map: SharedMap | null = null;

afterEach(async () => {
  await map?.close();
  await node?.stop();
});

/** A node whose store does not answer, with one change there and one that waits for it. */
async function busy(): Promise<{ node: MapNode; map: SharedMap; sets: Promise<void>[] }> {
  node = (await MapNode.open()).activate(1);
  map = new SharedMap({ endpoints: [node.endpoint], timeoutMs: PATIENCE_MS });
  await map.set('/a', '0');
  const { machine } = node.host;
  node.isStuck = true;
  const sets: Promise<void>[] = [];
  for (const [index, key] of ['/a', '/b'].entries()) {
    sets.push(map.set(key, '1'));
    await until(() => machine.gauges.waiting > index, 'a change that waits');
  }
  return { node, map, sets };
}

function keysOf({ tables }: MapNode): string[] {
  return tables.list('', 10).map(({ key, value }) => `${key}=${String(value)}`);
}

describe('a node that drains', () => {
  it('commits and publishes what it has taken, takes nothing more, and then serves no more', async () => {
    const { node: draining, map: writer, sets } = await busy();
    draining.host.drain();
    let isLate = false;
    const late = writer.set('/c', '1').catch(() => (isLate = true));
    expect(draining.host.isSettled).toBe(false);
    draining.commitAll();
    await Promise.all(sets);
    await until(() => !draining.host.machine.isServing, 'the end');
    expect(draining.host.isSettled).toBe(true);
    expect(keysOf(draining)).toEqual(['/a=1', '/b=1']);
    await until(() => !writer.isSynced, 'closed connections');
    await writer.close();
    await late;
    expect(isLate).toBe(true);
  });

  it('does not wait for a store that cannot write', async () => {
    const { node: draining, sets } = await busy();
    const failed = Promise.allSettled(sets);
    draining.host.drain();
    draining.failAll({ kind: 'full', message: 'the disk is full' });
    await until(() => !draining.host.machine.isServing, 'the end');
    expect(keysOf(draining)).toEqual(['/a=0']);
    await map?.close();
    expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('drops what it has taken, if it is stopped before', async () => {
    const { node: draining, sets } = await busy();
    const failed = Promise.allSettled(sets);
    draining.host.drain();
    await draining.host.stop();
    expect(draining.host.machine.isServing).toBe(false);
    await map?.close();
    expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});
