/**
 * A client and a worker on each library that Debian 12 or npm has, beside those that have tests of their
 * own. `peers.json` says what of each is run here, and is what docs/peers.md shows.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { encodeZ85 } from '../../src/core/z85.js';
import { loadSodium } from '../../src/zmtp/curve/sodium.js';
import { Client } from '../../src/sdk/client.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { ask, atEnd, clientOf, endAll } from '../support/daemon-users.js';
import { freePorts } from '../support/free-ports.js';
import { PATIENCE_MS } from '../support/patience.js';
import { itWithTool, PYTHON, type Tool, toolAvailable } from '../support/tools.js';
import { compile, killPrograms, Program, SOURCES } from './support/program.js';
import { RawPeer } from './support/raw-peer.js';
import { Registered } from './support/registered.js';
import { startDaemonOn, TRANSPORTS } from './support/transports.js';

type Run = 'client' | 'worker' | 'durable' | 'curve' | 'heartbeats';

/** A row of `peers.json`. */
interface Peer {
  readonly version: string;
  /** Of Debian, or `npm`. */
  readonly package: string;
  readonly program?: string;
  /** The test file that runs it, if it is not run here. */
  readonly test?: string;
  readonly runs: readonly Run[];
}

/** Its program, which is given a role and its arguments. */
interface Language {
  readonly tool: Tool | null;
  line(path: string): readonly [string, ...string[]];
}

const JEROMQ = '/usr/share/java/jeromq.jar';
const JZMQ = '/usr/share/java/zmq.jar';
const JAVA = 'default-jdk-headless and libjeromq-java';
/** Where Debian has the native library of libzmq-jni. */
const NATIVE = [
  '/usr/lib/jni',
  `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/jni`,
];
const CZMQ = 'gcc and libczmq-dev';

function java(jar: string): Language['line'] {
  const options = ['-XX:TieredStopAtLevel=1', `-Djava.library.path=${NATIVE.join(':')}`];
  return () => ['java', ...options, '-cp', `${jar}:${built}`, 'Guide'];
}

/** By the package. */
const LANGUAGES: Readonly<Record<string, Language>> = {
  'libczmq-dev': { tool: CZMQ, line: () => [join(built, 'guide_czmq')] },
  'python3-aiozmq': { tool: 'python3-aiozmq', line: (path) => [PYTHON, path] },
  'python3-txzmq': { tool: 'python3-txzmq', line: (path) => [PYTHON, path] },
  npm: { tool: null, line: (path) => [process.execPath, path] },
  'php-zmq': { tool: 'php-cli and php-zmq', line: (path) => ['php', path] },
  'libzmq-ffi-perl': { tool: 'libzmq-ffi-perl', line: (path) => ['perl', path] },
  'ruby-ffi-rzmq': { tool: 'ruby-ffi-rzmq', line: (path) => ['ruby', path] },
  'r-cran-pbdzmq': { tool: 'r-cran-pbdzmq', line: (path) => ['Rscript', '--vanilla', path] },
  'libjeromq-java': { tool: JAVA, line: java(JEROMQ) },
  'libzmq-java': { tool: 'default-jdk-headless and libzmq-java', line: java(JZMQ) },
};

const { tested } = JSON.parse(readFileSync('test/interop/peers.json', 'utf8')) as {
  readonly tested: readonly Peer[];
};
const PEERS = tested.filter(({ program }) => program !== undefined);

let built: string;
let daemon: Daemon;
let workers: Registered;

function start(peer: Peer, args: readonly string[], keys: Keys | null = null): Program {
  const path = join(SOURCES, peer.program ?? '');
  const line = LANGUAGES[peer.package]?.line(path) ?? [];
  const environment = Object.entries(keys ?? {}).map(([name, key]) => `${name}=${key}`);
  return new Program(peer.package, 'env', [...environment, ...line, ...args]);
}

/** Its name as a service: that of its package. */
function worker(peer: Peer, endpoint: string, count: number, keys: Keys | null = null): Program {
  return start(peer, ['worker', endpoint, peer.package, String(count)], keys);
}

/** Its client asks, and it gets this. */
async function reply(
  peer: Peer,
  endpoint: string,
  service: string,
  body: readonly string[],
  keys: Keys | null = null,
): Promise<readonly string[]> {
  const asking = start(peer, ['client', endpoint, service, ...body], keys);
  const [answer] = await asking.finished();
  const [header, from, ...frames] = answer?.['frames'] as readonly string[];
  expect([header, from]).toEqual(['MDPC01', service]);
  return frames;
}

/** The cases of those that run all of this, each with what it needs. */
function forEach(runs: readonly Run[], title: string, run: (peer: Peer) => Promise<void>): void {
  for (const peer of PEERS) {
    if (!runs.every((each) => peer.runs.includes(each))) continue;
    const tool = LANGUAGES[peer.package]?.tool ?? null;
    const named = `${peer.package}: ${title}`;
    if (tool === null) it(named, () => run(peer));
    else itWithTool(tool, named, () => run(peer));
  }
}

beforeAll(() => {
  built = mkdtempSync(join(tmpdir(), 'mdp-languages-'));
  if (toolAvailable(CZMQ)) compile('guide_czmq', built, '-lczmq');
  if (!toolAvailable(JAVA)) return;
  const args = ['-cp', JEROMQ, '-d', built, join(SOURCES, 'Guide.java')];
  const { status, stderr } = spawnSync('javac', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`javac: ${stderr}`);
});

afterAll(() => rmSync(built, { recursive: true, force: true }));

describe('peers.json', () => {
  it('has a program or a test for each peer, and each program of a language', () => {
    for (const { program, test } of tested) {
      const path = program === undefined ? `test/interop/${test}.test.ts` : join(SOURCES, program);
      expect([path, existsSync(path)]).toEqual([path, true]);
    }
    expect(PEERS.map((peer) => peer.package).sort()).toEqual(Object.keys(LANGUAGES).sort());
  });

  it('has the versions that are installed', () => {
    const debian = tested.filter((peer) => peer.package !== 'npm');
    const args = ['--show', ...debian.map((peer) => peer.package)];
    const { stdout } = spawnSync('dpkg-query', args, { encoding: 'utf8' });
    for (const { package: name, version } of debian) {
      const line = stdout.split('\n').find((each) => /^[^:\t]*/.exec(each)?.[0] === name);
      const installed = line?.split('\t')[1] ?? version;
      expect([name, installed.split(/[-+]/)[0]]).toEqual([name, version]);
    }
    const { version } = JSON.parse(
      readFileSync('node_modules/zeromq/package.json', 'utf8'),
    ) as Peer;
    expect(tested.find((peer) => peer.package === 'npm')?.version).toBe(version);
  });
});

describe.each(TRANSPORTS)('programs on other libraries, over %s', (transport) => {
  beforeAll(async () => {
    daemon = await startDaemonOn(transport);
    workers = new Registered(daemon);
  });

  afterEach(() => workers.none());

  afterAll(endAll);

  const title = 'its worker answers its client and the SDK, durably too, and leaves (7/MDP, 9/TSP)';
  forEach(['client', 'worker', 'durable'], title, async (peer) => {
    const { package: service } = peer;
    const { endpoint } = daemon;
    const serving = await workers.comes(worker(peer, endpoint, 3));
    const frames = await reply(peer, endpoint, service, ['one', '', 'three']);
    // The first frame is who served it.
    expect(frames.slice(1)).toEqual(['one', '', 'three']);
    const [name = ''] = frames;
    expect(await ask(clientOf(daemon), service, 'hello')).toEqual([name, 'hello']);
    const stored = await reply(peer, endpoint, 'titanic.request', [service, 'stored']);
    expect(stored).toEqual(['200', expect.stringMatching(/^[0-9A-F]{32}$/)]);
    const answered = await reply(peer, endpoint, 'titanic.wait', [stored[1] ?? '', '60000']);
    expect(answered).toEqual(['200', name, 'stored']);
    await serving.finished();
    expect(await reply(peer, endpoint, 'mmi.service', [service])).toEqual(['404']);
    expect(daemon.logged('message.malformed')).toEqual([]);
    expect(daemon.logged('request.requeued')).toEqual([]);
  });
});

interface Keys {
  readonly MDP_SERVER_KEY: string;
  readonly MDP_PUBLIC_KEY: string;
  readonly MDP_SECRET_KEY: string;
}

describe('programs on other libraries', () => {
  let sealed: string;
  let keys: Keys;

  beforeAll(async () => {
    const crypto = await loadSodium();
    const [broker, own] = [crypto.keyPair(), crypto.keyPair()];
    const [secretKeyFile, keysFile] = [join(built, 'broker.key'), join(built, 'keys.yaml')];
    const shown = encodeZ85(own.publicKey);
    writeFileSync(secretKeyFile, encodeZ85(broker.secretKey), { mode: 0o600 });
    writeFileSync(keysFile, `- name: peer\n  publicKey: '${shown}'\n`, { mode: 0o600 });
    keys = {
      MDP_SERVER_KEY: encodeZ85(broker.publicKey),
      MDP_PUBLIC_KEY: shown,
      MDP_SECRET_KEY: encodeZ85(own.secretKey),
    };
    const [open = 0, closed = 0] = await freePorts(2);
    sealed = `tcp://127.0.0.1:${closed}`;
    const listen = [
      { endpoint: `tcp://127.0.0.1:${open}` },
      { endpoint: sealed, curve: { secretKeyFile, keysFile } },
    ];
    daemon = await startDaemon({
      endpoint: null,
      sets: [`broker.listen=${JSON.stringify(listen)}`, 'broker.heartbeatIntervalMs=1500'],
    });
    workers = new Registered(daemon);
  });

  beforeEach(() => expect(daemon.logged('connection.rejected')).toEqual([]));

  afterEach(() => workers.none());

  afterAll(endAll);

  forEach(['curve'], 'its worker and its client have keys (25/ZMTP-CURVE)', async (peer) => {
    const serving = await workers.comes(worker(peer, sealed, 1, keys));
    const frames = await reply(peer, sealed, peer.package, ['sealed'], keys);
    expect(frames.slice(1)).toEqual(['sealed']);
    await serving.finished();
  });

  it('their idle workers stay registered by the heartbeats that they send (7/MDP)', async () => {
    const idle = PEERS.filter(({ package: name, runs }) => {
      const tool = LANGUAGES[name]?.tool ?? null;
      return runs.includes('heartbeats') && (tool === null || toolAvailable(tool));
    });
    for (const peer of idle) await workers.comes(worker(peer, daemon.endpoint, 1));
    const watcher = new RawPeer(daemon.endpoint);
    // Without heartbeats they would be lost after 4.5 s.
    await watcher.untilMmi<readonly { readonly sinceMs: number }[]>('mmi.workers', (listed) =>
      listed.every(({ sinceMs }) => sinceMs > 9000),
    );
    watcher.close();
    for (const { package: name } of idle) {
      expect((await ask(clientOf(daemon), name, 'hello')).at(-1)).toBe('hello');
    }
    expect(daemon.logged('worker.lost').map(({ reason }) => reason)).toEqual(
      expect.not.arrayContaining(['expired']),
    );
  });
});

describe('a ROUTER of ZMTP 2.0', () => {
  afterEach(async () => {
    await endAll();
    await killPrograms();
  });

  itWithTool(JAVA, 'is dialled by the SDK (15/ZMTP)', async () => {
    const [port = 0] = await freePorts(1);
    const endpoint = `tcp://127.0.0.1:${port}`;
    const router = new Program('JeroMQ', ...javaProgram('router', endpoint));
    await router.waitFor('bound');
    const client = new Client({ endpoints: endpoint, protocol: '0.1', timeoutMs: PATIENCE_MS });
    atEnd(() => client.close());
    for (const body of ['one', 'two']) {
      expect(await ask(client, 'echo', body)).toEqual([body]);
    }
  });
});

function javaProgram(...args: readonly string[]): [string, readonly string[]] {
  const [command, ...rest] = java(JEROMQ)('');
  return [command, [...rest, ...args]];
}
