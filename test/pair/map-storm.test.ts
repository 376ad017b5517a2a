import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { Crowd } from '../support/map-crowd.js';
import { MapLoad, pairWithMap } from '../support/map-load.js';
import { otherOf, type PairOfDaemons, removePairs, ROLES } from '../support/pair-daemons.js';
import { LONG_TEST_MS } from '../support/patience.js';
import { until } from '../support/until.js';

const CLIENTS = 5000;
const KEYS = 2000;
/** Each client has two; one identity may have seven eighths of them. */
const CONNECTIONS = 'limits.connections=16000';
/** Two connections of each client, here and, while they move, at both nodes. */
const DESCRIPTORS = 3 * CLIENTS;
/**
 * Clients with a part of their snapshot: to at most 16 of them the node still sends; the rest of the
 * others is in the kernel, until this process reads it.
 */
const PARTIAL_MAX = CLIENTS / 10;
/** For 10,000 connections more. A second copy of the map for each client would be 650 MB. */
const GROWTH_BYTES_MAX = 256 * 1024 * 1024;

let crowd: Crowd | null = null;
let load: MapLoad | null = null;

afterEach(async () => {
  crowd?.close();
  await load?.close();
  await removePairs();
});

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Steps of all processes to active. */
function activations(pair: PairOfDaemons): number {
  return pair.logged('ha.changed').filter(({ to }) => to === 'active').length;
}

async function fill(map: MapLoad['writer']): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, at) => `/storm/key-${at}`);
  await Promise.all(keys.map((key) => map.set(key, 'a value of thirty-two characters')));
}

const mayOpen = Number(execFileSync('sh', ['-c', 'ulimit -Hn']).toString()) >= DESCRIPTORS;

describe('thousands of clients of a map whose active node dies (D49, D53)', () => {
  (mayOpen ? it : it.skip)(
    'all get their snapshots of the other node, 16 at a time, and it stays the active one',
    async () => {
      const { pair, maps } = await pairWithMap({ sets: [CONNECTIONS], direct: true });
      const endpointOf = (role: (typeof ROLES)[number]): string => maps[ROLES.indexOf(role)] ?? '';
      const writing = new MapLoad(maps);
      load = writing;
      await fill(writing.writer);
      writing.start();
      const first = await pair.inSync();
      const second = otherOf(first);
      const all = new Crowd(CLIENTS, '/storm/');
      crowd = all;
      all.subscribe(endpointOf(first));
      await until(() => all.subscribers === CLIENTS, 'all have subscribed');
      await pair.inSync();
      const before = {
        bytes: residentBytes(pair.node(second).pid),
        activations: activations(pair),
        epoch: (await pair.until(second, 'there', () => true)).epoch,
      };
      await pair.node(first).kill();
      all.moveTo(endpointOf(second));
      // Its peer comes back while the storm goes on.
      await pair.until(second, 'active', ({ state }) => state === 'active');
      await pair.start(first);
      const sets = writing.progress();
      let bytesMost = 0;
      const looking = setInterval(() => {
        bytesMost = Math.max(bytesMost, residentBytes(pair.node(second).pid));
      }, 50);
      await all.served().finally(() => clearInterval(looking));
      await sets;
      expect(writing.errors).toEqual([]);
      expect(all.sizes.size).toBe(1);
      expect(all.partialMost).toBeLessThan(PARTIAL_MAX);
      expect(bytesMost).toBeLessThan(before.bytes + GROWTH_BYTES_MAX);
      expect(await pair.inSync()).toBe(second);
      const { epoch } = await pair.until(second, 'active', ({ state }) => state === 'active');
      expect(epoch).toBe(before.epoch + 1);
      await until(() => activations(pair) > before.activations, 'the step in the log');
      expect(activations(pair)).toBe(before.activations + 1);
    },
    LONG_TEST_MS,
  );
});
