import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';

import { present } from '../../../src/core/assert.js';
import { privateRemedy } from '../../../src/core/private-file.js';
import { encodeZ85 } from '../../../src/core/z85.js';
import { RawPeer } from '../../interop/support/raw-peer.js';
import { type ChildOptions, type Finished, run, runEach } from '../../support/child.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { freePortsInARow, listening } from '../../support/free-ports.js';
import { httpOf } from '../../support/http.js';
import { destroySockets, RawSocket } from '../../support/raw-socket.js';

afterEach(async () => {
  destroySockets();
  await removeDaemons();
});

interface Check {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly remedy: string | null;
}

interface Examined {
  readonly status: number | null;
  readonly checks: readonly Check[];
  check(name: string): Check | undefined;
}

/** The command with these settings, on free ports and a data directory of its own. */
function lineOf(sets: readonly string[]): string[] {
  const ports = ['broker.listen=tcp://127.0.0.1:0', 'http.listen=127.0.0.1:0'];
  const all = [`node.dataDir=${temporaryDirectory()}`, ...ports, ...sets];
  return ['doctor', '-o', 'json', ...all.flatMap((set) => ['--set', set])];
}

/** What it finds with these settings. */
async function examine(
  sets: readonly string[],
  options: ChildOptions = {},
  ...args: readonly string[]
): Promise<Examined> {
  return examined(await run([...lineOf(sets), ...args], options));
}

/** The same for several, one after the other in one process. */
async function examineEach(...several: readonly (readonly string[])[]): Promise<Examined[]> {
  return (await runEach(several.map(lineOf))).map(examined);
}

function examined({ status, stdout }: Finished): Examined {
  const { checks, problems } = JSON.parse(stdout) as { checks: Check[]; problems: number };
  expect(problems).toBe(checks.filter(({ state }) => state === 'problem').length);
  expect(status).toBe(problems === 0 ? 0 : 1);
  return { status, checks, check: (name) => checks.find((each) => each.name.startsWith(name)) };
}

describe('majordomo doctor', () => {
  it('finds nothing wrong on a healthy machine, and lists its checks', async () => {
    const { checks, status } = await examine([]);
    expect(status).toBe(0);
    expect(checks.map(({ name }) => name)).toEqual([
      'node',
      'runtime',
      'zeromq',
      'better-sqlite3',
      'clock',
      'configuration',
      'data directory',
      'free space',
      'store',
      'listener tcp://127.0.0.1:0',
      'http 127.0.0.1:0',
      'open over http',
      'descriptors',
      'memory',
    ]);
    expect(checks.find(({ name }) => name === 'better-sqlite3')?.text).toMatch(/SQLite 3\.\d+/);
  });

  it('prints a line for each check, and a summary', async () => {
    const directory = join(temporaryDirectory(), 'data');
    const sets = [
      `node.dataDir=${directory}`,
      'broker.listen=tcp://127.0.0.1:0',
      'http.listen=off',
    ];
    const args = sets.flatMap((set) => ['--set', set]);
    const { status, stdout, stderr } = await run(['doctor', ...args]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`ok       data directory: ${directory} will be created\n`);
    expect(stdout).toMatch(/^0 problems, \d+ warnings?\n$/m);
    expect(stdout).not.toContain('\u001b');
  });

  it('reports every error of the configuration, with a remedy, and goes on', async () => {
    const { status, check } = await examine(['limits.frames=0', 'log.level=loud']);
    expect(status).toBe(1);
    expect(check('configuration')).toMatchObject({ state: 'problem' });
    expect(check('configuration')?.text).toMatch(/limits\.frames[^]*log\.level/);
    expect(check('configuration')?.remedy).toContain('majordomo check');
    expect(check('zeromq')?.state).toBe('ok');
  });

  it('warns of keys that have no effect', async () => {
    const { status, check } = await examine(['bstar.pair=left']);
    expect(status).toBe(0);
    expect(check('configuration')).toMatchObject({ state: 'warning' });
  });

  it('recognizes a Majordomo that serves at the endpoint, and its data directory', async () => {
    const { endpoint, dataDir } = await startDaemon({ sets: ['node.name=left'] });
    const { status, check } = await examine([
      `broker.listen=${endpoint}`,
      `node.dataDir=${dataDir}`,
    ]);
    expect(status).toBe(0);
    expect(check('listener')).toMatchObject({ state: 'ok' });
    expect(check('listener')?.text).toMatch(
      /^a Majordomo \d+\.\d+\.\d+ serves there \(node left\)$/,
    );
    expect(check('data directory')).toMatchObject({ state: 'ok' });
  });

  it('recognizes a node of a pair, and says only that', async () => {
    const pair = [
      'bstar.role=primary',
      'bstar.listen=tcp://127.0.0.1:0',
      'bstar.peer=tcp://127.0.0.1:1',
    ];
    const { endpoint, dataDir } = await startDaemon({ sets: pair });
    const own = [`broker.listen=${endpoint}`, `node.dataDir=${dataDir}`, 'http.listen=off'];
    const { stdout, stderr } = await run([
      'doctor',
      ...[...pair, ...own].flatMap((set) => ['--set', set]),
    ]);
    expect(stdout).toMatch(/^ok +listener .*: a Majordomo \S+ serves there/m);
    expect(stderr).toBe('');
  });

  it('asks a broker that listens for HTTP on the name of an interface', async () => {
    const all = Object.entries(networkInterfaces());
    const found = all.find(([, own = []]) => own.some(({ address }) => address === '127.0.0.1'));
    const [name] = present(found, 'an interface with 127.0.0.1');
    const daemon = await startDaemon({ sets: [`http.listen=${name}:0`] });
    const own = [`node.dataDir=${daemon.dataDir}`, `broker.listen=${daemon.endpoint}`];
    const listen = `${name}:${new URL(httpOf(daemon)).port}`;
    const { check } = await examine([...own, `http.listen=${listen}`]);
    expect(check(`http ${listen}`)).toMatchObject({ state: 'ok' });
  });

  it('explains with --listen whom the running broker has refused, or that it refused nobody', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const own = [
      `broker.listen=${daemon.endpoint}`,
      `http.listen=${httpOf(daemon).replace('http://', '')}`,
      `node.dataDir=${daemon.dataDir}`,
    ];
    const listening = (): Promise<Finished> =>
      run([...lineOf([]).slice(0, 3), ...own.flatMap((set) => ['--set', set]), '--listen', '1']);
    const quiet = examined(await listening());
    expect(quiet.check('refused peers')).toMatchObject({ state: 'ok' });
    const worker = new RawPeer(daemon.endpoint);
    await worker.send('', 'MDPW01', '\x01');
    await daemon.waitFor('message.malformed');
    const stranger = new RawSocket(daemon.endpoint).write(Buffer.from('GET / HTTP/1.1'));
    await stranger.closed();
    const { stderr, ...finished } = await listening();
    expect(stderr).toBe('majordomo: listening for 1 second\n');
    const { status, checks } = examined({ stderr, ...finished });
    expect(status).toBe(0);
    const refused = checks.filter(({ name }) => name === 'refused peers');
    expect(refused).toMatchObject(
      [
        { state: 'warning', text: /^127\.0\.0\.1: listener 0, kind greeting, reason not ZMTP/ },
        { state: 'warning', text: /^127\.0\.0\.1: READY, frame \d: .*\(message\.malformed, at / },
      ].map(({ state, text }) => ({ state, text: expect.stringMatching(text) })),
    );
    for (const { remedy } of refused) expect(remedy).toMatch(/ZMTP|docs\/protocol\.md/);
    worker.close();
    const gone = await examine(['http.listen=127.0.0.1:1'], {}, '--listen', '1');
    expect(gone.check('refused peers')).toMatchObject({
      state: 'problem',
      text: expect.stringMatching(/cannot be reached: connection refused/),
    });
  });

  it('takes a listener with CURVE for the broker that uses the data directory', async () => {
    const directory = temporaryDirectory();
    const [secretKeyFile, keysFile] = ['broker.key', 'keys.yaml'].map((name) =>
      join(directory, name),
    );
    await run(['keygen', secretKeyFile ?? '']);
    writeFileSync(keysFile ?? '', '[]');
    const curve = `curve: {secretKeyFile: ${secretKeyFile ?? ''}, keysFile: ${keysFile ?? ''}}`;
    const listen = (endpoint: string): string =>
      `broker.listen=[{endpoint: ${endpoint}, ${curve}}]`;
    const { endpoint, dataDir } = await startDaemon({ sets: [listen('tcp://127.0.0.1:0')] });
    const [own, other] = await examineEach(
      [listen(endpoint), `node.dataDir=${dataDir}`],
      [listen(endpoint)],
    );
    expect(own?.status).toBe(0);
    expect(own?.check('listener')).toMatchObject({
      state: 'ok',
      text: expect.stringMatching(/^in use, presumably by the running broker/),
    });
    expect(own?.check('data directory')).toMatchObject({ state: 'ok' });
    expect(other?.check('listener')).toMatchObject({ state: 'problem' });
  });

  it('asks no listener for one service: its workers would get the question as a request', async () => {
    const listen = (endpoint: string): string =>
      `broker.listen=[{endpoint: ${endpoint}, service: echo, allow: [client]}]`;
    const { endpoint, dataDir } = await startDaemon({ sets: [listen('tcp://127.0.0.1:0')] });
    const [own, other] = await examineEach(
      [listen(endpoint), `node.dataDir=${dataDir}`],
      [listen(endpoint)],
    );
    expect(own?.status).toBe(0);
    expect(own?.check('listener')).toMatchObject({
      state: 'ok',
      text: expect.stringMatching(/a listener with service cannot be asked/),
    });
    expect(own?.check('data directory')).toMatchObject({ state: 'ok' });
    expect(other?.check('listener')).toMatchObject({ state: 'problem' });
  });

  it('finds that the keys of the pair’s link are missing', async () => {
    const curve = 'bstar.curve={secretKeyFile: /nonexistent/key, keysFile: /nonexistent/keys.yaml}';
    const link = ['bstar.listen=tcp://127.0.0.1:0', 'bstar.peer=tcp://127.0.0.1:1'];
    const { status, check } = await examine(['bstar.role=primary', ...link, curve]);
    expect(status).toBe(1);
    expect(check('secret key of tcp://127.0.0.1:0')).toMatchObject({ state: 'problem' });
    expect(check('keys of tcp://127.0.0.1:0')).toMatchObject({ state: 'problem' });
  });

  it('says that the pair’s link is open to a network, or to the users of this machine', async () => {
    const link = ['bstar.role=primary', 'bstar.peer=tcp://127.0.0.1:1'];
    const [open, local] = await examineEach(
      [...link, 'bstar.listen=tcp://0.0.0.0:0'],
      [...link, 'bstar.listen=tcp://127.0.0.1:0'],
    );
    expect(open?.status).toBe(1);
    expect(open?.check('open to strangers')).toMatchObject({ state: 'problem' });
    expect(open?.check('open to strangers')?.text).toContain('majordomo keygen --pair keys');
    expect(local?.status).toBe(0);
    expect(local?.check('link of the pair')).toMatchObject({ state: 'warning' });
  });

  it('says which listeners are open to a network, and which keys files other users can change', async () => {
    const directory = temporaryDirectory();
    const keysFile = join(directory, 'keys.yaml');
    const key = encodeZ85(Buffer.alloc(32, 1));
    writeFileSync(keysFile, `- {name: bob, publicKey: '${key}', services: [echo]}`, {
      mode: 0o600,
    });
    const curve = `curve: {secretKeyFile: none, keysFile: ${keysFile}}`;
    const listen = [
      '{endpoint: "tcp://*:0", insecure: true}',
      `{endpoint: "tcp://127.0.0.1:0", ${curve}}`,
    ];
    const data = temporaryDirectory();
    chmodSync(data, 0o770);
    const sets = [`broker.listen=[${listen.join(', ')}]`];
    const [closed] = await examineEach(sets);
    expect(closed?.check('open to strangers tcp://*:0')).toMatchObject({ state: 'warning' });
    expect(closed?.check('keys of tcp://127.0.0.1:0')).toMatchObject({ state: 'ok' });
    chmodSync(keysFile, 0o620);
    const [loose, open] = await examineEach(
      [...sets, `node.dataDir=${data}`],
      ['broker.listen=tcp://*:0'],
    );
    expect(loose?.check('keys of')).toMatchObject({
      state: 'problem',
      remedy: `chmod go-w ${keysFile}`,
    });
    expect(loose?.check('data directory')).toMatchObject({
      state: 'problem',
      remedy: `chmod go-w ${data}`,
    });
    expect(open?.check('open to strangers')).toMatchObject({ state: 'problem' });
  });

  it('warns of a data directory that a broker elsewhere uses', async () => {
    const { dataDir, pid } = await startDaemon();
    const { check } = await examine([`node.dataDir=${dataDir}`]);
    expect(check('data directory')).toMatchObject({ state: 'warning' });
    expect(check('data directory')?.text).toContain(
      `in use by a running broker (process ${pid} on`,
    );
  });

  it('finds another program at a port, and says how to identify it', async () => {
    const stranger = createServer();
    const port = await listening(stranger);
    const pair = ['bstar.role=primary', 'bstar.peer=tcp://127.0.0.1:1'];
    const at = `127.0.0.1:${port}`;
    const lines = [
      [`broker.listen=tcp://${at}`],
      [`http.listen=${at}`],
      [`bstar.listen=tcp://${at}`, ...pair],
    ];
    // Each waits for an answer that does not come.
    const found = await Promise.all(lines.map((sets) => examine(sets)));
    for (const [index, name] of ['listener', 'http', 'peer listener'].entries()) {
      const { status, check } = present(found[index], 'one for each');
      expect(status).toBe(1);
      expect(check(name)).toMatchObject({ state: 'problem' });
      expect(check(name)?.remedy).toContain(`sport = :${port}`);
    }
    stranger.close();
  });

  it('looks at the three ports of the map, and says which one is taken', async () => {
    const port = await freePortsInARow(3);
    const listen = `map.listen=tcp://127.0.0.1:${port}`;
    const names = [0, 1, 2].map((above) => `map listener tcp://127.0.0.1:${port + above}`);
    const free = await examine([listen]);
    expect(names.map((name) => free.check(name)?.state)).toEqual(['ok', 'ok', 'ok']);
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(port + 2, '127.0.0.1', resolve));
    const taken = await examine([listen]);
    expect(taken.status).toBe(1);
    expect(names.map((name) => taken.check(name)?.state)).toEqual(['ok', 'ok', 'problem']);
    expect(taken.check(names[2] ?? '')?.remedy).toContain(`sport = :${port + 2}`);
    stranger.close();
  });

  it('recognizes the Majordomo at http.listen: the one that serves, or another', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const listen = `http.listen=${new URL(httpOf(daemon)).host}`;
    const serves = [`broker.listen=${daemon.endpoint}`, `node.dataDir=${daemon.dataDir}`, listen];
    const [own, other] = await examineEach(serves, [listen]);
    expect(own?.check('http')).toMatchObject({
      state: 'ok',
      text: 'a Majordomo broker answers there',
    });
    expect(other?.check('http')).toMatchObject({ state: 'problem' });
    expect(other?.check('http')?.remedy).toContain('another http.listen');
  });

  it('finds a token that others may read, which serve refuses', async () => {
    const folder = temporaryDirectory();
    const file = join(folder, 'http.token');
    writeFileSync(file, 'sixteen-letters-or-more', { mode: 0o644 });
    const { status, check } = await examine([`node.dataDir=${folder}`]);
    expect(status).toBe(1);
    const remedy = privateRemedy(statSync(file), file);
    expect(check('http token')).toMatchObject({ state: 'problem', remedy });
  });

  it('finds addresses that this machine does not have, and missing ipc directories', async () => {
    const listen = 'broker.listen=[tcp://192.0.2.1:5555, ipc:///no-such-folder/mdp]';
    const { checks } = await examine([listen]);
    expect(checks.filter(({ name }) => name.startsWith('listener'))).toMatchObject([
      { state: 'problem', text: expect.stringContaining('does not have that address') },
      {
        state: 'problem',
        text: '/no-such-folder does not exist',
        remedy: 'mkdir -p /no-such-folder',
      },
    ]);
  });

  it('finds who serves an ipc endpoint, and treats a stale socket as free', async () => {
    const path = join(temporaryDirectory(), 'mdp');
    const daemon = await startDaemon({ endpoint: `ipc://${path}` });
    const listen = `broker.listen=ipc://${path}`;
    expect((await examine([listen])).check('listener')?.text).toContain('serves there');
    await daemon.kill();
    expect((await examine([listen])).check('listener')?.text).toBe('free');
  });

  it('finds a data directory that is unusable, or open to other users', async () => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'open'));
    chmodSync(join(folder, 'open'), 0o755);
    const [file, open] = await examineEach(
      [`node.dataDir=${join(folder, 'file')}`],
      [`node.dataDir=${join(folder, 'open')}`],
    );
    expect(file?.check('data directory')).toMatchObject({ state: 'problem' });
    expect(open?.check('data directory')).toMatchObject({
      state: 'warning',
      remedy: `chmod 700 ${join(folder, 'open')}`,
    });
  });

  it('creates nothing', async () => {
    const folder = temporaryDirectory();
    await examineEach([`node.dataDir=${join(folder, 'data')}`], [`node.dataDir=${folder}`]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('compares the limit of open files with limits.connections', async () => {
    const enough = await examine(['limits.connections=100'], { before: 'ulimit -n 400' });
    expect(enough.check('descriptors')).toMatchObject({ state: 'ok' });
    const few = await examine(['limits.connections=1000'], { before: 'ulimit -n 400' });
    expect(few.check('descriptors')).toMatchObject({
      state: 'warning',
      remedy: 'ulimit -n 1100, or LimitNOFILE=1100 in the unit',
    });
    const tooFew = await examine(['limits.connections=1000'], { before: 'ulimit -n 100' });
    expect(tooFew).toMatchObject({ status: 1 });
    expect(tooFew.check('descriptors')).toMatchObject({ state: 'problem' });
  });

  it('reports what is open over HTTP', async () => {
    const anywhere = 'http.listen=0.0.0.0:0';
    const [near, closed, plain, refused, tls] = await examineEach(
      ['http.listen=127.0.0.1:0'],
      ['http.listen=127.0.0.1:0', 'http.requireToken=true'],
      [anywhere, 'http.insecure=true'],
      [anywhere],
      [anywhere, 'http.tls={certFile: /nowhere.crt, keyFile: /nowhere.key}'],
    );
    const open = 'open over http';
    expect(near?.check(open)?.text).toContain('every user of this machine');
    expect(closed?.check(open)).toMatchObject({ state: 'ok' });
    expect(closed?.check(open)?.text).toContain('only /livez');
    expect(plain?.check(open)).toMatchObject({ state: 'warning' });
    expect(refused?.check('open to strangers')).toMatchObject({ state: 'problem' });
    expect(refused?.check(open)).toBeUndefined();
    expect(tls?.check(open)).toMatchObject({ state: 'ok' });
    expect(tls?.check('http certificate')).toMatchObject({ state: 'problem' });
  });

  it('compares the memory with limits.memoryBytes', async () => {
    const { status, check } = await examine(['limits.memoryBytes=1TiB']);
    expect(status).toBe(1);
    expect(check('memory')).toMatchObject({ state: 'problem' });
    expect(check('memory')?.remedy).toMatch(/^set limits\.memoryBytes to \d+[MG]iB or less$/);
  });
});
