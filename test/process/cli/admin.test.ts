import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';

import { run, runEach } from '../../support/child.js';
import { type Daemon, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { httpOf, tokenOf } from '../../support/http.js';
import { cleanUp, rawWorker } from '../broker/support.js';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await cleanUp();
});

async function startWithHttp(...sets: string[]): Promise<Daemon> {
  return await startDaemon({ sets: ['http.listen=127.0.0.1:0', ...sets] });
}

/** Another server, which answers everything with `body` and records its requests. */
/** @param missing bytes that it announces and does not send: it closes the connection instead */
async function otherServer(
  status: number,
  body: string,
  missing = 0,
): Promise<{ url: string; authorizations: (string | undefined)[] }> {
  const authorizations: (string | undefined)[] = [];
  const server: Server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    if (missing === 0) response.writeHead(status).end(body);
    else {
      response.writeHead(status, { 'content-length': Buffer.byteLength(body) + missing });
      response.write(body, () => response.destroy());
    }
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return { url: `http://127.0.0.1:${port}`, authorizations };
}

/** Without what changes from one moment to the next. */
function still(stdout: string): unknown {
  return JSON.parse(stdout, (key, value: unknown) =>
    key === 'uptimeMs' || key === 'sinceMs' ? 0 : value,
  );
}

describe('status, services, workers (contract §2)', () => {
  it('give the same JSON by HTTP and by MMI', async () => {
    // Its workers send no heartbeats; it must not expire them, even on a busy machine.
    const daemon = await startWithHttp('broker.heartbeatIntervalMs=60000');
    await rawWorker(daemon.endpoint, 'a b%');
    await rawWorker(daemon.endpoint, 'other');
    await daemon.waitFor('worker.registered', 2);
    for (const command of [['status'], ['services'], ['workers'], ['workers', 'a b%']]) {
      const json = [...command, '-o', 'json'];
      const byHttp = await run([...json, '--admin', httpOf(daemon)]);
      const byMmi = await run([...json, '--endpoint', daemon.endpoint]);
      expect(byHttp).toMatchObject({ status: 0, stderr: '' });
      expect(still(byHttp.stdout)).toEqual(still(byMmi.stdout));
      expect(byHttp.stdout).toContain(command[0] === 'status' ? 'extensions' : 'a b%25');
    }
  });

  it('ask at http.listen of the configuration by default', async () => {
    const daemon = await startWithHttp('node.name=left');
    const listen = httpOf(daemon).replace('http://', '');
    const file = join(temporaryDirectory(), 'majordomo.yaml');
    writeFileSync(file, `http: { listen: '${listen}' }\n`);
    for (const more of [
      ['-c', file],
      ['--set', `http.listen=${listen}`],
    ]) {
      const { status, stdout } = await run(['status', ...more]);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^node +left$/m);
      expect(stdout).toMatch(/^ready +serving clients$/m);
    }
    const environment = { MAJORDOMO_HTTP__LISTEN: listen };
    expect(await run(['services'], { environment })).toMatchObject({ status: 0 });
    const off = await run(['services', '--set', 'http.listen=off']);
    expect(off).toMatchObject({ status: 64 });
    expect(off.stderr).toContain('http.listen is off');
  });

  it('page through lists that are longer than a page', async () => {
    const daemon = await startWithHttp();
    const peer = await rawWorker(daemon.endpoint, 'first');
    for (let n = 0; n < 1500; n++) await peer.send('id', '', 'MDPC02', '\x01', `s${n}`, 'x');
    await peer.settle().catch(() => undefined);
    const { stdout } = await run(['services', '-o', 'json', '--admin', httpOf(daemon)]);
    expect(JSON.parse(stdout)).toHaveLength(1501);
  });

  it('end with 1 at another server', async () => {
    const at = (url: string): string[] => ['services', '--admin', url];
    const others = [
      await otherServer(200, 'hello'),
      await otherServer(200, '{"items": 3}'),
      await otherServer(200, '[]'),
      await otherServer(200, '{"items": [null], "next": null}'),
      await otherServer(404, '<html>'),
    ];
    for (const said of await runEach(others.map(({ url }) => at(url)))) {
      expect(said).toMatchObject({ status: 1, stdout: '' });
    }
  });

  it('end with 75 if the answer stops in the middle', async () => {
    const commands = ['services', 'durable ls', 'status', 'ha status', 'top'];
    const { url } = await otherServer(200, '{"items": [', 100);
    const stderr = `majordomo: ${url} closed the connection before its answer was complete\n`;
    expect(
      await runEach(commands.map((command) => [...command.split(' '), '--admin', url])),
    ).toEqual(commands.map(() => ({ status: 75, signal: null, stdout: '', stderr })));
  });

  it('end with 1 if the cursors of a list form a circle', async () => {
    const { url } = await otherServer(200, '{"items": [], "next": "1.0"}');
    const lists = [['services'], ['durable', 'ls']];
    for (const said of await runEach(lists.map((list) => [...list, '--admin', url]))) {
      expect(said).toMatchObject({ status: 1, stdout: '' });
    }
  });

  it('show no control characters from another server’s error on a terminal', async () => {
    const message = '\u001b[2J\u0007\u202ered';
    const { url } = await otherServer(409, JSON.stringify({ error: { code: 'x', message } }));
    const { stderr } = await run(['services', '--admin', url]);
    expect(stderr).toBe('majordomo: \uFFFD[2J\uFFFD\uFFFDred\n');
  });

  it('end with 64 for an invalid address or token', async () => {
    const wrong = [
      ['--admin', 'http://h:1', '--endpoint', 'tcp://h:1'],
      ['--admin', 'h:1'],
      ['--admin', 'ftp://h:1'],
      ['--admin', 'http://user:secret@h:1'],
      ['--token', 'a', '--token-file', 'b'],
      ['--token-file', '/nowhere/token'],
      ['--token', 'two words'],
    ];
    const said = await runEach(wrong.map((args) => ['status', ...args]));
    for (const [at, args] of wrong.entries()) {
      expect({ args, ...said[at] }).toMatchObject({ args, status: 64, stdout: '' });
    }
  });
});

describe('the token', () => {
  it('is the one given, of the file, of the variable, or of the data directory', async () => {
    const daemon = await startWithHttp();
    const token = tokenOf(daemon);
    const file = join(temporaryDirectory(), 'token');
    writeFileSync(file, `${token}\n`);
    const order = ['ha', 'promote', '--admin', httpOf(daemon)];
    const told = async (...more: string[]): Promise<string> =>
      (await run([...order, ...more])).stderr;
    expect(await told()).toContain('a token is needed');
    expect(await told('--token', 'wrong')).toContain('the token is wrong');
    const good = 'majordomo: this node is standalone: it has no peer\n';
    expect(await told('--token', token)).toBe(good);
    expect(await told('--token-file', file)).toBe(good);
    expect(await told('--set', `node.dataDir=${daemon.dataDir}`)).toBe(good);
    const environment = { MAJORDOMO_TOKEN: token };
    expect((await run(order, { environment })).stderr).toBe(good);
  });

  it('that the node refuses is named by its source, never by its text', async () => {
    const daemon = await startWithHttp();
    const directory = temporaryDirectory();
    const file = join(directory, 'other.token');
    const secret = 'another-token-of-another-node';
    writeFileSync(file, `${secret}\n`);
    const config = join(directory, 'majordomo.yaml');
    writeFileSync(config, `http: {token: ${secret}}\n`);
    writeFileSync(join(directory, 'http.token'), secret, { mode: 0o600 });
    const contexts = { XDG_CONFIG_HOME: directory };
    await run(['context', 'add', 'prod', httpOf(daemon), '--token-file', file], {
      environment: contexts,
    });
    const before = ', which comes before the token of the configuration';
    const at = ['--admin', httpOf(daemon)];
    const cases: readonly (readonly [readonly string[], Record<string, string>, string])[] = [
      [[...at, '--token', secret], {}, '--token'],
      [[...at, '--token-file', file], {}, `--token-file ${file}`],
      [[...at, '-c', config], { MAJORDOMO_TOKEN: secret }, `MAJORDOMO_TOKEN${before}`],
      [
        [...at, '-c', config],
        { MAJORDOMO_TOKEN_FILE: file },
        `MAJORDOMO_TOKEN_FILE ${file}${before}`,
      ],
      [[...at, '-c', config], {}, 'http.token of the configuration'],
      [[...at, '--set', `node.dataDir=${directory}`], {}, join(directory, 'http.token')],
      [['--context', 'prod'], contexts, `tokenFile of the context prod ${file}`],
    ];
    for (const [args, environment, source] of cases) {
      const { stderr } = await run(['ha', 'promote', ...args], { environment });
      expect(stderr).toContain(
        `the token is wrong: Authorization: Bearer … (http.token, or the file http.token in the data directory) (used: ${source}; `,
      );
      expect(stderr).not.toContain(secret);
    }
  });

  it('of another node of the same folder is not insisted on: the node is asked without it, and that is said', async () => {
    const daemon = await startWithHttp('node.name=left');
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'data'));
    const text = 'left-by-a-node-that-ran-here';
    writeFileSync(join(directory, 'data', 'http.token'), text, { mode: 0o600 });
    const at = ['--admin', httpOf(daemon)];
    const said = `majordomo: ${httpOf(daemon)} refuses the token in data/http.token, which a node of this folder left: asked without it\n`;
    const shown = await run(['ha', 'status', ...at], { directory });
    expect(shown).toMatchObject({ status: 0, stderr: said });
    expect(shown.stdout).toMatch(/^left +standalone +active/m);
    const list = await run(['durable', 'ls', '-o', 'json', ...at], { directory });
    expect(list).toMatchObject({ status: 0, stderr: said });
    const order = await run(['ha', 'promote', ...at], { directory });
    expect(order).toMatchObject({ status: 1, stdout: '' });
    expect(order.stderr).toContain('a token is needed');
    expect(order.stderr).toContain('the token in data/http.token was refused');
    // What is named is meant.
    const named = await run(['ha', 'status', ...at, '--set', 'node.dataDir=data'], { directory });
    expect(named.stderr).toContain('the token is wrong');
  });

  it('of the data directory is sent only to hosts that the configuration names', async () => {
    const dataDir = temporaryDirectory();
    writeFileSync(join(dataDir, 'http.token'), 'sixteen-letters-or-more\n', { mode: 0o600 });
    const { url, authorizations } = await otherServer(200, '{"items": [], "next": null}');
    const environment = { MAJORDOMO_NODE__DATA_DIR: dataDir };
    // The same server, by a name that is not loopback's.
    const elsewhere = url.replace('127.0.0.1', '0.0.0.0');
    for (const admin of [url, elsewhere]) {
      expect(await run(['services', '--admin', admin], { environment })).toMatchObject({
        status: 0,
      });
    }
    expect(authorizations).toEqual(['Bearer sixteen-letters-or-more', undefined]);
  });
});

describe('majordomo ha', () => {
  it('shows the node; commands to a standalone node end with 1 and the reason', async () => {
    const daemon = await startWithHttp('node.name=left');
    const at = ['--admin', httpOf(daemon), '--token', tokenOf(daemon)];
    const { status, stdout } = await run(['ha', 'status', ...at]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^left +standalone +active +0 +itself$/m);
    const json = JSON.parse((await run(['ha', 'status', '-o', 'json', ...at])).stdout) as object;
    expect(json).toMatchObject({ node: 'left', peer: null, lastChange: null, history: [] });
    for (const order of ['switchover', 'promote']) {
      expect(await run(['ha', order, ...at])).toMatchObject({
        status: 1,
        stdout: '',
        stderr: 'majordomo: this node is standalone: it has no peer\n',
      });
    }
  });

  it('shows both nodes and the history of a pair, without control characters', async () => {
    const change = { at: '2026-01-02T03:04:05.006Z', from: 'passive', to: 'active' };
    const { url } = await otherServer(
      200,
      JSON.stringify({
        ...{ node: 'left', role: 'primary', state: 'active', epoch: 4, inSync: true, lagMs: 3.2 },
        replication: 'sync',
        peer: {
          ...{ up: true, state: 'passive', epoch: 3, heardMsAgo: 400 },
          publicUrl: 'https://right.example/\u001b[2J',
        },
        ...{ lastChange: null, history: [{ ...change, reason: '\u001b[2Jvote' }] },
      }),
    );
    const { stdout } = await run(['ha', 'status', '--admin', url]);
    expect(stdout).toMatch(/^left +primary +active +4 +itself$/m);
    expect(stdout).toMatch(/^\(its peer\) +backup +passive +3 +0s ago$/m);
    expect(stdout).toContain('replication sync: in sync, 3 ms behind');
    expect(stdout).toMatch(/^page of the peer: https:\/\/right\.example\/.\[2J$/m);
    expect(stdout).toMatch(/^2026-01-02T03:04:05\.006Z +passive +active +.\[2Jvote$/m);
    expect(stdout).not.toContain('\u001b');
  });

  it.each([
    ['passive', 'ask the active node'],
    ['active', 'not in sync'],
  ])('of a node that is %s says: %s', async (state, words) => {
    const { url } = await otherServer(
      200,
      JSON.stringify({
        ...{ node: 'left', role: 'primary', state, epoch: 4, inSync: false, lagMs: null },
        ...{ replication: 'sync', peer: { up: true, state: null, epoch: null, heardMsAgo: 1 } },
        ...{ lastChange: null, history: [] },
      }),
    );
    const { stdout } = await run(['ha', 'status', '--admin', url]);
    expect(stdout).toContain(`replication sync: ${words}\n`);
  });

  it('without an action, or with a wrong one, ends with 64', async () => {
    expect(await run(['ha'])).toMatchObject({ status: 64 });
    expect(await run(['ha', 'abdicate'])).toMatchObject({ status: 64 });
    expect(await run(['ha', 'status', '--help'])).toMatchObject({ status: 0 });
  });
});
