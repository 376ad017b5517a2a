import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { encodeZ85 } from '../../../src/core/z85.js';
import { run, runEach } from '../../support/child.js';
import { removeDaemons, temporaryDirectory } from '../../support/daemon.js';

afterEach(removeDaemons);

function key(byte: number): string {
  return encodeZ85(Buffer.alloc(32, byte));
}

/** A configuration with a listener for all, and one with keys for `render.*` and `mail`. */
function configuration(): string {
  const directory = temporaryDirectory();
  const keysFile = join(directory, 'keys.yaml');
  writeFileSync(
    keysFile,
    `- {name: alice, publicKey: ['${key(1)}', '${key(2)}'], client: ["render.*", other]}\n` +
      `- {name: bob, publicKey: '${key(3)}'}\n`,
  );
  const file = join(directory, 'majordomo.yaml');
  const curve = `curve: {secretKeyFile: server.key, keysFile: ${keysFile}}`;
  const sealed = `{endpoint: "tcp://*:5557", client: ["render.*", mail], worker: [mail], ${curve}}`;
  writeFileSync(file, `broker: {listen: ["tcp://127.0.0.1:5555", ${sealed}]}`);
  return file;
}

describe('majordomo acl check (D72)', () => {
  it('knows that a listener for one service is for no other', async () => {
    const file = join(temporaryDirectory(), 'majordomo.yaml');
    const listener = '{endpoint: "tcp://127.0.0.1:5556", service: upper, allow: [client]}';
    writeFileSync(file, `broker: {listen: [${listener}]}`);
    const check = ['acl', 'check', 'nobody'];
    const [own, other] = await runEach(
      ['upper', 'lower'].map((service) => [...check, service, '-c', file, '-o', 'json']),
    );
    expect([own?.status, other?.status]).toEqual([0, 1]);
    expect(JSON.parse(other?.stdout ?? '')).toMatchObject({
      listeners: [
        { client: { allowed: false, rule: 'the listener is for the service upper alone' } },
      ],
    });
  });

  it('shows for each listener what a key may do, and by which rule', async () => {
    const file = configuration();
    const line = (who: string, service: string): string[] => ['acl', 'check', who, service];
    const each = await runEach(
      [
        line('alice', 'render.png'),
        line(key(2), 'other'),
        line('bob', 'mail'),
        line('bob', 'secret'),
        line('nobody', 'mail'),
      ].map((args) => [...args, '-c', file, '-o', 'json']),
    );
    const answers = each.map(({ stdout }) => {
      const { listeners } = JSON.parse(stdout) as {
        listeners: { entry: string | null; client: object; worker: object }[];
      };
      const { entry, client, worker } = listeners[1] ?? {};
      return { entry, client, worker };
    });
    const no = (rule: string): object => ({ allowed: false, rule });
    const yes = (rule: string): object => ({ allowed: true, rule });
    expect(answers.slice(0, 4)).toEqual([
      {
        entry: 'alice',
        client: yes('client: render.* of alice, client: render.* of the listener'),
        worker: no('alice has worker: []'),
      },
      {
        entry: 'alice',
        client: no('the listener has client: [render.*, mail]'),
        worker: no('alice has worker: []'),
      },
      {
        entry: 'bob',
        client: yes('client: * of bob, client: mail of the listener'),
        worker: yes('worker: * of bob, worker: mail of the listener'),
      },
      {
        entry: 'bob',
        client: no('the listener has client: [render.*, mail]'),
        worker: no('the listener has worker: [mail]'),
      },
    ]);
    expect(answers[4]).toMatchObject({ entry: null, client: { allowed: false } });
    expect(JSON.stringify(answers[4]?.client)).toContain('the connection is refused');
  });

  it('prints a table, and ends with 1 where nothing is allowed', async () => {
    const file = configuration();
    const { status, stdout } = await run(['acl', 'check', 'alice', 'mail', '-c', file]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^tcp:\/\/127\.0\.0\.1:5555 +ask +yes +every connection,/m);
    expect(stdout).toMatch(/^tcp:\/\/\*:5557 +ask +no +alice has client: \[render\.\*, other\]$/m);
    const set = ['--set', 'broker.listen=[{endpoint: ipc://x, client: [a]}]'];
    expect((await run(['acl', 'check', 'alice', 'mail', ...set])).status).toBe(1);
  });

  it('shows who may offer the service that authorises keys, and that it is asked', async () => {
    const file = configuration();
    const asks = ['-c', file, '--set', 'security.authorize=mail', '-o', 'json'];
    const [offers, stranger] = await runEach(
      ['bob', 'nobody'].map((who) => ['acl', 'check', who, 'mail', ...asks]),
    );
    expect(offers?.stdout).toContain('a worker list must contain its exact name');
    expect(offers?.stdout).toContain('only the broker may request it');
    expect([offers?.status, stranger?.status]).toEqual([1, 1]);
    expect(stranger?.stdout).toContain('the service mail decides');
  });

  it('points from a service of the broker to the one whose rules apply', async () => {
    const { status, stderr } = await run(['acl', 'check', 'alice', 'titanic.request']);
    expect(status).toBe(64);
    expect(stderr).toContain('name that service');
  });
});
