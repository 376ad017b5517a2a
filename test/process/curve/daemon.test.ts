import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { codeOf } from '../../../src/core/errors.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import type { KeyPair } from '../../../src/zmtp/curve/crypto.js';
import { loadSodium } from '../../../src/zmtp/curve/sodium.js';
import { Child, run } from '../../support/child.js';
import { Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { Patience } from '../../support/patience.js';

type Name = 'alice' | 'bob' | 'mallory';

interface Entry {
  readonly name: Name;
  readonly allow?: readonly string[];
}

let server: KeyPair;
let pairs: Readonly<Record<Name, KeyPair>>;
let folder = '';
let keysFile = '';
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const crypto = await loadSodium();
  server = crypto.keyPair();
  pairs = { alice: crypto.keyPair(), bob: crypto.keyPair(), mallory: crypto.keyPair() };
});

beforeEach(() => {
  folder = temporaryDirectory();
  keysFile = join(folder, 'keys.yaml');
  writeFileSync(join(folder, 'server.key'), encodeZ85(server.secretKey), { mode: 0o600 });
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await removeDaemons();
});

function allow(...entries: readonly Entry[]): void {
  const lines = entries.map(({ name, allow: roles = ['client', 'worker'] }) => {
    const publicKey = encodeZ85(pairs[name].publicKey);
    return `- {name: ${name}, publicKey: '${publicKey}', allow: [${roles.join(', ')}]}\n`;
  });
  writeFileSync(keysFile, lines.join(''), { mode: 0o600 });
}

/** `--set` for a listener with CURVE. */
function listen(transport: string, endpoint = 'tcp://127.0.0.1:0'): string {
  const curve = `{secretKeyFile: ${join(folder, 'server.key')}, keysFile: ${keysFile}}`;
  return `broker.listen=[{endpoint: "${endpoint}", transport: ${transport}, curve: ${curve}}]`;
}

function start(transport = 'zmtp'): Promise<Daemon> {
  return startDaemon({ sets: [listen(transport)] });
}

function curveOf(name: Name): { serverKey: string; publicKey: string; secretKey: Buffer } {
  const { publicKey, secretKey } = pairs[name];
  const serverKey = encodeZ85(server.publicKey);
  return { serverKey, publicKey: encodeZ85(publicKey), secretKey };
}

function client(
  daemon: Daemon,
  name: Name,
  transport: 'zmtp' | 'libzmq' = 'zmtp',
  server: { readonly serverKey?: string } = {},
): Client {
  const made = new Client({
    endpoints: [daemon.endpoint],
    timeoutMs: 2000,
    transport,
    curve: { ...curveOf(name), ...server },
  });
  closers.push(() => made.close());
  return made;
}

function work(
  daemon: Daemon,
  name: Name,
  transport: 'zmtp' | 'libzmq' = 'zmtp',
  service = 'echo',
): void {
  const options = { endpoints: [daemon.endpoint], service, transport } as const;
  const worker = new Worker({ ...options, curve: curveOf(name) }, (request) => request.frames);
  const running = worker.run();
  closers.push(async () => {
    await worker.close({ graceMs: 0 });
    await running;
  });
}

async function outcome(from: Client, text = 'hi', service = 'echo'): Promise<string> {
  try {
    return (await from.request(service, text)).text();
  } catch (error) {
    return codeOf(error) ?? 'unknown';
  }
}

/** What it is told, except that it could not connect, or was not answered, in time. */
async function told(from: Client, service = 'echo'): Promise<string> {
  const patience = new Patience();
  for (;;) {
    const got = await outcome(from, 'hi', service);
    if (!/UNREACHABLE|TIMEOUT/.test(got) || patience.isOver) return got;
  }
}

/** Asks until it gets this answer: a client that cannot connect in time gets another error. */
async function untilOutcome(from: Client, wanted: string): Promise<void> {
  const patience = new Patience();
  for (let got = ''; got !== wanted;) {
    got = await outcome(from, 'hi');
    if (patience.isOver) throw new Error(`${got} instead of ${wanted}`);
  }
}

describe.each(['zmtp', 'libzmq'] as const)('a broker with CURVE on %s', (transport) => {
  it('serves only keys in the keys file, with either engine', async () => {
    allow({ name: 'alice' }, { name: 'bob' });
    const daemon = await start(transport);
    work(daemon, 'bob');
    await untilOutcome(client(daemon, 'alice'), 'hi');
    await untilOutcome(client(daemon, 'alice', 'libzmq'), 'hi');
    expect(await told(client(daemon, 'mallory'))).toBe('ERR_MDP_KEY_REFUSED');
    const rejected = await daemon.waitFor('connection.rejected');
    expect(rejected).toMatchObject({ kind: 'key', listener: 0 });
    const plain = new Client({ endpoints: [daemon.endpoint], timeoutMs: 300 });
    closers.push(() => plain.close());
    expect(await outcome(plain)).toMatch(/UNREACHABLE|TIMEOUT/);
    for (const { secretKey, publicKey } of [server, ...Object.values(pairs)]) {
      expect(daemon.stdout).not.toContain(encodeZ85(secretKey));
      expect(daemon.stdout).not.toContain(encodeZ85(publicKey));
    }
  });

  it('rereads the keys file when it changes, and at SIGHUP', async () => {
    allow({ name: 'bob' });
    const daemon = await start(transport);
    work(daemon, 'bob');
    expect(await told(client(daemon, 'alice'))).toBe('ERR_MDP_KEY_REFUSED');
    allow({ name: 'bob' }, { name: 'alice' });
    await daemon.waitFor('keys.reread');
    await untilOutcome(client(daemon, 'alice'), 'hi');
    writeFileSync(keysFile, '- {name: broken}');
    await daemon.waitFor('keys.refused');
    await untilOutcome(client(daemon, 'alice'), 'hi');
    allow({ name: 'bob' }, { name: 'alice' }, { name: 'mallory' });
    daemon.signal('SIGHUP');
    await daemon.waitFor('keys.reread', 2);
    await untilOutcome(client(daemon, 'mallory'), 'hi');
  });
});

describe('rights by key', () => {
  it('are given by service; withdrawing one ends what it allowed (D72, D73)', async () => {
    const entry = (name: Name, rights: string): string =>
      `- {name: ${name}, publicKey: '${encodeZ85(pairs[name].publicKey)}', ${rights}}\n`;
    const keys = (alice: string, bob: string): void => {
      writeFileSync(keysFile, entry('alice', alice) + entry('bob', bob), { mode: 0o600 });
    };
    keys('client: [other]', 'worker: [ech?]');
    const daemon = await start();
    work(daemon, 'bob');
    const alice = client(daemon, 'alice');
    await untilOutcome(alice, 'ERR_MDP_FORBIDDEN');
    keys('client: ["e*"]', 'worker: [ech?]');
    await untilOutcome(alice, 'hi');
    keys('client: ["e*"]', 'worker: [other]');
    expect(await daemon.waitFor('worker.lost')).toMatchObject({
      reason: 'rights',
      key: 'bob',
      address: '127.0.0.1',
    });
    expect(await daemon.waitFor('worker.refused')).toMatchObject({ reason: 'rights', key: 'bob' });
  });

  it('are never wider than those of the listener', async () => {
    allow({ name: 'alice' }, { name: 'bob' });
    const only = listen('zmtp').replace('curve:', 'client: [other], worker: [echo], curve:');
    const daemon = await startDaemon({ sets: [only] });
    work(daemon, 'bob');
    await untilOutcome(client(daemon, 'alice'), 'ERR_MDP_FORBIDDEN');
  });

  it('reports names that two files give to different keys, at the start and when a file changes', async () => {
    const other = join(folder, 'other.yaml');
    const write = (file: string, name: string, of: Name): void => {
      const entry = `- {name: ${name}, publicKey: '${encodeZ85(pairs[of].publicKey)}'}\n`;
      writeFileSync(file, entry, { mode: 0o600 });
    };
    write(keysFile, 'one', 'alice');
    write(other, 'one', 'bob');
    const secretKeyFile = join(folder, 'server.key');
    const listeners = [keysFile, other].map(
      (file) =>
        `{endpoint: "tcp://127.0.0.1:0", curve: {secretKeyFile: ${secretKeyFile}, keysFile: ${file}}}`,
    );
    const daemon = await startDaemon({ sets: [`broker.listen=[${listeners.join(', ')}]`] });
    expect(daemon.logged('keys.shared')).toMatchObject([
      { level: 'warn', key: 'one', place: `${other}:1:3` },
    ]);
    write(other, 'two', 'bob');
    await daemon.waitFor('keys.reread');
    write(keysFile, 'two', 'alice');
    expect(await daemon.waitFor('keys.shared', 2)).toMatchObject({ key: 'two' });
    daemon.signal('SIGHUP');
    await daemon.waitFor('config.reloaded');
    await daemon.stop();
    expect(daemon.logged('keys.shared')).toHaveLength(2);
  });

  it('include the right to connect: the command line names a key that is refused', async () => {
    allow({ name: 'alice' });
    const daemon = await start();
    const { publicKey, secretKey, serverKey } = curveOf('bob');
    const file = join(folder, 'bob.key');
    writeFileSync(file, encodeZ85(secretKey), { mode: 0o600 });
    const by = ['--endpoint', daemon.endpoint, '--curve-key-file', file];
    const options = [...by, '--curve-server-key', serverKey];
    const asked = await run(['request', 'echo', ...options]);
    const remedy = `refuses the key ${publicKey}: the keys file of its listener needs`;
    expect(asked).toMatchObject({ status: 1, stdout: '' });
    expect(asked.stderr).toContain(remedy);
    expect(asked.stderr).toContain('the right client');
    const listed = await run(['services', ...options]);
    expect(listed.stderr).toBe(asked.stderr);
    const worker = new Child(['worker', 'echo', ...options, '--', 'cat']);
    const said = `the broker at ${daemon.endpoint} ${remedy}`;
    await worker.until(({ stderr }) => stderr.includes(said), said);
    // It keeps trying, and says so once.
    allow({ name: 'alice' }, { name: 'bob' });
    daemon.signal('SIGHUP');
    const registered = `registered at ${daemon.endpoint}`;
    await worker.until(({ stderr }) => stderr.includes(registered), registered);
    expect(worker.stderr.split('refuses the key')).toHaveLength(2);
    expect(worker.stderr).not.toContain('no answer from');
    worker.signal('SIGTERM');
    expect(await worker.finished()).toMatchObject({ status: 0 });
  });

  it('replaces a key under its name: connections made with the old key stay (D73)', async () => {
    const both = ['alice', 'mallory'] as const;
    const keyOf = (name: Name): string => `'${encodeZ85(pairs[name].publicKey)}'`;
    const name = (...keys: readonly Name[]): void => {
      const bob = `- {name: bob, publicKey: ${keyOf('bob')}}\n`;
      const list = keys.map(keyOf).join(', ');
      writeFileSync(keysFile, `${bob}- {name: one, publicKey: [${list}]}\n`, { mode: 0o600 });
    };
    name('alice');
    const daemon = await start();
    work(daemon, 'bob');
    await untilOutcome(client(daemon, 'alice'), 'hi');
    name(...both);
    await daemon.waitFor('keys.reread');
    work(daemon, 'mallory', 'zmtp', 'kept');
    expect(await daemon.waitFor('worker.registered', 2)).toMatchObject({ key: 'one' });
    name('mallory');
    // alice's client was closed; the worker of the same name is not lost.
    expect(await daemon.waitFor('connection.rejected')).toMatchObject({
      kind: 'key',
      key: 'one',
      address: '127.0.0.1',
      reason: 'its key was removed from the keys file',
    });
    await untilOutcome(client(daemon, 'mallory'), 'hi');
    expect(daemon.logged('worker.lost')).toEqual([]);
    expect(await told(client(daemon, 'alice'))).toBe('ERR_MDP_KEY_REFUSED');
  });

  it('changes the server key while it runs: clients may use either (SIGHUP)', async () => {
    allow({ name: 'alice' }, { name: 'bob' });
    const next = (await loadSodium()).keyPair();
    writeFileSync(join(folder, 'next.key'), encodeZ85(next.secretKey), { mode: 0o600 });
    const file = join(folder, 'majordomo.yaml');
    const [port = 0] = await freePorts(1);
    const known = (keys: string): void => {
      const curve = `{secretKeyFile: ${keys}, keysFile: ${keysFile}}`;
      const listener = `{endpoint: "tcp://127.0.0.1:${port}", curve: ${curve}}`;
      writeFileSync(file, `broker: {listen: [${listener}]}`);
    };
    const [old, young] = ['server.key', 'next.key'].map((name) => join(folder, name));
    known(`${old}`);
    const daemon = new Daemon({ file, endpoint: null });
    const { endpoints } = await daemon.waitFor('broker.ready');
    daemon.endpoints = (endpoints as string[]).map(String);
    work(daemon, 'bob');
    const first = client(daemon, 'alice');
    await untilOutcome(first, 'hi');
    known(`[${old}, ${young}]`);
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded')).toMatchObject({ needRestart: [] });
    const bySecond = { serverKey: encodeZ85(next.publicKey) };
    await untilOutcome(client(daemon, 'alice', 'zmtp', bySecond), 'hi');
    await untilOutcome(client(daemon, 'alice'), 'hi');
    known(`${young}`);
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded', 2)).toMatchObject({ needRestart: [] });
    expect(daemon.logged('keys.renewed').at(-1)).toMatchObject({ publicKey: bySecond.serverKey });
    await untilOutcome(client(daemon, 'alice', 'zmtp', bySecond), 'hi');
    expect(await outcome(client(daemon, 'alice'))).toBe('ERR_MDP_UNREACHABLE');
    // No existing connection was closed.
    await untilOutcome(first, 'hi');
    expect(daemon.logged('worker.lost')).toEqual([]);
    known('/nonexistent');
    daemon.signal('SIGHUP');
    await daemon.waitFor('keys.refused');
    // Refused keys are not reported as applied.
    expect(await daemon.waitFor('config.reloaded', 3)).toMatchObject({
      applied: [],
      needRestart: [],
    });
    await untilOutcome(client(daemon, 'alice', 'zmtp', bySecond), 'hi');
  });

  it('says at SIGHUP that a file has another secret key now, as a change', async () => {
    allow({ name: 'alice' });
    const [first, second] = [(await loadSodium()).keyPair(), (await loadSodium()).keyPair()];
    const file = join(folder, 'own.key');
    const write = ({ secretKey }: typeof first): void => {
      writeFileSync(file, encodeZ85(secretKey), { mode: 0o600 });
    };
    write(first);
    const curve = `curve: {secretKeyFile: ${file}, keysFile: ${keysFile}}`;
    const listeners = ['zmtp', 'libzmq'].map(
      (transport) => `{endpoint: 'tcp://127.0.0.1:*', transport: ${transport}, ${curve}}`,
    );
    const sets = [`events.listen={endpoint: 'tcp://127.0.0.1:*', ${curve}}`];
    const daemon = await startDaemon({ endpoint: `[${listeners.join()}]`, sets });
    daemon.signal('SIGHUP');
    const none = { applied: [], needRestart: [] };
    expect(await daemon.waitFor('config.reloaded')).toMatchObject(none);
    write(second);
    daemon.signal('SIGHUP');
    const [from, to] = [first, second].map(({ publicKey }) => encodeZ85(publicKey));
    const change = (path: string): object => ({ key: `${path}.secretKeyFile`, from, to });
    const [broker, events] = ['broker.listen[0].curve', 'events.listen.curve'];
    const needRestart = [change('broker.listen[1].curve')];
    expect(await daemon.waitFor('config.reloaded', 2)).toMatchObject({
      applied: [change(broker), change(events)],
      needRestart,
      msg: 'configuration reloaded: 2 changes applied, 1 need a restart',
    });
    expect(daemon.logged('keys.renewed')).toMatchObject([
      { path: broker, publicKey: to },
      { path: events, publicKey: to },
    ]);
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded', 3)).toMatchObject({ applied: [], needRestart });
    expect(daemon.logged('keys.renewed')).toHaveLength(2);
  });

  it('closes the connections of a key that is removed', async () => {
    allow({ name: 'alice' }, { name: 'bob' });
    const daemon = await start();
    work(daemon, 'bob');
    await untilOutcome(client(daemon, 'alice'), 'hi');
    allow({ name: 'alice' });
    expect(await daemon.waitFor('worker.lost')).toMatchObject({ reason: 'rights' });
    expect(await daemon.waitFor('connection.rejected')).toMatchObject({ kind: 'key' });
  });

  it('with libzmq admits only keys with all the rights of the listener', async () => {
    allow({ name: 'alice', allow: ['client'] }, { name: 'bob' });
    const daemon = await start('libzmq');
    work(daemon, 'bob');
    await untilOutcome(client(daemon, 'bob'), 'hi');
    expect(await told(client(daemon, 'alice'))).toBe('ERR_MDP_KEY_REFUSED');
  });
});

describe('files of keys', () => {
  it('that are invalid end the start with 78 and the position of the error', async () => {
    const serve = ['serve', '--set', `node.dataDir=${folder}`, '--set', listen('zmtp')];
    expect(await run(serve)).toMatchObject({ status: 78 });
    writeFileSync(keysFile, '- {name: x, publicKey: y}');
    const broken = await run(serve);
    expect(broken.status).toBe(78);
    expect(broken.stderr).toContain(`${keysFile}:1:24: [0].publicKey: expected a public key`);
    allow();
    chmodSync(join(folder, 'server.key'), 0o644);
    const loose = await run(serve);
    expect(loose.status).toBe(78);
    expect(loose.stderr).toContain('other users can read this secret key (mode 0644)');
  });

  it('are created by keygen, which never overwrites others', async () => {
    const file = join(folder, 'carol.key');
    const made = await run(['keygen', file]);
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(`${file}.pub`, 'utf8')).toBe(made.stdout);
    const before = readFileSync(file, 'utf8');
    expect(before).not.toBe(made.stdout);
    const again = await run(['keygen', file]);
    expect(again).toMatchObject({ status: 74, stdout: '' });
    expect(again.stderr).toContain('exists and is not overwritten');
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  it('are printed as JSON, the secret key only as its file', async () => {
    const file = join(folder, 'dave.key');
    const { status, stdout } = await run(['keygen', file, '-o', 'json']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      publicKey: readFileSync(`${file}.pub`, 'utf8').trimEnd(),
      secretKeyFile: file,
      publicKeyFile: `${file}.pub`,
    });
  });

  it('are used by all commands', async () => {
    allow({ name: 'alice' });
    const daemon = await start();
    work(daemon, 'alice');
    await daemon.waitFor('worker.registered');
    const file = join(folder, 'alice.key');
    writeFileSync(file, encodeZ85(pairs.alice.secretKey), { mode: 0o600 });
    const at = ['--endpoint', daemon.endpoint];
    const keys = ['--curve-server-key', encodeZ85(server.publicKey), '--curve-key-file', file];
    expect(await run(['request', 'echo', 'hello', ...at, ...keys])).toMatchObject({
      status: 0,
      stdout: 'hello\n',
    });
    const workers = await run(['workers', '-o', 'json', ...at, ...keys]);
    expect(JSON.parse(workers.stdout)).toMatchObject([{ key: 'alice' }]);
    expect(await run(['request', 'echo', 'x', ...at, ...keys.slice(0, 2)])).toMatchObject({
      status: 64,
    });
    chmodSync(file, 0o644);
    expect(await run(['request', 'echo', 'x', ...at, ...keys])).toMatchObject({ status: 78 });
  });
});

describe('majordomo doctor', () => {
  it('says whose keys are admitted, and what is wrong with the files', async () => {
    const doctor = ['doctor', '-o', 'json', '--set', `node.dataDir=${folder}`];
    allow({ name: 'alice' }, { name: 'bob' });
    const good = await run([...doctor, '--set', listen('zmtp')]);
    expect(JSON.parse(good.stdout)).toMatchObject({
      checks: expect.arrayContaining([
        expect.objectContaining({ state: 'ok', text: `${keysFile}: alice, bob` }),
        expect.objectContaining({ state: 'ok', text: join(folder, 'server.key') }),
      ]),
    });
    chmodSync(join(folder, 'server.key'), 0o644);
    const loose = await run([...doctor, '--set', listen('zmtp')]);
    expect(loose.status).toBe(1);
    expect(loose.stdout).toContain('other users can read this secret key');
    expect(good.stdout + loose.stdout).not.toContain(encodeZ85(server.secretKey));
  });
});

describe('the SDK', () => {
  it.each([
    [{ serverKey: 'short' }, 'curve.serverKey'],
    [{ publicKey: Buffer.alloc(31) }, 'curve.publicKey'],
    [{ secretKey: 7 }, 'curve.secretKey'],
    [{ secret: 'x' }, 'curve.secret'],
  ])('refuses %p, and shows no key', (wrong, option) => {
    const good = curveOf('alice');
    const options: unknown = { endpoints: ['tcp://127.0.0.1:1'], curve: { ...good, ...wrong } };
    let thrown: unknown;
    try {
      const made = new Client(options as never);
      closers.push(() => made.close());
    } catch (error) {
      thrown = error;
    }
    expect(codeOf(thrown)).toBe('ERR_MDP_OPTION');
    expect(String(thrown)).toContain(option);
    expect(String(thrown)).not.toContain(good.publicKey);
  });
});

describe('the quota that an entry names', () => {
  it('limits the connections of its key, and of no other', async () => {
    const entries = (['alice', 'bob'] as const).map((name) => {
      const publicKey = encodeZ85(pairs[name].publicKey);
      return `- {name: ${name}, publicKey: '${publicKey}'${name === 'alice' ? ', quota: one' : ''}}\n`;
    });
    writeFileSync(keysFile, entries.join(''), { mode: 0o600 });
    const quota = 'limits.quotas={one: {connections: 1}}';
    const daemon = await startDaemon({ sets: [listen('zmtp'), quota] });
    work(daemon, 'bob');
    await untilOutcome(client(daemon, 'alice'), 'hi');
    expect(await outcome(client(daemon, 'alice'))).not.toBe('hi');
    expect((await daemon.waitFor('connection.rejected'))['reason']).toBe(
      'the quota `connections` of its key is used up',
    );
    for (const other of [client(daemon, 'bob'), client(daemon, 'bob')]) {
      await untilOutcome(other, 'hi');
    }
  });
});

describe('a service that authorises keys', () => {
  const NAMES = ['alice'] as const;
  let answers: Readonly<Record<string, object>>;
  let asked: { publicKey: string; address: string }[];

  /** bob offers the service: his entry names it. */
  async function startAsking(): Promise<Daemon> {
    const publicKey = encodeZ85(pairs.bob.publicKey);
    const entry = `- {name: bob, publicKey: '${publicKey}', client: [], worker: [auth, echo]}\n`;
    writeFileSync(keysFile, entry, { mode: 0o600 });
    const daemon = await startDaemon({ sets: [listen('zmtp'), 'security.authorize=auth'] });
    work(daemon, 'bob');
    return daemon;
  }

  function answer(daemon: Daemon): void {
    const options = { endpoints: [daemon.endpoint], service: 'auth' } as const;
    const worker = new Worker({ ...options, curve: curveOf('bob') }, (request) => {
      const question = JSON.parse(request.text()) as (typeof asked)[number];
      asked.push(question);
      const name = NAMES.find((each) => encodeZ85(pairs[each].publicKey) === question.publicKey);
      return JSON.stringify(answers[name ?? 'others']);
    });
    const running = worker.run();
    closers.push(async () => {
      await worker.close({ graceMs: 0 });
      await running;
    });
  }

  beforeEach(() => {
    asked = [];
    answers = {
      alice: { name: 'alice', client: ['echo'], ttlMs: 10_000 },
      others: { refused: true },
    };
  });

  it('admits the keys that it accepts, with the rights that it gives, and keeps others out', async () => {
    const daemon = await startAsking();
    answer(daemon);
    const alice = client(daemon, 'alice');
    await untilOutcome(alice, 'hi');
    expect(await told(alice, 'auth')).toBe('ERR_MDP_FORBIDDEN');
    expect(asked[0]).toEqual({
      publicKey: encodeZ85(pairs.alice.publicKey),
      address: '127.0.0.1',
    });
    const mallory = client(daemon, 'mallory');
    expect(await told(mallory)).toBe('ERR_MDP_KEY_REFUSED');
    await daemon.waitFor('authoriser.refused');
    expect(await told(mallory)).toBe('ERR_MDP_KEY_REFUSED');
    expect(new Set(asked.map(({ publicKey }) => publicKey)).size).toBe(2);
  });

  it('is asked again when its answer has expired: a refusal ends the connections that it allowed', async () => {
    const daemon = await startAsking();
    answer(daemon);
    const alice = client(daemon, 'alice');
    await untilOutcome(alice, 'hi');
    answers = { others: { refused: true }, alice: { refused: true, ttlMs: 60_000 } };
    await untilOutcome(alice, 'ERR_MDP_KEY_REFUSED');
    expect(asked.length).toBeGreaterThan(1);
  });

  it('without a worker keeps out every key that is in no file, and says so', async () => {
    const daemon = await startAsking();
    expect(await outcome(client(daemon, 'alice'))).toBe('ERR_MDP_UNREACHABLE');
    expect((await daemon.waitFor('authoriser.unanswered'))['msg']).toContain('no worker offers it');
    answer(daemon);
    await untilOutcome(client(daemon, 'alice'), 'hi');
  });
});
