import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { encodeZ85 } from '../../../src/core/z85.js';
import { SharedMap } from '../../../src/sdk/map.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { Child, type Finished, killAll, run } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { mapOf, MAPS } from '../../support/map-endpoint.js';
import { until } from '../../support/until.js';

let daemon: Daemon;
/** One of each kind, where nobody listens: they retry for ten seconds, while other cases run. */
let inVain: Readonly<Record<'echo' | 'durable', Promise<Finished>>>;

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  const at = ['--endpoint', `tcp://127.0.0.1:${port}`, '--seconds', '1'];
  inVain = { echo: run(['bench', ...at]), durable: run(['bench', 'durable', ...at]) };
  daemon = await startDaemon();
});

afterAll(async () => {
  await killAll();
  await removeDaemons();
});

const KEYS = [
  ...['kind', 'workers', 'concurrency', 'connections', 'outstanding', 'rate', 'size', 'seconds'],
  ...['curve', 'endpoints', 'measuredAt', 'measuredSeconds', 'requests', 'failed'],
  ...['requestsPerSecond', 'latencyUs', 'clientCpuSeconds', 'before'],
];

/** The rate at which most cases measure: a closed loop takes both cores from other tests. */
const RATE = ['--rate', '200'] as const;

/** As a bench with default options, except for RATE, prints it. */
const RUN = {
  ...{ kind: 'echo', workers: 4, concurrency: 100, connections: 4, outstanding: null, rate: 200 },
  ...{ size: 16, seconds: 5, curve: false, endpoints: [], measuredAt: '2026-01-02T03:04:05.678Z' },
  measuredSeconds: 5,
  ...{ requests: 1, failed: 0, requestsPerSecond: 1, clientCpuSeconds: 1 },
  latencyUs: { p50: 1, p99: 1, 'p99.9': 1, max: 1 },
};

describe('majordomo bench', () => {
  it('measures a closed loop with clients and workers of its own, as JSON', async () => {
    const at = ['--endpoint', daemon.endpoint, '--seconds', '1'];
    const ended = await run(['bench', ...at, '-o', 'json']);
    expect(ended.status).toBe(0);
    const result = JSON.parse(ended.stdout) as Record<string, number | Record<string, number>>;
    expect(Object.keys(result)).toEqual(KEYS);
    expect(result).toMatchObject({ kind: 'echo', workers: 4, rate: null, before: null });
    expect(result['failed']).toBe(0);
    expect(result['requests']).toBeGreaterThan(100);
    expect(result['latencyUs']).toEqual({
      p50: expect.any(Number),
      p99: expect.any(Number),
      'p99.9': expect.any(Number),
      max: expect.any(Number),
    });
  });

  it('measures an open loop at the requested rate', async () => {
    const at = ['--endpoint', daemon.endpoint, ...RATE, '--seconds', '1'];
    const ended = await run(['bench', ...at, '-o', 'json']);
    expect(ended.status).toBe(0);
    const { requests, rate, measuredSeconds } = JSON.parse(ended.stdout) as Record<string, number>;
    expect(rate).toBe(200);
    // A machine that stalls makes the second longer.
    expect(requests).toBeLessThanOrEqual(400 * (measuredSeconds ?? 0));
    expect(requests).toBeGreaterThan(20);
  });

  it('leaves no worker behind', async () => {
    const ended = await run(['workers', '--endpoint', daemon.endpoint, '-o', 'json']);
    expect(JSON.parse(ended.stdout)).toEqual([]);
  });

  it('says that no broker is there, and exits with 69', async () => {
    const ended = await inVain.echo;
    expect(ended.status).toBe(69);
    expect(ended.stderr).toContain('no endpoint accepted a connection');
  });
});

describe('majordomo bench durable', () => {
  it('measures receipts without workers, as JSON', async () => {
    const at = ['--endpoint', daemon.endpoint, '--seconds', '1', '--size', '1024'];
    const ended = await run(['bench', 'durable', ...at, '--outstanding', '8', '-o', 'json']);
    expect(ended.status).toBe(0);
    const result = JSON.parse(ended.stdout) as Record<string, number>;
    expect(result).toMatchObject({ kind: 'durable', workers: null, size: 1024, failed: 0 });
    expect(result['requests']).toBeGreaterThan(10);
  });

  it('measures receipts at a requested rate, and explains the figures', async () => {
    const at = ['--endpoint', daemon.endpoint, '--rate', '100', '--seconds', '1'];
    const ended = await run(['bench', 'durable', ...at]);
    expect(ended.status).toBe(0);
    expect(ended.stdout).toMatch(
      /^bench durable: 100\/s requested, 4 connections, 16 bytes, 1 s\n +THIS RUN\n/,
    );
    expect(ended.stdout).toMatch(/\nreceipts\/s, each for a request on disk +\d+\n/);
    // It cannot be kept here, which is no failure.
    expect(ended.stderr).toMatch(
      /this run is not kept for the next: ENOTDIR: .*\/dev\/null\/majordomo/,
    );
  });

  it('leaves nothing behind in the store', async () => {
    const ended = await run(['verify', '-o', 'json', join(daemon.dataDir, 'titanic.db')]);
    expect(ended.status).toBe(0);
    const counts = JSON.parse(ended.stdout) as Record<string, number>;
    expect(counts).toMatchObject({ pending: 0, replied: 0, dead: 0, keys: 0 });
  });

  it('closes what it has stored if it gets SIGINT, and ends with 130', async () => {
    const stores = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const pending = async (): Promise<number> => {
      const { text } = await ask(`${httpOf(stores)}/metrics`);
      return Number(/^majordomo_titanic_requests\{.*state="pending"\} (\d+)$/m.exec(text)?.[1]);
    };
    const at = ['--endpoint', stores.endpoint, '--seconds', '600'];
    const bench = new Child(['bench', 'durable', ...at]);
    await until(async () => (await pending()) > 100, 'requests in the store');
    bench.signal('SIGINT');
    expect(await bench.finished()).toMatchObject({ status: 130, stdout: '' });
    expect(bench.stderr).toContain('closing the requests that it has stored');
    expect(bench.stderr).toContain('all of them are closed');
    expect(await pending()).toBe(0);
  });

  it('refuses options of workers with 64', async () => {
    const ended = await run(['bench', 'durable', '--workers', '2']);
    expect(ended.status).toBe(64);
    expect(ended.stderr).toContain('--workers is not for bench durable: only for echo, fleet');
  });

  it('says that no broker is there, and exits with 69', async () => {
    const ended = await inVain.durable;
    expect(ended.status).toBe(69);
    expect(ended.stderr).toContain('no endpoint accepted a connection');
  });

  it('says that a broker has no Titanic, and exits with 1', async () => {
    const bare = await startDaemon({ sets: ['titanic.enabled=false'] });
    const ended = await run(['bench', 'durable', '--endpoint', bare.endpoint, '--seconds', '1']);
    expect(ended.status).toBe(1);
    expect(ended.stderr).toContain('this broker does not support titanic.request');
  });
});

const NO_RUN = 'it is not what bench -o json prints';

describe('the table of majordomo bench', () => {
  it('compares with the last run with the same options, or with that of a file', async () => {
    const folder = temporaryDirectory();
    const environment = { XDG_STATE_HOME: folder };
    const at = ['bench', '--endpoint', daemon.endpoint, ...RATE, '--seconds', '1'];
    const before = { ...RUN, seconds: 1 };
    const other = { ...before, size: 17, measuredAt: '2026-02-03T04:05:06.789Z' };
    const kept = join(folder, 'majordomo/bench.json');
    mkdirSync(dirname(kept));
    writeFileSync(kept, JSON.stringify([other, before]));
    const file = join(folder, 'before.json');
    writeFileSync(file, JSON.stringify(before));
    const { measuredAt } = before;
    const compared = new RegExp(`\n +THIS RUN +BEFORE +RATIO\n.*×\n.*before: ${measuredAt}, `, 's');
    expect((await run(at, { environment })).stdout).toMatch(compared);
    expect((await run([...at, '--compare', file])).stdout).toMatch(compared);
    expect(JSON.parse(readFileSync(kept, 'utf8'))).toEqual([
      expect.objectContaining({ size: 16, endpoints: [daemon.endpoint] }),
      other,
    ]);
  });

  it.each([
    ['of other options', { size: 17 }, 'that run had size 17, this one has 16'],
    ['of a longer run', { seconds: 30 }, 'that run had seconds 30, this one has 5'],
    ['with an endpoint that is none', { endpoints: [7] }, `${NO_RUN}: endpoints is wrong`],
    ['of a run without a request', { requests: 0 }, `${NO_RUN}: requests is wrong`],
    ['without the length of the run', { seconds: undefined }, `${NO_RUN}: seconds is missing`],
    ['of no run', { latencyUs: null }, `${NO_RUN}: latencyUs is wrong`],
    ['with a figure too few', { latencyUs: { p50: 1 } }, `${NO_RUN}: latencyUs is wrong`],
  ])('refuses a file %s before it measures', async (_name, changed, why) => {
    const file = join(temporaryDirectory(), 'run.json');
    writeFileSync(file, JSON.stringify({ ...RUN, ...changed }));
    const ended = await run(['bench', '--endpoint', daemon.endpoint, ...RATE, '--compare', file]);
    expect(ended.status).toBe(64);
    expect(ended.stderr).toContain(why);
  });
});

it('a bench whose broker ends is failed, and not kept', async () => {
  const folder = temporaryDirectory();
  const ending = await startDaemon();
  const at = ['--endpoint', ending.endpoint, ...RATE, '--seconds', '1', '-o', 'json'];
  const bench = run(['bench', ...at], { environment: { XDG_STATE_HOME: folder } });
  await ending.waitFor('worker.registered');
  await ending.kill();
  expect((await bench).status).not.toBe(0);
  expect(readdirSync(folder)).toEqual([]);
});

describe('majordomo bench fleet', () => {
  it('has workers at another endpoint', async () => {
    const at = ['--endpoint', daemon.endpoint, '--seconds', '1'];
    const ended = await run(['bench', 'fleet', ...at, '--worker-endpoint', daemon.endpoint]);
    expect(ended.stdout).toMatch(/^bench fleet: 100 in flight, .*\n(.*\n)?requests\/s +/);
    expect((await run(['bench', 'fleet', ...at])).stderr).toContain('needs --worker-endpoint');
  });
});

describe('majordomo bench map', () => {
  it('measures changes, and leaves no key behind', async () => {
    const started = await startDaemon({ sets: [MAPS] });
    const map = ['--map', mapOf(started)];
    const ended = await run(['bench', 'map', ...map, '--seconds', '1', '-o', 'json']);
    expect(ended.status).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({ kind: 'map', failed: 0 });
    expect((await run(['map', 'ls', ...map])).stdout).toBe('');
  });

  it('changes the value each time, and killed, leaves keys that expire', async () => {
    const started = await startDaemon({ sets: [MAPS, 'http.listen=127.0.0.1:0'] });
    const endpoints = mapOf(started);
    const shared = new SharedMap({ endpoints, subtree: '/' });
    await shared.synced;
    const bench = new Child(['bench', 'map', '--map', endpoints, '--seconds', '600']);
    const values = new Map<string, string>();
    for await (const { key, value } of shared.changes()) {
      const now = value?.toString() ?? 'none';
      const before = values.get(key);
      expect(now).not.toBe(before);
      values.set(key, now);
      if (before !== undefined && values.size >= 4000) break;
    }
    await shared.close();
    bench.process.kill('SIGKILL');
    expect(await bench.finished()).toMatchObject({ signal: 'SIGKILL', stderr: '' });
    const { json } = await ask(`${httpOf(started)}/api/v1/map`, { token: tokenOf(started) });
    expect(json).toMatchObject({ items: expect.arrayContaining([expect.anything()]) });
    const { items } = json as { readonly items: readonly { readonly ttlMs: unknown }[] };
    expect(new Set(items.map(({ ttlMs }) => ttlMs))).toEqual(new Set([60_000]));
  });
});

describe('majordomo bench with CURVE', () => {
  it('measures with keys, and says which key is refused', async () => {
    const crypto = await loadSodium();
    const [server, ours] = [crypto.keyPair(), crypto.keyPair()];
    const folder = temporaryDirectory();
    const write = (name: string, text: string): string => {
      const file = join(folder, name);
      writeFileSync(file, text, { mode: 0o600 });
      return file;
    };
    const secretKeyFile = write('server.key', encodeZ85(server.secretKey));
    const publicKey = encodeZ85(ours.publicKey);
    const keysFile = write(
      'keys.yaml',
      `- {name: us, publicKey: '${publicKey}', allow: [client, worker]}\n`,
    );
    const curve = `{secretKeyFile: ${secretKeyFile}, keysFile: ${keysFile}}`;
    const listen = `broker.listen=[{endpoint: "tcp://127.0.0.1:0", curve: ${curve}}]`;
    const { endpoint } = await startDaemon({ sets: [listen] });
    const at = ['bench', '--endpoint', endpoint, ...RATE, '--seconds', '1'];
    const withKey = (file: string): readonly string[] => [
      ...[...at, '--curve-server-key', encodeZ85(server.publicKey), '--curve-key-file', file],
    ];
    const ended = await run(withKey(write('our.key', encodeZ85(ours.secretKey))));
    expect(ended.stderr).not.toContain('refuse');
    expect(ended.stdout).toMatch(/^bench echo: .*, 16 bytes, 1 s, CURVE\n/);
    const stranger = crypto.keyPair();
    const refused = await run(withKey(write('other.key', encodeZ85(stranger.secretKey))));
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain(encodeZ85(stranger.publicKey));
  });
});
