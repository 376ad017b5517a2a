import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Child, type Finished, run, runEach } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { httpOf, tokenOf } from '../../support/http.js';
import { otherOf, removePairs, startPairOfDaemons } from '../../support/pair-daemons.js';
import {
  brokerTelling,
  removeStrangers,
  strangeBroker,
  strangeHttp,
} from '../../support/strangers.js';

const TOKEN = 'sixteen-letters-1';
const HTTP = ['http.listen=127.0.0.1:0', `http.token=${TOKEN}`, 'node.name=left'];
const NO_TOKEN = { MAJORDOMO_TOKEN: '' };
/** This machine by an address that the command does not take for loopback. */
const ANOTHER = '[::ffff:127.0.0.1]';

/** The operator commands that read from a node. */
const LOOKS: readonly (readonly string[])[] = [
  ['status', '-o', 'json'],
  ['services', '-o', 'json'],
  ['workers', '-o', 'json'],
  ['top', '-o', 'json'],
  ['durable', 'ls', '-o', 'json'],
  ['ha', 'status', '-o', 'json'],
  ['acl', 'log', '-o', 'json'],
];

afterEach(async () => {
  removeStrangers();
  await removePairs();
  await removeDaemons();
});

function at(url: string, args: readonly string[], more: object = {}): Promise<Finished> {
  const environment = { MAJORDOMO_URL: url, MAJORDOMO_TOKEN: TOKEN, ...more };
  return run(args, { environment });
}

/** Runs several command lines in one process, which starts faster, and pairs each with its result. */
async function eachAt(
  url: string,
  lines: readonly (readonly string[])[],
): Promise<readonly (readonly [string, Finished])[]> {
  const environment = { MAJORDOMO_URL: url, MAJORDOMO_TOKEN: TOKEN };
  const said = await runEach(lines, { environment });
  expect(said).toHaveLength(lines.length);
  return said.map((each, at) => [(lines[at] ?? []).join(' '), each]);
}

/** Expects each operator command to succeed at this URL. */
async function reachesAll(url: string): Promise<void> {
  for (const [line, { stdout, stderr, status }] of await eachAt(url, LOOKS)) {
    expect([url, line, stderr, status]).toEqual([url, line, '', 0]);
    expect(JSON.parse(stdout)).toBeTruthy();
  }
}

async function serve(daemon: Daemon, url: string): Promise<void> {
  const environment = { MAJORDOMO_URL: url };
  const before = daemon.logged('worker.registered').length;
  new Child(['worker', 'upper', '--', 'tr', 'a-z', 'A-Z'], { environment }).input('');
  await daemon.waitFor('worker.registered', before + 1);
}

const portOf = (url: string): string => /:(\d+)$/.exec(url)?.[1] ?? '';

describe('MAJORDOMO_URL with an endpoint', () => {
  it('reaches the node for all commands, also over a Unix socket', async () => {
    const directory = temporaryDirectory();
    const listen = `[${[`ipc://${directory}/mdp.sock`, 'tcp://127.0.0.1:0'].join()}]`;
    for (const http of ['http.listen=127.0.0.1:0', `http.listen=unix:${directory}/http.sock`]) {
      const daemon = await startDaemon({ sets: [...HTTP, http, `broker.listen=${listen}`] });
      for (const url of daemon.endpoints) {
        await reachesAll(url);
        // It uses HTTP, which has more to report.
        const { stdout } = await at(url, ['status']);
        expect(stdout).toMatch(/^ready +serving clients$/m);
        await serve(daemon, url);
        expect((await at(url, ['request', 'upper', 'hi'])).stdout).toBe('HI\n');
      }
      await daemon.stop();
    }
  });

  it('reaches HTTP on a wildcard address at the host that was dialled', async () => {
    const [port = 0] = await freePorts(1);
    const listen = `[{endpoint: 'tcp://*:${port}', insecure: true, mmi: full}]`;
    const daemon = await startDaemon({
      endpoint: listen,
      sets: [...HTTP, 'http.listen=0.0.0.0:0', 'http.insecure=true'],
    });
    expect(httpOf(daemon)).toContain('0.0.0.0');
    await reachesAll(`tcp://127.0.0.1:${port}`);
    // On a network, anyone on the path could have sent this address, and would get the token.
    const away = await at(`tcp://${ANOTHER}:${port}`, ['ha', 'status']);
    expect(away.status).toBe(1);
    expect(away.stderr).toContain('the token is not sent to http://[::ffff:7f00:1]');
    expect(away.stderr).toContain(`--admin http://[::ffff:7f00:1]:${portOf(httpOf(daemon))}`);
    // What needs no token uses MDP.
    const looked = await at(`tcp://${ANOTHER}:${port}`, ['status', '-o', 'json']);
    expect(JSON.parse(looked.stdout)).toMatchObject({ node: 'left' });
  });

  it('says what is missing on a listener with mmi: minimal', async () => {
    const [port = 0] = await freePorts(1);
    await startDaemon({
      endpoint: `[{endpoint: 'tcp://*:${port}', insecure: true}]`,
      sets: HTTP,
    });
    const said = await at(`tcp://127.0.0.1:${port}`, ['ha', 'status']);
    expect(said.status).toBe(69);
    expect(said.stderr).toContain('mmi: minimal');
    expect(said.stderr).toContain('--admin');
    const { stdout } = await at(`tcp://127.0.0.1:${port}`, ['request', 'mmi.broker', 'x']);
    expect(stdout).toContain('"node":"left"');
    expect(stdout).not.toMatch(/"http"|publicUrl|5580/);
  });

  it('of a node without HTTP, an older broker or nobody: 69, with a remedy', async () => {
    const daemon = await startDaemon();
    const [dead = 0] = await freePorts(1);
    const older = await brokerTelling({ version: '0.0.1', state: 'active', node: 'old' });
    for (const [url, says, timeoutMs] of [
      [daemon.endpoint, 'http.listen: off', '20000'],
      [older, 'an older version', '20000'],
      [await strangeBroker(() => ['501']), 'not a Majordomo broker', '20000'],
      // Nobody will ever answer there.
      [`tcp://127.0.0.1:${dead}`, 'no broker answers at', '500'],
    ] as const) {
      const said = await at(url, ['top', '--timeout-ms', timeoutMs]);
      expect([url, said.status, said.stdout]).toEqual([url, 69, '']);
      expect(said.stderr).toContain(says);
      expect(said.stderr).toContain(url);
      expect(said.stderr).toMatch(/--admin|set http\.listen there/);
    }
    // Lists need no HTTP.
    expect((await at(older, ['status'])).stderr).not.toContain('older');
    expect(await at(daemon.endpoint, ['services'])).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('MAJORDOMO_URL with an HTTP address', () => {
  it('reaches the broker for clients and workers, also over a Unix socket and at a wildcard address', async () => {
    const [port = 0] = await freePorts(1);
    const path = join(temporaryDirectory(), 'http.sock');
    for (const http of ['http.listen=127.0.0.1:0', `http.listen=unix:${path}`]) {
      const daemon = await startDaemon({
        endpoint: `[{endpoint: 'tcp://*:${port}', insecure: true}]`,
        sets: [...HTTP, http],
      });
      const url = httpOf(daemon);
      await serve(daemon, url);
      const said = await at(url, ['request', 'upper', 'hi']);
      expect(said).toMatchObject({ status: 0, stdout: 'HI\n', stderr: '' });
      await daemon.stop();
    }
  });

  it('that cannot be used: 69, and the option that helps', async () => {
    const sealed = await startDaemon({ sets: [...HTTP, 'http.requireToken=true'] });
    const older = await strangeHttp(200, '{"node": "old"}');
    const other = await strangeHttp(404, 'not here');
    const large = await strangeHttp(200, JSON.stringify({ node: 'x'.repeat(10_000_000) }));
    const evil = await strangeHttp(200, '{"endpoints": [{"endpoint": "tcp://\\u001b[2J:1"}]}');
    const [dead = 0] = await freePorts(1);
    for (const [url, says] of [
      [httpOf(sealed), 'MAJORDOMO_TOKEN_FILE'],
      [`http://127.0.0.1:${older.port}`, 'an older version'],
      [`http://127.0.0.1:${other.port}`, 'is it a Majordomo broker?'],
      [`http://127.0.0.1:${large.port}`, 'larger than'],
      [`http://127.0.0.1:${evil.port}`, 'control characters'],
      [`http://127.0.0.1:${dead}`, 'connection refused'],
    ] as const) {
      const said = await at(url, ['request', 'upper', 'hi'], NO_TOKEN);
      expect([url, said.status, said.stdout]).toEqual([url, 69, '']);
      expect(said.stderr).toContain(says);
      expect(said.stderr).toContain('--endpoint');
      expect(said.stderr.trimEnd()).not.toMatch(/\p{C}/u);
    }
    expect((await at(httpOf(sealed), ['request', 'mmi.service', 'x'])).status).toBe(0);
  });
});

describe('MAJORDOMO_URL with CURVE', () => {
  it('uses only keys that were given, and learns none', async () => {
    const directory = temporaryDirectory();
    const [broker, client] = ['broker.key', 'client.key'].map((name) => join(directory, name));
    const keys = await Promise.all(
      [broker, client].map(async (file) => (await run(['keygen', file ?? ''])).stdout.trim()),
    );
    const [serverKey = '', clientKey = ''] = keys;
    const keysFile = join(directory, 'keys.yaml');
    writeFileSync(keysFile, `- {name: me, publicKey: '${clientKey}', client: ['*']}\n`);
    const curve = `{secretKeyFile: ${broker ?? ''}, keysFile: ${keysFile}}`;
    const daemon = await startDaemon({
      endpoint: `[{endpoint: 'tcp://127.0.0.1:0', curve: ${curve}}]`,
      sets: HTTP,
    });
    const given = ['--curve-server-key', serverKey, '--curve-key-file', client ?? ''];
    const sealed = await at(daemon.endpoint, ['ha', 'status', ...given]);
    expect(sealed).toMatchObject({ status: 0, stderr: '' });
    const request = ['request', 'mmi.service', 'x'];
    expect(await at(httpOf(daemon), [...request, ...given])).toMatchObject({ stdout: '404\n' });
    const without = await at(httpOf(daemon), request);
    expect(without.status).toBe(69);
    expect(without.stderr).toContain('--curve-server-key');
    expect((await at(daemon.endpoint, ['ha', 'status', '--timeout-ms', '300'])).status).not.toBe(0);
  });
});

describe('MAJORDOMO_URL with both nodes of a pair', () => {
  it('leads operators to the active node, by either protocol, and clients to both', async () => {
    const pair = await startPairOfDaemons({ direct: true });
    const nodes = (['primary', 'backup'] as const).map((role) => pair.node(role));
    const endpoints = nodes.flatMap((node) => {
      const { endpoints: found } = node.logged('broker.ready')[0] ?? {};
      return found as string[];
    });
    const urls = [endpoints.join(), nodes.map(httpOf).join(' ')];
    const role = async (url: string): Promise<unknown> => {
      const { stdout, stderr } = await at(url, ['ha', 'status', '-o', 'json'], NO_TOKEN);
      expect(stderr).toBe('');
      return (JSON.parse(stdout) as { readonly role: unknown }).role;
    };
    let active = await pair.inSync();
    for (const url of urls) {
      expect(await role(url)).toBe(active);
      await pair.inSync();
      const token = { MAJORDOMO_TOKEN: tokenOf(pair.node(active)) };
      const done = await at(url, ['ha', 'switchover', '--timeout-ms', '20000'], token);
      expect([done.stderr, done.status]).toEqual(['', 0]);
      active = otherOf(active);
      expect(await role(url)).toBe(active);
      const asked = await at(url, ['request', 'mmi.service', 'titanic.request'], NO_TOKEN);
      expect(asked).toMatchObject({ status: 0, stdout: '200\n' });
    }
    // And to the surviving node.
    await pair.inSync();
    await pair.node(active).kill();
    for (const url of urls) {
      expect(await role(url)).toBe(otherOf(active));
      const asked = await at(url, ['request', 'mmi.service', 'titanic.request'], NO_TOKEN);
      expect(asked).toMatchObject({ status: 0, stdout: '200\n' });
    }
  });
});

describe('the token', () => {
  it('is sent to the host that the user named, and to no other host that a broker names', async () => {
    const page = await strangeHttp(200, '{"node": "x", "role": "standalone", "state": "active"}');
    const told = async (host: string): Promise<Finished> => {
      page.asked.length = 0;
      const http = `http://${host}:${page.port}`;
      const endpoint = await brokerTelling({ state: 'active', http, publicUrl: null });
      return await at(endpoint, ['ha', 'status', '-o', 'json']);
    };
    for (const host of ['127.0.0.1', 'localhost', '*']) {
      expect(await told(host)).toMatchObject({ status: 0, stderr: '' });
      expect(page.asked.map(({ authorization }) => authorization)).toEqual([`Bearer ${TOKEN}`]);
    }
    const another = await told(ANOTHER);
    expect(page.asked).toHaveLength(1);
    expect(JSON.stringify(page.asked)).not.toContain(TOKEN);
    expect(another.stderr).toContain('the token is not sent to http://[::ffff:7f00:1]');
    expect(another.stderr).toContain(`--admin http://[::ffff:7f00:1]:${page.port}`);
    expect(another.stderr).not.toContain(TOKEN);
  });

  it('is not sent by a command that only reads', async () => {
    const page = await strangeHttp(200, '{"node": "evil"}');
    const http = `http://${ANOTHER}:${page.port}`;
    const endpoint = await brokerTelling({ node: 'x', http, publicUrl: null });
    expect((await at(endpoint, ['status', '-o', 'json'])).stdout).toContain('"node":"x"');
    expect(page.asked).toEqual([]);
  });

  it('that is refused is reported', async () => {
    const page = await strangeHttp(401, '{"error": {"code": "x", "message": "a token is needed"}}');
    const http = `http://${ANOTHER}:${page.port}`;
    const endpoint = await brokerTelling({ state: 'active', http, publicUrl: null });
    const said = await at(endpoint, ['ha', 'status']);
    expect(said.status).toBe(1);
    expect(said.stderr).toContain('a token is needed (no token is sent to an address that');
  });
});

describe('an explicit option', () => {
  it('takes precedence over MAJORDOMO_URL, which is then not even read', async () => {
    const daemon = await startDaemon({ sets: HTTP });
    const [endpoint, admin] = [daemon.endpoint, httpOf(daemon)];
    const lines = [
      ['status', '-o', 'json', '--endpoint', endpoint],
      ['status', '-o', 'json', '--admin', admin],
      ['status', '-o', 'json', '--set', `http.listen=127.0.0.1:${portOf(admin)}`],
      ['ha', 'status', '-o', 'json', '--admin', admin],
      ['ha', 'status', '-o', 'json', '--set', `http.listen=127.0.0.1:${portOf(admin)}`],
    ];
    for (const [line, { stdout, stderr, status }] of await eachAt('nonsense', lines)) {
      expect([line, stderr, status]).toEqual([line, '', 0]);
      expect(JSON.parse(stdout)).toMatchObject({ node: 'left' });
    }
    const request = ['request', 'mmi.broker', '', '--endpoint', endpoint];
    expect(await at('nonsense', request)).toMatchObject({ status: 0, stderr: '' });
    const variable = { MAJORDOMO_ENDPOINT: endpoint };
    expect((await at('nonsense', ['request', 'mmi.broker', ''], variable)).status).toBe(0);
    expect((await at('nonsense', ['status'], variable)).status).toBe(0);
  });

  it('is needed if MAJORDOMO_URL is invalid: 64, by every command', async () => {
    const clients = [['request', 'a', 'b'], ['worker', 'a', '--', 'cat'], ['bench']];
    for (const [line, said] of await eachAt('mq.example:5555', [...LOOKS, ...clients])) {
      expect([line, said.status, said.stdout]).toEqual([line, 64, '']);
      expect(said.stderr).toContain('did you mean tcp://mq.example:5555');
    }
  });
});
