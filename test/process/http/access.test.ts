import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { killAll } from '../../support/child.js';
import { Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { listening } from '../../support/free-ports.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';

const LOOPBACK = 'http.listen=127.0.0.1:0';
const ANYWHERE = 'http.listen=0.0.0.0:0';

/** For the whole file: one listens on loopback, one on every address. */
let near: Daemon;
let open: Daemon;

beforeAll(async () => {
  [near, open] = await Promise.all([
    startDaemon({ sets: [LOOPBACK] }),
    startDaemon({ sets: [ANYWHERE, 'http.insecure=true'] }),
  ]);
});

afterEach(() => killAll(near, open));

afterAll(removeDaemons);

/** The one that listens on every address, reached over loopback. */
function openUrl(): string {
  return httpOf(open).replace('0.0.0.0', '127.0.0.1');
}

describe('the token (contract §4)', () => {
  it('is created at the first start with mode 0600, and kept', async () => {
    const first = await startDaemon({ sets: [LOOPBACK] });
    const file = join(first.dataDir, 'http.token');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const token = readFileSync(file, 'latin1');
    expect(token).toMatch(/^[\w-]{43}\n$/);
    await first.stop();
    await startDaemon({ sets: [LOOPBACK], dataDir: first.dataDir });
    expect(readFileSync(file, 'latin1')).toBe(token);
  });

  it('is named by a refusal, where it stands, also if no token may send requests to services', async () => {
    const refused = async (path: string, token?: string): Promise<unknown> => {
      const url = `${httpOf(near)}/api/v1${path}`;
      const given = token === undefined ? {} : { token };
      const { status, json } = await ask(url, { method: 'POST', ...given });
      return [status, json];
    };
    const because = (code: string, text: string): unknown => ({
      error: expect.objectContaining({ code, message: expect.stringContaining(text) as unknown }),
    });
    const own = 'http.token, or the file http.token in the data directory';
    const others = 'an entry of http.tokens with role: request';
    const [request, pause] = ['/services/work/requests', '/services/work/pause'];
    expect(await refused(pause)).toEqual([401, because('ERR_HTTP_TOKEN', own)]);
    expect(await refused(request)).toEqual([401, because('ERR_HTTP_TOKEN', others)]);
    const role = because('ERR_HTTP_ROLE', 'need a token with role: request');
    expect(await refused(request, tokenOf(near))).toEqual([403, role]);
  });

  it('is that of the configuration if there is one, and then none is created', async () => {
    const token = 'a-token-of-the-configuration';
    const daemon = await startDaemon({ sets: [LOOPBACK, `http.token=${token}`] });
    expect(() => tokenOf(daemon)).toThrow('ENOENT');
    const url = `${httpOf(daemon)}/api/v1/ha/promote`;
    expect((await ask(url, { method: 'POST', token })).status).toBe(409);
    expect(daemon.stdout).not.toContain(token);
  });

  it.each([
    ['others may read', 'a-token-of-sixteen-letters', 0o644],
    ['is empty', '', 0o600],
    ['contains characters that no header can carry', 'sixteen letters or more', 0o600],
  ])('ends the start with 78 if its file %s', async (_what, token, mode) => {
    const dataDir = temporaryDirectory();
    writeFileSync(join(dataDir, 'http.token'), token);
    chmodSync(join(dataDir, 'http.token'), mode);
    const daemon = new Daemon({ dataDir, sets: [LOOPBACK] });
    expect(await daemon.finished()).toMatchObject({ status: 78 });
    expect(daemon.stderr).toContain('http.token');
  });

  it('that cannot be written does not affect clients', async () => {
    const dataDir = temporaryDirectory();
    // Not even root can write this file.
    mkdirSync(join(dataDir, 'http.token.new'));
    const daemon = await startDaemon({ dataDir, sets: [LOOPBACK] });
    expect(daemon.logged('http.token_unsaved')).toHaveLength(1);
    expect((await ask(`${httpOf(daemon)}/readyz`)).status).toBe(200);
    expect((await ask(`${httpOf(daemon)}/api/v1/ha/promote`, { method: 'POST' })).status).toBe(401);
  });

  it('is needed for every change, also on loopback', async () => {
    const url = `${httpOf(near)}/api/v1/ha/switchover`;
    const bare = await ask(url, { method: 'POST' });
    expect(bare).toMatchObject({ status: 401, json: { error: { code: 'ERR_HTTP_TOKEN' } } });
    expect(bare.headers['www-authenticate']).toMatch(/^Bearer/);
    const token = tokenOf(near);
    for (const wrong of [`${token}x`, token.slice(1), token.toUpperCase(), 'x']) {
      expect((await ask(url, { method: 'POST', token: wrong })).status).toBe(401);
    }
    for (const scheme of ['Basic', 'bear', '']) {
      const headers = { authorization: `${scheme} ${token}` };
      expect((await ask(url, { method: 'POST', headers })).status).toBe(401);
    }
    expect((await ask(url, { method: 'POST', token })).status).toBe(409);
    const headers = { authorization: `bearer ${token}` };
    expect((await ask(url, { method: 'POST', headers })).status).toBe(409);
  });

  it('is not accepted in a request target, which proxies would log', async () => {
    const url = `${httpOf(near)}/api/v1/ha/switchover?token=${tokenOf(near)}`;
    expect((await ask(url, { method: 'POST' })).status).toBe(401);
  });

  it('is needed for reading off loopback, except for /livez and /readyz', async () => {
    const url = openUrl();
    const paths = ['/healthz', '/api/v1/status', '/api/v1/services', '/api/v1/workers'];
    for (const path of [...paths, '/api/v1/ha', '/api/v1/events']) {
      expect((await ask(url + path)).status).toBe(401);
    }
    for (const path of paths) {
      expect((await ask(url + path, { token: tokenOf(open) })).status).toBe(200);
    }
    for (const path of ['/livez', '/readyz']) expect((await ask(url + path)).status).toBe(200);
  });
});

describe('the Host header (contract §4: no DNS rebinding)', () => {
  it('must name loopback if the server listens on loopback', async () => {
    const url = `${httpOf(near)}/api/v1/status`;
    const statusOf = async (host: string): Promise<number> =>
      (await ask(url, { headers: { host } })).status;
    for (const host of ['localhost', 'LOCALHOST:80', '127.0.0.1', '127.9.9.9:5580', '[::1]:1']) {
      expect([host, await statusOf(host)]).toEqual([host, 200]);
    }
    const strangers = [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '8.8.8.8',
    ];
    for (const host of [...strangers, 'evil.example@localhost', '[::2]']) {
      expect([host, await statusOf(host)]).toEqual([host, 403]);
    }
  });
});

describe('http.listen', () => {
  it('off: nothing listens, no token is made, and the log says so', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=off'] });
    expect(daemon.logged('broker.ready')[0]).toMatchObject({ http: null });
    expect(() => tokenOf(daemon)).toThrow('ENOENT');
  });

  it.each(['127.0.0.1', '[::1]', 'localhost'])('listens on %s', async (host) => {
    const daemon = await startDaemon({ sets: [`http.listen='${host}:0'`] });
    expect((await ask(`${httpOf(daemon)}/api/v1/status`)).status).toBe(200);
  });

  it('in use: exit status 69, which names the address (contract §2)', async () => {
    const other = createServer();
    const port = await listening(other);
    const daemon = new Daemon({ sets: [`http.listen=127.0.0.1:${port}`] });
    expect(await daemon.finished()).toMatchObject({ status: 69 });
    other.close();
    expect(daemon.stderr).toContain(
      `cannot listen on http.listen 127.0.0.1:${port}: another process uses it`,
    );
    expect(daemon.logged('broker.failed')[0]).toMatchObject({ code: 'ERR_HTTP_LISTEN' });
  });
});
