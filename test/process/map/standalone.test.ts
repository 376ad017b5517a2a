import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { encodeZ85 } from '../../../src/core/z85.js';
import type { SharedMapOptions } from '../../../src/sdk/map/map-options.js';
import { SharedMap } from '../../../src/sdk/map/shared-map.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
  unstarted,
} from '../../support/daemon.js';
import { closeWatchers, PUBLISHES, watch } from '../../support/events.js';
import { freePortsInARow } from '../../support/free-ports.js';
import { ask, httpOf } from '../../support/http.js';
import { mapOf, MAPS } from '../../support/map-endpoint.js';
import { contentOf, MapLoad } from '../../support/map-load.js';
import { mapRowsIn } from '../../support/map-rows.js';
import { until } from '../../support/until.js';
import { PATIENCE_MS } from '../../support/patience.js';

const PORTS = 3;
const HTTP = 'http.listen=127.0.0.1:0';
const KIB = 1024;
/** Enough for an answer, and none comes. */
const SHORT = { timeoutMs: 1500 };
const PATIENT = { timeoutMs: PATIENCE_MS };

const maps: SharedMap[] = [];
let load: MapLoad | null = null;

afterEach(async () => {
  await Promise.all(maps.splice(0).map((map) => map.close()));
  await load?.close();
  load = null;
  await closeWatchers();
  await removeDaemons();
});

type Options = Omit<SharedMapOptions, 'endpoints'>;

function mapAt(endpoint: string, options: Options = PATIENT): SharedMap {
  const map = new SharedMap({ ...options, endpoints: [endpoint] });
  maps.push(map);
  return map;
}

/** A value of so many KiB. */
const large = (kib: number): string => 'x'.repeat(kib * KIB);

async function refused(daemon: Daemon): Promise<number> {
  const { text } = await ask(`${httpOf(daemon)}/metrics`);
  return Number(/^majordomo_map_updates_total\{result="refused"\} (\d+)$/m.exec(text)?.[1]);
}

describe('a broker without a map', () => {
  it('is said to have none, perhaps, and which key it needs', async () => {
    const { endpoint } = await startDaemon({ sets: ['broker.listen=tcp://127.0.0.1:*'] });
    const codes: unknown[] = [];
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation((text, options) => {
      codes.push(options, text);
    });
    const map = mapAt(endpoint, SHORT);
    await expect(map.set('/a', '1')).rejects.toMatchObject({
      code: 'ERR_MDP_UNREACHABLE',
      message: expect.stringContaining('its key map.listen') as unknown,
    });
    await until(() => codes.length > 0, 'the warning');
    warn.mockRestore();
    expect(codes[0]).toEqual({ code: 'MDP_MAP_UNSERVED' });
    expect(codes[1]).toContain(`no node serves a map at ${endpoint}; does the broker keep a map`);
  });
});

describe('limits.mapBytes (D57)', () => {
  it('reached: set() times out, growth is counted as refused, a deletion makes room', async () => {
    const daemon = await startDaemon({ sets: [MAPS, HTTP, 'limits.mapBytes=16KiB'] });
    const patient = mapAt(mapOf(daemon));
    const short = mapAt(mapOf(daemon), SHORT);
    await patient.set('/a', large(6));
    await patient.set('/b', large(6));
    await short.synced;
    for (const [key, value] of [
      ['/c', large(6)],
      ['/a', large(12)],
    ] as const) {
      const before = await refused(daemon);
      await expect(short.set(key, value)).rejects.toMatchObject({ code: 'ERR_MDP_TIMEOUT' });
      await until(async () => (await refused(daemon)) > before, 'it is counted');
    }
    // What does not grow goes through, and so do deletions.
    await patient.set('/a', large(5));
    await patient.delete('/b');
    await patient.set('/c', large(6));
    await until(() => patient.get('/c') !== undefined, 'the new value');
    expect([...contentOf(patient).keys()].sort()).toEqual(['/a', '/c']);
    expect(String(patient.get('/a'))).toBe(large(5));
  });

  it('changes while the daemon runs (SIGHUP), and map.* events are in the stream', async () => {
    const file = join(temporaryDirectory(), 'majordomo.yaml');
    const limit = (size: string): void => writeFileSync(file, `limits: {mapBytes: ${size}}\n`);
    limit('4KiB');
    const daemon = await startDaemon({ file, sets: [MAPS, HTTP, PUBLISHES] });
    const watcher = await watch(daemon, 'map.');
    const short = mapAt(mapOf(daemon), SHORT);
    await short.synced;
    await expect(short.set('/a', large(6))).rejects.toMatchObject({ code: 'ERR_MDP_TIMEOUT' });
    expect(await watcher.waitFor('map.refused')).toMatchObject({ reason: 'limit' });
    limit('16KiB');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded')).toMatchObject({
      applied: [{ key: 'limits.mapBytes', to: 16 * KIB }],
      needRestart: [],
    });
    const patient = mapAt(mapOf(daemon));
    await patient.set('/a', large(6));
    limit('4KiB');
    daemon.signal('SIGHUP');
    await daemon.waitFor('config.reloaded', 2);
    // What is there stays; it may shrink.
    await expect(short.set('/b', 'x')).rejects.toMatchObject({ code: 'ERR_MDP_TIMEOUT' });
    expect(String(patient.get('/a'))).toBe(large(6));
    await patient.set('/a', large(1));
    await patient.set('/b', 'x');
  });
});

it('the secret key of the map changes while the daemon runs: connections stay (SIGHUP)', async () => {
  const crypto = await loadSodium();
  const [old, young, mine] = [crypto.keyPair(), crypto.keyPair(), crypto.keyPair()];
  const folder = temporaryDirectory();
  const path = (name: string): string => join(folder, name);
  writeFileSync(path('old.key'), encodeZ85(old.secretKey), { mode: 0o600 });
  writeFileSync(path('young.key'), encodeZ85(young.secretKey), { mode: 0o600 });
  const publicKey = encodeZ85(mine.publicKey);
  writeFileSync(path('keys.yaml'), `- {name: me, publicKey: '${publicKey}'}\n`, { mode: 0o600 });
  const port = await freePortsInARow(PORTS);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const known = (keys: string): void => {
    const curve = `{secretKeyFile: ${keys}, keysFile: ${path('keys.yaml')}}`;
    writeFileSync(
      path('majordomo.yaml'),
      `map: {listen: {endpoint: "${endpoint}", curve: ${curve}}}`,
    );
  };
  const by = (server: typeof old, options: { readonly timeoutMs: number }): SharedMap =>
    mapAt(endpoint, {
      ...options,
      curve: { serverKey: encodeZ85(server.publicKey), publicKey, secretKey: mine.secretKey },
    });
  known(path('old.key'));
  const daemon = await startDaemon({ file: path('majordomo.yaml') });
  const first = by(old, PATIENT);
  await first.set('/a', '1');
  let losses = 0;
  first.on('lost', () => losses++);
  known(`[${path('old.key')}, ${path('young.key')}]`);
  daemon.signal('SIGHUP');
  expect(await daemon.waitFor('config.reloaded')).toMatchObject({ needRestart: [] });
  await by(young, PATIENT).set('/b', '1');
  await by(old, PATIENT).set('/c', '1');
  known(path('young.key'));
  daemon.signal('SIGHUP');
  expect(await daemon.waitFor('config.reloaded', 2)).toMatchObject({ needRestart: [] });
  await by(young, PATIENT).set('/d', '1');
  await expect(by(old, SHORT).set('/e', '1')).rejects.toMatchObject({
    code: 'ERR_MDP_UNREACHABLE',
  });
  await first.set('/a', '2');
  expect(losses).toBe(0);
});

it.each([
  [0, 'snapshots, the first'],
  [1, 'updates, the second'],
  [2, 'writers, the third'],
])('a port that is taken is named with its use: PORT + %i', async (above, use) => {
  const port = await freePortsInARow(PORTS);
  const stranger = createServer().listen(port + above, '127.0.0.1');
  await once(stranger, 'listening');
  const { status, stderr } = await unstarted({ sets: [`map.listen=tcp://127.0.0.1:${port}`] });
  stranger.close();
  expect(status).toBe(69);
  expect(stderr).toContain(
    `cannot listen on map.listen tcp://127.0.0.1:${port + above} (for ${use} of the map's three ports in a row): ` +
      'another process uses it',
  );
  expect(stderr).toContain('choose another port: --set map.listen=tcp://127.0.0.1:PORT');
});

describe('a daemon that ends while its map is written', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)(
    '%s, three times: each change that resolved is on disk, the others are repeated',
    async (signal) => {
      const port = await freePortsInARow(PORTS);
      const map = `tcp://127.0.0.1:${port}`;
      const start = { sets: [`map.listen=${map}`] };
      let daemon = await startDaemon(start);
      const { dataDir, endpoint } = daemon;
      const writing = new MapLoad([map]);
      load = writing;
      writing.start();
      for (let round = 0; round < 3; round++) {
        await writing.progress();
        daemon.signal(signal);
        const { status } = await daemon.finished();
        expect(status).toBe(signal === 'SIGTERM' ? 0 : null);
        const rows = mapRowsIn(join(dataDir, 'titanic.db'));
        const stored = rows.map(({ key, value }) => [key, String(value)] as const);
        expect(writing.wrong(new Map(stored))).toEqual([]);
        daemon = await startDaemon({ ...start, dataDir, endpoint });
      }
      await writing.progress();
      await writing.stop();
      await until(
        () => writing.wrong(contentOf(writing.reader)).length === 0,
        'the reader is right',
      );
      expect(writing.errors).toEqual([]);
    },
  );
});
