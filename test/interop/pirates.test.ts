/** Pirate workers, plain and Freelance clients, on pyzmq and libzmq alone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Daemon, removeDaemons, startDaemon } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import { itWithTool } from '../support/tools.js';
import { compile, execute, killPrograms, type Program, python } from './support/program.js';
import { closePeers, RawPeer } from './support/raw-peer.js';

const PYZMQ = 'python3-zmq';
const C = 'gcc and libzmq3-dev';

let ports: readonly number[];
let daemon: Daemon;

function at(index: number): string {
  return `tcp://127.0.0.1:${ports[index] ?? 0}`;
}

const [MDP, CLIENTS, WORKERS] = [0, 1, 2];

function start(dataDir?: string, ...sets: string[]): Promise<Daemon> {
  const listen = [
    { endpoint: at(MDP) },
    { endpoint: at(CLIENTS), service: 'echo', allow: ['client'], public: at(CLIENTS) },
    { endpoint: at(WORKERS), service: 'echo', allow: ['worker'] },
  ];
  return startDaemon({
    endpoint: null,
    sets: [`broker.listen=${JSON.stringify(listen)}`, 'broker.heartbeatIntervalMs=300', ...sets],
    ...(dataDir === undefined ? {} : { dataDir }),
  });
}

/** Starts a worker, and waits until it is the `count`th that registered. */
async function worker(
  kind: 'simple' | 'paranoid',
  count: number,
  ...args: string[]
): Promise<Program> {
  const started = python('pirate_worker', at(WORKERS), kind, ...args);
  await daemon.waitFor('worker.registered', count);
  return started;
}

function client(kind: 'req' | 'dealer' | 'router', ...args: (string | number)[]): Program {
  return python('plain_client', at(CLIENTS), kind, ...args);
}

beforeEach(async () => {
  ports = await freePorts(3);
  daemon = await start();
});

afterEach(async () => {
  closePeers();
  await killPrograms();
  await removeDaemons();
});

describe('pirate workers', () => {
  itWithTool(PYZMQ, 'of both kinds serve MDP, plain and Freelance clients (D30)', async () => {
    await worker('simple', 1, '--upper');
    await worker('paranoid', 2, '--upper');
    const mdp = python('req_client', at(MDP), 'echo', 'hello', '--bare-body', '--count', 4);
    const replies = (await mdp.finished()).map(({ frames }) => frames);
    expect(replies).toEqual(Array.from({ length: 4 }, () => ['HELLO']));
    const plain = await client('req', 'hello', '--count', 4).finished();
    expect(plain).toEqual(Array.from({ length: 4 }, () => ({ event: 'reply', frames: ['HELLO'] })));
    const free = await client('router', 'hello', '--count', 4).finished();
    expect(free[0]).toEqual({ event: 'pong' });
    expect(free.slice(1)).toEqual(
      Array.from({ length: 4 }, () => ({ event: 'reply', frames: ['HELLO'] })),
    );
  });

  itWithTool(PYZMQ, 'that are killed lose no request (D6)', async () => {
    const first = await worker('simple', 1, '--work-ms', '2000');
    const second = await worker('paranoid', 2, '--work-ms', '2000');
    const requests = [client('req', 'a'), client('req', 'b')];
    await first.waitFor('request').catch(() => undefined);
    await Promise.all([first.kill(), second.kill()]);
    await worker('simple', 3);
    for (const request of requests) {
      expect((await request.finished()).filter(({ event }) => event === 'reply')).toHaveLength(1);
    }
  });

  itWithTool(
    PYZMQ,
    'work on after the broker was killed: REQ ones without a restart (D36)',
    async () => {
      const simple = await worker('simple', 1);
      const paranoid = await worker('paranoid', 2);
      const { dataDir } = daemon;
      await daemon.kill();
      daemon = await start(dataDir);
      await daemon.waitFor('worker.registered', 2);
      const replies = await client('req', 'hello', '--count', 20).finished();
      expect(replies).toHaveLength(20);
      // Their output may come after the replies.
      await Promise.all([simple, paranoid].map((each) => each.waitFor('request')));
      expect(simple.said('ready')).toHaveLength(1);
    },
  );

  itWithTool(
    PYZMQ,
    'that stop are found by PING and by heartbeats, and return (D34, D35)',
    async () => {
      const simple = await worker('simple', 1);
      const paranoid = await worker('paranoid', 2);
      simple.signal('SIGSTOP');
      paranoid.signal('SIGSTOP');
      await daemon.waitFor('worker.lost', 2);
      const reasons = daemon.logged('worker.lost').map(({ reason }) => reason);
      expect([...reasons].sort()).toEqual(['connection', 'expired']);
      simple.signal('SIGCONT');
      paranoid.signal('SIGCONT');
      await daemon.waitFor('worker.registered', 4);
      expect(await client('req', 'hello', '--count', 10).finished()).toHaveLength(10);
    },
  );

  itWithTool(PYZMQ, 'whose signals are words get heartbeats in words (D113)', async () => {
    const paranoid = await worker('paranoid', 1, '--words');
    await worker('simple', 2, '--words');
    const watcher = new RawPeer(at(MDP));
    // They give up after three silent seconds.
    await watcher.untilMmi<readonly { readonly sinceMs: number }[]>('mmi.workers', (listed) =>
      listed.every(({ sinceMs }) => sinceMs > 4000),
    );
    watcher.close();
    expect(await client('req', 'hello', '--count', 2).finished()).toHaveLength(2);
    expect([paranoid.said('ready').length, ...paranoid.said('invalid')]).toEqual([1]);
    expect(daemon.logged('message.malformed')).toEqual([]);
  });

  itWithTool(PYZMQ, 'and clients may begin with ZMQ_PROBE_ROUTER (D113)', async () => {
    await worker('simple', 1, '--probe', '--upper');
    await worker('paranoid', 2, '--probe', '--upper');
    const mdp = python('req_client', at(MDP), 'echo', 'hi', '--bare-body', '--count', 2, '--probe');
    const plain = client('req', 'hi', '--count', 2, '--probe');
    for (const asking of [mdp, plain]) {
      expect((await asking.finished()).map(({ frames }) => frames)).toEqual([['HI'], ['HI']]);
    }
    expect(daemon.logged('message.malformed')).toEqual([]);
    expect(daemon.logged('worker.lost')).toEqual([]);
  });

  itWithTool(PYZMQ, 'serve durable requests', async () => {
    await daemon.kill();
    daemon = await start(undefined, 'titanic.enabled=true');
    await worker('simple', 1, '--upper');
    const lines = await python('tsp_client', at(MDP), 'echo', 'hello').finished();
    expect(JSON.stringify(lines)).toContain('HELLO');
  });
});

describe('clients', () => {
  itWithTool(PYZMQ, 'a DEALER has 2,000 requests outstanding, each answered once', async () => {
    await worker('simple', 1);
    await worker('simple', 2);
    const done = client('dealer', 'x', '--count', 2000);
    expect(await done.finished()).toEqual([{ event: 'done', right: 2000 }]);
  });

  itWithTool(
    PYZMQ,
    'a REQ that repeats is answered by the restarted broker (Lazy Pirate)',
    async () => {
      const { dataDir } = daemon;
      await daemon.kill();
      const asking = client('req', 'hello', '--timeout-ms', 500, '--attempts', 60);
      await asking.waitFor('silence');
      daemon = await start(dataDir);
      await worker('simple', 1);
      expect((await asking.finished()).at(-1)).toEqual({ event: 'reply', frames: ['hello'] });
    },
  );
});

describe('a Simple Pirate in C', () => {
  itWithTool(C, 'answers requests of all forms', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mdp-c-'));
    try {
      const pirate = execute(compile('simple_pirate', directory), at(WORKERS), 100);
      await daemon.waitFor('worker.registered');
      const request = execute(compile('req_client', directory), at(MDP), 'echo', 'hello');
      expect(await request.finished()).toEqual([{ event: 'reply', frames: ['hello'] }]);
      const asked = await client('req', 'a', 'b', '--count', 99).finished();
      expect(asked.at(-1)).toEqual({ event: 'reply', frames: ['a', 'b'] });
      await pirate.finished();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
