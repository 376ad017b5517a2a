/** Clients of several brokers that know nothing of each other (docs/sdk-delivery.md, "Independent brokers"). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { codeOf } from '../../../src/core/errors.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import { Client, type ClientOptions, FreelanceClient, Worker } from '../../../src/sdk/index.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { killAll, run } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { until } from '../../support/until.js';

const BROKERS = 3;
const WORK_MS = 5;
const MDP = 0;
const FLP = 1;
/** What a case has opened. */
const closing: (() => Promise<void>)[] = [];
const workers: Worker[] = [];

/** One broker: its ports, and its process while it runs. */
interface Site {
  readonly name: string;
  readonly mdp: string;
  readonly flp: string;
  daemon: Daemon;
}

let sites: Site[] = [];

async function serve(mdp: string, flp: string, dataDir?: string): Promise<Daemon> {
  const listen = [
    { endpoint: mdp },
    { endpoint: flp, service: 'where', allow: ['client'], public: flp },
  ];
  return startDaemon({
    endpoint: null,
    sets: [`broker.listen=${JSON.stringify(listen)}`, 'broker.heartbeatIntervalMs=300'],
    ...(dataDir === undefined ? {} : { dataDir }),
  });
}

/** Answers with the name of its site, and `work` a little later: a broker that is killed has some. */
async function work({ name, mdp, daemon }: Site): Promise<void> {
  const worker = new Worker(
    { endpoints: mdp, service: 'where', concurrency: 100, heartbeatIntervalMs: 300 },
    async (request) => {
      if (request.text() === 'work') await sleep(WORK_MS);
      return name;
    },
  );
  workers.push(worker);
  void worker.run();
  await daemon.waitFor('worker.registered');
}

/** Starts one that has ended again, and waits for its worker. */
async function serveAgain(site: Site): Promise<void> {
  site.daemon = await serve(site.mdp, site.flp, site.daemon.dataDir);
  await site.daemon.waitFor('worker.registered');
}

/** The brokers are for the whole file: a case that ends one has it started again. */
beforeAll(async () => {
  const ports = await freePorts(2 * BROKERS);
  const endpoint = (site: number, kind: number): string =>
    `tcp://127.0.0.1:${ports[2 * site + kind] ?? 0}`;
  sites = await Promise.all(
    ['a', 'b', 'c'].map(async (name, site) => {
      const [mdp, flp] = [endpoint(site, MDP), endpoint(site, FLP)];
      return { name, mdp, flp, daemon: await serve(mdp, flp) };
    }),
  );
  await Promise.all(sites.map(work));
});

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
  await killAll(...sites.map(({ daemon }) => daemon));
  await Promise.all(sites.filter(({ daemon }) => daemon.ended).map(serveAgain));
});

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.close({ graceMs: 0 })));
  await removeDaemons();
});

function client(options: Partial<ClientOptions> = {}): Client {
  const made = new Client({
    endpoints: sites.map(({ mdp }) => mdp),
    strategy: 'freelance',
    pingIntervalMs: 200,
    timeoutMs: 10_000,
    ...options,
  });
  closing.push(() => made.close());
  return made;
}

function freelanceClient(hedgeMs?: number): FreelanceClient {
  const hedge = hedgeMs === undefined ? {} : { hedgeMs };
  const endpoints = sites.map(({ flp }) => flp);
  const made = new FreelanceClient({ endpoints, pingIntervalMs: 200, timeoutMs: 10_000, ...hedge });
  closing.push(() => made.close());
  return made;
}

/** Kills each broker in turn, and starts it again, while `ask` is called all the time. */
async function survivesKills(ask: () => Promise<string>): Promise<void> {
  let isOver = false;
  const answers = new Set<string>();
  let count = 0;
  const asking = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      answers.add(await ask());
      count++;
    }
  });
  try {
    for (const site of sites) {
      const from = count;
      await until(() => count > from + 20, 'answers before the kill');
      await site.daemon.kill();
      const killed = count;
      await until(() => count > killed + 20, 'answers after the kill');
      await serveAgain(site);
    }
  } finally {
    isOver = true;
  }
  await Promise.all(asking);
  expect([...answers]).toContain('a');
}

describe('three independent brokers', () => {
  it('lose no request of a client while each of them is killed in turn', async () => {
    const asking = client();
    await survivesKills(async () => (await asking.request('where', 'work')).text());
    expect(asking.outstanding).toBe(0);
  });

  it('lose none of a client of 10/FLP, either', async () => {
    const asking = freelanceClient();
    await survivesKills(async () => (await asking.request('work')).text());
    expect(asking.outstanding).toBe(0);
  });

  it('store nothing for such a client', async () => {
    const asking = client();
    const refused = await Promise.all(
      [
        asking.enqueue('where', ''),
        asking.request('titanic.request', 'where'),
        asking.schedule('s', 'where', '', { cron: '* * * * *' }),
        asking.unschedule('s'),
        asking.schedules(),
      ].map((promise) => promise.then(String, codeOf)),
    );
    expect(refused).toEqual(Array.from({ length: 5 }, () => 'ERR_MDP_USAGE'));
    expect(() => asking.job('0'.repeat(32))).toThrow(
      expect.objectContaining({ code: 'ERR_MDP_USAGE' }),
    );
  });

  it('work with libzmq and with protocol 0.1', async () => {
    for (const options of [{ transport: 'libzmq' }, { protocol: '0.1' }] as const) {
      const asking = client(options);
      expect((await asking.request('where', '')).text()).toMatch(/^[abc]$/);
    }
  });

  it('are reached over CURVE, also by a client of 10/FLP', async () => {
    const crypto = await loadSodium();
    const [server, own] = [crypto.keyPair(), crypto.keyPair()];
    const folder = temporaryDirectory();
    const z85 = (key: Buffer): string => encodeZ85(key);
    writeFileSync(join(folder, 'server.key'), z85(server.secretKey), { mode: 0o600 });
    const keys = `- {name: own, publicKey: '${z85(own.publicKey)}', allow: [client, worker]}\n`;
    writeFileSync(join(folder, 'keys.yaml'), keys, { mode: 0o600 });
    const files = {
      secretKeyFile: join(folder, 'server.key'),
      keysFile: join(folder, 'keys.yaml'),
    };
    const [mdp = '', flp = ''] = (await freePorts(2)).map((port) => `tcp://127.0.0.1:${port}`);
    const listen = [
      { endpoint: mdp, curve: files },
      { endpoint: flp, service: 'where', allow: ['client'], public: flp, curve: files },
    ];
    const daemon = await startDaemon({
      endpoint: null,
      sets: [`broker.listen=${JSON.stringify(listen)}`],
    });
    const curve = { serverKey: server.publicKey, ...own };
    const worker = new Worker({ endpoints: mdp, service: 'where', curve }, () => 'sealed');
    closing.push(() => worker.close({ graceMs: 0 }));
    void worker.run();
    await daemon.waitFor('worker.registered');
    const overFlp = new FreelanceClient({ endpoints: flp, curve, timeoutMs: 10_000 });
    closing.push(() => overFlp.close());
    expect((await overFlp.request('')).text()).toBe('sealed');
    const overMdp = client({ endpoints: [mdp], curve });
    expect((await overMdp.request('where', '')).text()).toBe('sealed');
    const stranger = new FreelanceClient({
      endpoints: flp,
      curve: { serverKey: server.publicKey, ...crypto.keyPair() },
    });
    closing.push(() => stranger.close());
    expect(await stranger.request('').then(String, codeOf)).toBe('ERR_MDP_KEY_REFUSED');
  });

  it('majordomo request --strategy freelance', async () => {
    const endpoints = sites.map(({ mdp }) => mdp).join(',');
    const args = [
      'request',
      '--endpoint',
      endpoints,
      '--strategy',
      'freelance',
      '--hedge-ms',
      '100',
    ];
    const first = await run([...args, 'where', '']);
    expect(first.status).toBe(0);
    expect(first.stdout).toMatch(/^[abc]\n$/);
    await sites[0]?.daemon.kill();
    expect((await run([...args, 'where', ''])).status).toBe(0);
    const stored = await run([...args, '--durable', 'where', '']);
    expect(stored.status).toBe(64);
    expect(stored.stderr).toContain('no durable requests');
    const hedge = await run(['request', '--hedge-ms', '5', 'where', '']);
    expect(hedge.status).toBe(64);
    expect(hedge.stderr).toContain('--strategy freelance');
  });
});
