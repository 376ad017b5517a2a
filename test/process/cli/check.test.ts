import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { encodeZ85 } from '../../../src/core/z85.js';
import { run, runEach } from '../../support/child.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';

afterEach(removeDaemons);

function fileWith(yaml: string): string {
  const file = join(temporaryDirectory(), 'majordomo.yaml');
  writeFileSync(file, yaml);
  return file;
}

function serverKeyIn(folder: string): string {
  const file = join(folder, 'server.key');
  writeFileSync(file, encodeZ85(Buffer.alloc(32, 9)), { mode: 0o600 });
  return file;
}

const PAIR = [
  'bstar.role=backup',
  'bstar.peer=tcp://127.0.0.1:1',
  'bstar.listen=tcp://127.0.0.1:2',
];

/** A file that a configuration names, and nobody made. */
const NAMED = {
  'the key of a listener': [
    'broker.listen=[{endpoint: "tcp://127.0.0.1:0", curve: {secretKeyFile: FOLDER/missing, keysFile: FOLDER/keys.yaml}}]',
  ],
  'its keys file': [
    'broker.listen=[{endpoint: "tcp://127.0.0.1:0", curve: {secretKeyFile: FOLDER/server.key, keysFile: FOLDER/missing}}]',
  ],
  'the key of the events': [
    'events.listen={endpoint: "tcp://127.0.0.1:0", curve: {secretKeyFile: FOLDER/missing, keysFile: FOLDER/keys.yaml}}',
  ],
  'the key of the link': [
    ...PAIR,
    `bstar.curve={secretKeyFile: FOLDER/missing, keysFile: FOLDER/keys.yaml, serverKey: '${'0'.repeat(40)}'}`,
  ],
  'a token': [
    'http.tokens=[{name: a, role: read, tokenFile: FOLDER/missing}]',
    'http.listen=127.0.0.1:0',
  ],
  'the certificate': [
    'http.tls={certFile: FOLDER/missing, keyFile: FOLDER/server.key}',
    'http.listen=127.0.0.1:0',
  ],
  'its key': [
    'http.tls={certFile: FOLDER/missing, keyFile: FOLDER/missing}',
    'http.listen=127.0.0.1:0',
  ],
  'the secret of webhooks': [
    'http.webhookHosts=localhost',
    'http.webhookSecretFile=FOLDER/missing',
    'http.listen=127.0.0.1:0',
  ],
  'the password of the database': [
    'titanic.store=postgresql://a@127.0.0.1:1/a',
    'titanic.storePasswordFile=FOLDER/missing',
  ],
  'the credentials for NATS': [
    'fleet.nats=nats://127.0.0.1:1',
    'fleet.natsCredsFile=FOLDER/missing',
  ],
} as const;

/** A setting, what is wrong with it, and the lines that fix it. */
const OPEN = [
  [
    'broker.listen=tcp://*:5555',
    'broker.listen[0]: tcp://*:5555 is not on loopback',
    "listen: [{endpoint: 'tcp://*:5555', insecure: true}]",
    "listen: [{endpoint: 'tcp://*:5555', curve: {secretKeyFile: ",
  ],
  [
    'http.listen=0.0.0.0:0',
    'http.listen: 0.0.0.0:0 is not on loopback',
    'http.tls: {certFile: server.crt, keyFile: server.key}',
    'http.insecure: true',
  ],
] as const;

describe('majordomo check', () => {
  it('shows every value and where it came from: file < environment < --set (contract §3)', async () => {
    const file = fileWith('broker:\n  maxDeliveries: 4\nlimits:\n  frames: 32\n  workers: 5\n');
    const { status, stdout, stderr } = await run(
      ['check', '-c', file, '--set', 'limits.frames=99', '--set', 'log.level=debug'],
      { environment: { MAJORDOMO_LIMITS__WORKERS: '7' } },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const row = (key: string): string[] =>
      stdout
        .split('\n')
        .map((line) => line.split(/ {2,}/))
        .find(([name]) => name === key) ?? [];
    expect(row('broker.maxDeliveries')).toEqual(['broker.maxDeliveries', '4', `${file}:2:18`]);
    expect(row('limits.workers').slice(1)).toEqual(['7', 'environment MAJORDOMO_LIMITS__WORKERS']);
    expect(row('limits.frames').slice(1)).toEqual(['99', '--set #1']);
    expect(row('log.level').slice(1)).toEqual(['debug', '--set #2']);
    expect(row('limits.services').slice(1)).toEqual(['10000', 'default']);
  });

  it('masks secrets, in text and in JSON', async () => {
    const token = 'correct-horse-battery-staple';
    const args = ['check', '--set', `http.token=${token}`];
    for (const more of [[], ['-o', 'json']]) {
      const { status, stdout, stderr } = await run([...args, ...more]);
      expect(status).toBe(0);
      expect(stdout).toContain('********');
      expect(stdout + stderr).not.toContain(token);
    }
  });

  it('warns on standard error of keys that have no effect in this version', async () => {
    const { status, stderr } = await run(['check', '--set', 'bstar.pair=left']);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^warning: --set #1: bstar\.pair: /);
  });

  it.each(['check', 'serve'].flatMap((command) => OPEN.map((row) => [command, ...row] as const)))(
    '%s ends with 78 for a listener that is open to a network, and says the line: %s (D78)',
    async (command, set, why, ...remedies) => {
      const { status, stdout, stderr } = await run([command, '--set', set], {
        environment: { MAJORDOMO_NODE__DATA_DIR: temporaryDirectory() },
      });
      expect({ status, stdout }).toEqual({ status: 78, stdout: '' });
      expect(stderr.startsWith(`--set #1: ${why}`)).toBe(true);
      for (const remedy of remedies) expect(stderr).toContain(remedy);
    },
  );

  it('shows what a keys file means', async () => {
    const folder = temporaryDirectory();
    const keysFile = join(folder, 'keys.yaml');
    const key = (byte: number): string => encodeZ85(Buffer.alloc(32, byte));
    writeFileSync(
      keysFile,
      `- {name: alice, publicKey: '${key(1)}', client: ["render.*"], operator: true}\n` +
        `- {name: bob, publicKey: '${key(2)}', allow: [worker], services: [echo]}\n` +
        `- {name: carol, publicKey: '${key(3)}'}\n`,
    );
    const curve = `{secretKeyFile: ${serverKeyIn(folder)}, keysFile: ${keysFile}}`;
    const sets = ['--set', `broker.listen=[{endpoint: "tcp://*:1", curve: ${curve}}]`];
    const { status, stdout, stderr } = await run(['check', ...sets]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^alice +render\.\* +nothing +operator +-$/m);
    expect(stdout).toMatch(/^bob +nothing +echo +- +-$/m);
    expect(stdout).toMatch(/^carol +everything +everything +- +-$/m);
    expect(stderr).toBe('');
    const json = JSON.parse((await run(['check', '-o', 'json', ...sets])).stdout) as unknown;
    expect(json).toMatchObject({
      quotas: { perPeer: { connections: 8750, requestsPerSecond: null } },
      keys: [
        { file: keysFile, usedBy: ['tcp://*:1'], entries: [{ name: 'alice', keys: 1 }, {}, {}] },
      ],
      configuration: expect.arrayContaining([
        expect.objectContaining({ value: [expect.objectContaining({ mmi: 'full' })] }),
      ]),
    });
    writeFileSync(keysFile, '- {name: x}');
    expect((await run(['check', ...sets])).status).toBe(78);
  });

  it.each(Object.entries(NAMED))(
    'ends with 78 as serve does if a file is missing: %s',
    async (_what, sets) => {
      const folder = temporaryDirectory();
      const here = (set: string): string => set.replaceAll('FOLDER', folder);
      serverKeyIn(folder);
      writeFileSync(join(folder, 'keys.yaml'), '[]', { mode: 0o600 });
      const options = [...sets, 'node.dataDir=FOLDER/data'].flatMap((set) => ['--set', here(set)]);
      const [check, serve] = await runEach(
        ['check', 'serve'].map((command) => [command, ...options]),
      );
      expect([check?.status, serve?.status]).toEqual([78, 78]);
      for (const each of [check, serve]) {
        expect(each?.stderr).toMatch(/missing\S*(: no such|: cannot| does not exist)/);
      }
    },
  );

  it('ends with 78 for files that others can read, and names all of them', async () => {
    const folder = temporaryDirectory();
    const file = join(folder, 'a.token');
    writeFileSync(file, 'a'.repeat(32), { mode: 0o644 });
    const sets = [`http.tokens=[{name: a, role: read, tokenFile: ${file}}]`];
    const missing = `broker.listen=[{endpoint: "tcp://127.0.0.1:0", curve: {secretKeyFile: ${folder}/k, keysFile: ${folder}/y}}]`;
    const { status, stdout, stderr } = await run([
      ...['check', '-o', 'json'],
      ...[...sets, missing].flatMap((set) => ['--set', set]),
    ]);
    expect(status).toBe(78);
    expect(stderr).toContain(`http.tokens[0].tokenFile: ${file}: other users can read`);
    expect(stderr.match(/no such file; `majordomo serve --init`/g)).toHaveLength(2);
    expect((JSON.parse(stdout) as { problems: unknown[] }).problems).toHaveLength(3);
  });

  it('warns if two keys files give one name to different keys: both are one client', async () => {
    const folder = temporaryDirectory();
    const key = (byte: number): string => encodeZ85(Buffer.alloc(32, byte));
    const listeners = ['left', 'right'].map((side, index) => {
      const keysFile = join(folder, `${side}.yaml`);
      // carol has two keys while one is being replaced; dave has the same key in both files.
      const carol = index === 0 ? `'${key(5)}'` : `['${key(5)}', '${key(6)}']`;
      writeFileSync(
        keysFile,
        `- {name: bob, publicKey: '${key(index + 1)}'}\n` +
          `- {name: carol, publicKey: ${carol}}\n` +
          `- {name: dave, publicKey: '${key(7)}'}\n`,
      );
      return `{endpoint: "tcp://*:${index + 1}", curve: {secretKeyFile: ${serverKeyIn(folder)}, keysFile: ${keysFile}}}`;
    });
    const sets = ['--set', `broker.listen=[${listeners.join(', ')}]`];
    const { status, stderr } = await run(['check', ...sets]);
    expect(status).toBe(0);
    expect(stderr).toBe(
      `warning: ${folder}/right.yaml:1:3: bob: is also the name of the key at ${folder}/left.yaml:1:3: ` +
        'the broker treats both keys as one client with shared routing ids, quota and durable requests. ' +
        'Give two clients two names\n',
    );
  });

  it('has stable keys as JSON', async () => {
    const { status, stdout } = await run(['check', '-o', 'json', '--set', 'limits.frames=32']);
    expect(status).toBe(0);
    const answer = JSON.parse(stdout) as { configuration: unknown[] };
    expect(Object.keys(answer).sort()).toEqual([
      'configuration',
      'file',
      'keys',
      'problems',
      'quotas',
      'valid',
      'warnings',
    ]);
    expect(answer).toMatchObject({ valid: true, file: null, problems: [], warnings: [] });
    expect(answer.configuration).toContainEqual({
      key: 'limits.frames',
      value: 32,
      source: 'set',
      place: '--set #1',
    });
  });

  it('reports all errors at once, with their positions, and ends with 78', async () => {
    const file = fileWith('brokr:\n  x: 1\nlimits:\n  frames: lots\n');
    const args = ['check', '-c', file, '--set', 'log.level=loud'];
    const { status, stdout, stderr } = await run(args);
    expect({ status, stdout }).toEqual({ status: 78, stdout: '' });
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toMatch(new RegExp(`^${file}:1:1: brokr: .*did you mean broker$`));
    expect(lines[1]).toMatch(new RegExp(`^${file}:4:11: limits\\.frames: `));
    expect(lines[2]).toMatch(/^--set #1: log\.level: /);
    expect(lines).toHaveLength(3);
  });

  it('reports errors as JSON, too', async () => {
    const { status, stdout, stderr } = await run(['check', '-o', 'json', '--set', 'log.level=1']);
    expect(status).toBe(78);
    expect(stderr).toContain('log.level');
    expect(JSON.parse(stdout)).toMatchObject({
      valid: false,
      problems: [{ place: '--set #1', path: 'log.level' }],
    });
  });

  it('ends with 78 when the file is missing or no YAML', async () => {
    expect(await run(['check', '-c', 'no-such-file.yaml'])).toMatchObject({
      status: 78,
      stdout: '',
      stderr: 'majordomo: no-such-file.yaml: no such file\n',
    });
    const { status, stderr } = await run(['check', '-c', fileWith('a: [\n')]);
    expect(status).toBe(78);
    expect(stderr).not.toContain('    at ');
  });
});
