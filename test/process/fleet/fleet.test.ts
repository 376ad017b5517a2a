import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { Child } from '../../support/child.js';
import { ask, atEnd, clientOf, endAll, serve } from '../../support/daemon-users.js';
import { Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { ask as askHttp, httpOf } from '../../support/http.js';
import { NatsServer } from '../../support/nats-server.js';
import { itWithTool } from '../../support/tools.js';
import { until } from '../../support/until.js';
import { LONG_TEST_MS } from '../../support/patience.js';

const TOOL = 'nats-server';
const HEARTBEAT = 'broker.heartbeatIntervalMs=200';
/** A worker that nothing holds up sends half a gigabyte in this time. */
const PILING_MS = 5000;
const PILED_MIB_MAX = 250;
/** Answers that show that the load goes on. */
const MORE = 20;

afterEach(endAll);

/** Memory of a process, in MiB. */
function memoryOf({ process: { pid } }: Daemon): number {
  const status = readFileSync(`/proc/${pid ?? 0}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

async function brokers(nats: NatsServer, count: number, ...sets: string[]): Promise<Daemon[]> {
  const started = Array.from({ length: count }, (_, n) => broker(nats, `n${n}`, ...sets));
  const made = await Promise.all(started);
  await Promise.all(made.map((each) => each.waitFor('fleet.peer_joined', count - 1)));
  return made;
}

async function broker(nats: NatsServer, name: string, ...sets: string[]): Promise<Daemon> {
  const all = [`node.name=${name}`, `fleet.nats=${nats.url}`, HEARTBEAT, ...sets];
  return await startDaemon({ sets: all });
}

/** Asks again, if need be the next one. */
function client(...brokers: Daemon[]): Client {
  return clientOf(brokers, { timeoutMs: 20_000 });
}

function worker(service: string, concurrency: number, ...brokers: Daemon[]): void {
  const echo = async (text: string): Promise<string> => {
    await new Promise((resolve) => setTimeout(resolve, 2));
    return text;
  };
  serve(brokers, service, echo, { concurrency });
}

/** Waits until each of them knows that many brokers in its fleet. */
async function untilKnown(daemons: readonly Daemon[], count: number): Promise<void> {
  const each = daemons.map(async (daemon) => {
    const asking = clientOf(daemon);
    await until(async () => {
      const { frames } = await asking.request('mmi.fleet', '');
      const { brokers } = JSON.parse(String(frames[1])) as { brokers: readonly unknown[] };
      return brokers.length === count;
    }, `${count} brokers in the fleet`);
  });
  await Promise.all(each);
}

/** What `/readyz` says: the status, and the codes of what does not work. */
async function health(daemon: Daemon): Promise<string> {
  const { status, json } = await askHttp(`${httpOf(daemon)}/readyz`);
  const { degraded } = json as { degraded: readonly { code: string }[] };
  return [status, ...degraded.map(({ code }) => code)].join(' ');
}

async function text(from: Client, service: string, body: string): Promise<string> {
  return (await ask(from, service, body)).join('|');
}

/** Waits for a good number of further answers. */
type More = () => Promise<void>;

/**
 * Requests of two clients, in two lanes each, while something happens; the load goes on before and
 * after it. Each request has to be answered, if need be after a retry.
 */
async function load(
  brokersOf: readonly (readonly Daemon[])[],
  during: (more: More) => Promise<void>,
): Promise<void> {
  let isOver = false;
  let answered = 0;
  const clients = brokersOf.map((each) => client(...each));
  const running = clients.flatMap((each, n) =>
    [0, 1].map(async (lane) => {
      for (let i = 0; !isOver; i++) {
        const body = `${n}-${lane}-${i}`;
        expect(await text(each, 'echo', body)).toBe(body);
        answered++;
      }
    }),
  );
  const more = async (): Promise<void> => {
    const wanted = answered + MORE;
    await until(() => answered >= wanted, 'the load goes on');
  };
  const acting = more()
    .then(() => during(more))
    .then(more)
    .finally(() => {
      isOver = true;
    });
  // A request that failed is the better message.
  await Promise.race([acting, Promise.all(running)]);
  await Promise.all([acting, ...running]);
}

describe('three brokers and a NATS server', () => {
  itWithTool(
    TOOL,
    'a worker at one serves clients of the others; mmi and the command show the fleet',
    async () => {
      const nats = await NatsServer.start();
      const [a, b, c] = (await brokers(nats, 3)) as [Daemon, Daemon, Daemon];
      worker('echo', 4, a);
      expect(await text(client(b), 'echo', 'from b')).toBe('from b');
      const ofC = client(c);
      expect(await text(ofC, 'echo', 'from c')).toBe('from c');
      expect(await text(ofC, 'mmi.service', 'echo')).toBe('200');
      expect(await text(ofC, 'mmi.service', 'none')).toBe('404');
      const large = 'x'.repeat(3 * 1024 * 1024);
      expect(await text(ofC, 'echo', large)).toBe(large);
      const { frames } = await ofC.request('mmi.broker', '');
      expect(JSON.parse(String(frames[1]))).toMatchObject({ role: 'fleet', state: 'active' });
      const shown = await new Child(['fleet', 'status', '--endpoint', c.endpoint]).finished();
      expect(shown.status).toBe(0);
      expect(shown.stdout).toMatch(/n0[\s\S]*n1[\s\S]*n2|n2/);
      expect(shown.stdout).toContain('connected to NATS');
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'kill -9 and SIGSTOP of each broker in turn, under load: a client that retries loses nothing',
    async () => {
      const nats = await NatsServer.start();
      const all = await brokers(nats, 3);
      worker('echo', 8, ...all);
      const turned = (n: number): Daemon[] => [...all.slice(n), ...all.slice(0, n)];
      for (const [n, daemon] of all.entries()) {
        const others = all.filter((each) => each !== daemon);
        await load([turned(n), turned(n + 1)], async () => {
          await daemon.kill();
          await untilKnown(others, others.length);
        });
        const again = await startDaemon({
          endpoint: daemon.endpoint,
          dataDir: daemon.dataDir,
          sets: [`node.name=n${n}`, `fleet.nats=${nats.url}`, HEARTBEAT],
        });
        all[n] = again;
        await untilKnown(all, all.length);
        await load([turned(n), turned(n + 1)], async (more) => {
          again.signal('SIGSTOP');
          await untilKnown(others, others.length);
          await more();
          again.signal('SIGCONT');
          await untilKnown(all, all.length);
        });
      }
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'a holder that is stopped loses only time: its requests go to another worker',
    async () => {
      const nats = await NatsServer.start();
      const [a, b, c] = (await brokers(nats, 3)) as [Daemon, Daemon, Daemon];
      worker('echo', 4, a);
      const from = client(b);
      expect(await text(from, 'echo', '1')).toBe('1');
      a.signal('SIGSTOP');
      const waiting = text(clientOf(b), 'echo', '2');
      worker('echo', 4, c);
      expect(await waiting).toBe('2');
      await b.waitFor('fleet.peer_lost');
      a.signal('SIGCONT');
      await b.waitFor('fleet.peer_joined', 3);
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'nats-server kill -9 and back, under load: local service goes on, degraded, and nothing is lost',
    async () => {
      const nats = await NatsServer.start();
      const both = (await brokers(nats, 2, 'http.listen=127.0.0.1:0')) as [Daemon, Daemon];
      const [a, b] = both;
      worker('echo', 8, a);
      const healthy = (wanted: string): Promise<unknown> =>
        Promise.all(both.map((each) => until(async () => (await health(each)) === wanted, wanted)));
      await healthy('200');
      await load([[a], [b]], async (more) => {
        await nats.kill();
        await b.waitFor('fleet.disconnected');
        await healthy('200 fleet_down');
        expect(await text(clientOf(a), 'echo', 'local')).toBe('local');
        // Those of a's clients: b has no worker of its own now.
        await more();
        await nats.starts();
        await b.waitFor('fleet.connected', 2);
        await healthy('200');
      });
    },
    LONG_TEST_MS,
  );
});

describe('the configuration of a fleet', () => {
  const refused = async (...sets: string[]): Promise<string> => {
    const daemon = new Daemon({ sets });
    const { status, stderr, stdout } = await daemon.finished();
    expect(status).toBe(78);
    return stderr + stdout;
  };

  itWithTool(
    TOOL,
    'refuses a pair, a map, and servers that others can reach without TLS and credentials (78)',
    async () => {
      const on = 'fleet.nats=nats://127.0.0.1:4222';
      const pair = ['bstar.listen=tcp://127.0.0.1:7000', 'bstar.peer=tcp://127.0.0.1:7001'];
      expect(await refused(on, 'bstar.role=primary', ...pair)).toContain('bstar.role: standalone');
      expect(await refused(on, 'map.listen=tcp://127.0.0.1:7010')).toContain('map.listen: off');
      const open = await refused('fleet.nats=nats://192.0.2.1:4222');
      expect(open).toContain('TLS and credentials');
      expect(open).toContain('fleet.insecure: true');
      expect(await refused('fleet.nats=tls://192.0.2.1:4222')).toContain('needs credentials');
      expect(await refused('fleet.nats=http://127.0.0.1')).toContain('nats://host:port');
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'a server that refuses the credentials ends the broker with 78; with the right ones it joins',
    async () => {
      // A key pair of the NKEY kind, made for this test.
      const seed = 'SUAGKSXLH64C6JP3DJBUKRFHI5VLCLR2Q4WDPCW5G6W4USCPMD5SDNLYUM';
      const user = 'UC6AXM6B7GUB5EJ6DLFEO6TBH5OCMWIF2WQKRNLWXPBRUXFPIMHQXKTP';
      const directory = temporaryDirectory();
      const file = join(directory, 'nats.conf');
      writeFileSync(file, `authorization { users: [{ nkey: ${user} }] }\n`);
      const nats = await NatsServer.start('-c', file);
      expect(await refused(`fleet.nats=${nats.url}`)).toContain('refused this broker');
      const creds = join(directory, 'broker.nk');
      writeFileSync(creds, `${seed}\n`, { mode: 0o600 });
      const sets = [`fleet.nats=${nats.url}`, `fleet.natsCredsFile=${creds}`];
      const daemon = await startDaemon({ sets });
      await daemon.waitFor('fleet.connected');
      writeFileSync(join(directory, 'open.nk'), seed, { mode: 0o644 });
      const others = `fleet.natsCredsFile=${join(directory, 'open.nk')}`;
      expect(await refused(`fleet.nats=${nats.url}`, others)).toMatch(/chmod 6[04]0 /);
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'a server that takes nothing any more: replies do not pile up, the connection is given up',
    async () => {
      const nats = await NatsServer.start();
      const [a, b] = (await brokers(nats, 2)) as [Daemon, Daemon];
      worker('echo', 1, b);
      const part = Buffer.alloc(256 * 1024);
      const { endpoint } = b;
      const flood = new Worker({ endpoints: endpoint, service: 'flood' }, async function* () {
        for (;;) {
          yield part;
          await sleep(2);
        }
      });
      atEnd(() => flood.close({ graceMs: 0 }));
      void flood.run();
      const stream = client(a).stream('flood', 'go');
      const parts = stream[Symbol.asyncIterator]();
      await parts.next();
      const before = memoryOf(b);
      const reading = (async () => {
        while ((await parts.next()).done !== true);
      })().catch(() => undefined);
      nats.signal('SIGSTOP');
      let most = before;
      const looking = setInterval(() => {
        most = Math.max(most, memoryOf(b));
      }, 100);
      atEnd(async () => clearInterval(looking));
      await b.waitFor('fleet.disconnected');
      await sleep(PILING_MS);
      nats.signal('SIGCONT');
      await b.waitFor('fleet.connected', 2);
      expect(await text(client(a), 'echo', 'again')).toBe('again');
      await parts.return?.();
      await reading;
      expect(most - before).toBeLessThan(PILED_MIB_MAX);
    },
    LONG_TEST_MS,
  );

  itWithTool(
    TOOL,
    'without a server that answers, the broker starts, serves, and joins when there is one',
    async () => {
      const nats = await NatsServer.start();
      await nats.kill();
      const daemon = await broker(nats, 'early');
      worker('echo', 1, daemon);
      expect(await text(client(daemon), 'echo', 'x')).toBe('x');
      await nats.starts();
      await daemon.waitFor('fleet.connected');
    },
    LONG_TEST_MS,
  );
});
