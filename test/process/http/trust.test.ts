import { X509Certificate } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';

import { makeCertificate } from '../../support/certificate.js';
import { run } from '../../support/child.js';
import { Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { itWithTool } from '../../support/tools.js';
import { privateRemedy } from '../../../src/core/private-file.js';

afterEach(removeDaemons);

const LOOPBACK = 'http.listen=127.0.0.1:0';
const READ = 'a-token-that-only-reads';

/** A token that only reads. */
const READER = `http.tokens=[{name: watcher, role: read, token: ${READ}}]`;

describe('a token with role read', () => {
  it('allows reading only: the 403 for a change names the token that is needed', async () => {
    const sets = [LOOPBACK, READER, 'http.requireToken=true'];
    const daemon = await startDaemon({ sets });
    const url = httpOf(daemon);
    for (const path of ['/healthz', '/metrics', '/api/v1/status', '/api/v1/titanic/requests']) {
      expect([path, (await ask(url + path)).status]).toEqual([path, 401]);
      expect([path, (await ask(url + path, { token: READ })).status]).toEqual([path, 200]);
      expect([path, (await ask(url + path, { token: `${READ}x` })).status]).toEqual([path, 401]);
    }
    for (const path of ['/livez', '/readyz', '/']) {
      expect((await ask(url + path, { token: 'wrong' })).status).toBe(200);
    }
    const promote = `${url}/api/v1/ha/promote`;
    expect(await ask(promote, { method: 'POST', token: READ })).toMatchObject({
      status: 403,
      json: {
        error: { code: 'ERR_HTTP_READ_ONLY', message: expect.stringContaining('http.token') },
      },
    });
    expect((await ask(promote, { method: 'POST', token: tokenOf(daemon) })).status).toBe(409);
  });

  it('a wrong token is refused even on loopback, where none is needed', async () => {
    const daemon = await startDaemon({ sets: [LOOPBACK] });
    const url = `${httpOf(daemon)}/api/v1/status`;
    expect((await ask(url)).status).toBe(200);
    expect((await ask(url, { token: 'wrong' })).status).toBe(401);
  });

  it('that equals http.token ends the start with 78, also if that one is in its file', async () => {
    const both = new Daemon({ sets: [LOOPBACK, `http.token=${READ}`, READER] });
    expect(await both.finished()).toMatchObject({ status: 78 });
    expect(both.stderr).toContain('http.tokens[0].token: is the same as another token');
    const dataDir = temporaryDirectory();
    writeFileSync(join(dataDir, 'http.token'), READ, { mode: 0o600 });
    const kept = new Daemon({ dataDir, sets: [LOOPBACK, READER] });
    expect(await kept.finished()).toMatchObject({ status: 78 });
    expect(kept.stderr).toContain('the token of watcher equals that of http.token');
  });
});

describe('http.tls', () => {
  itWithTool('openssl', 'serves https only, and renews its certificate at SIGHUP', async () => {
    const directory = temporaryDirectory();
    const first = makeCertificate(directory, 'first.example');
    const second = makeCertificate(directory, 'second.example');
    const tls = `http.tls={certFile: ${first.certFile}, keyFile: ${first.keyFile}}`;
    const daemon = await startDaemon({ sets: ['http.listen=0.0.0.0:0', tls] });
    const url = httpOf(daemon).replace('0.0.0.0', '127.0.0.1');
    expect(url).toMatch(/^https:/);
    const token = tokenOf(daemon);
    const { pem: ca } = first;
    expect((await ask(`${url}/api/v1/status`, { ca, token })).status).toBe(200);
    expect((await ask(`${url}/api/v1/status`, { ca })).status).toBe(401);
    await expect(ask(`${url.replace('https', 'http')}/livez`)).rejects.toThrow();
    await expect(ask(`${url}/livez`)).rejects.toThrow(/self[- ]signed/);
    // A key and a certificate that do not match change nothing.
    copyFileSync(second.certFile, first.certFile);
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('http.tls_refused')).toMatchObject({ code: 'ERR_CONFIG_FILE' });
    expect(await nameShown(url)).toBe('first.example');
    copyFileSync(second.keyFile, first.keyFile);
    daemon.signal('SIGHUP');
    const { fingerprint } = await daemon.waitFor('http.tls_renewed');
    expect(fingerprint).toBe(new X509Certificate(second.pem).fingerprint256);
    expect(await daemon.waitFor('config.reloaded', 2)).toMatchObject({
      applied: [{ key: 'http.tls', to: fingerprint }],
    });
    expect(await nameShown(url)).toBe('second.example');
    expect((await ask(`${url}/livez`, { ca: second.pem })).text).toBe('ok\n');
  });

  itWithTool('openssl', 'ends the start with 78 for a key that others may read', async () => {
    const directory = temporaryDirectory();
    const { certFile, keyFile } = makeCertificate(directory, 'mq.example');
    chmodSync(keyFile, 0o604);
    const tls = `http.tls={certFile: ${certFile}, keyFile: ${keyFile}}`;
    const daemon = new Daemon({ sets: [LOOPBACK, tls] });
    expect(await daemon.finished()).toMatchObject({ status: 78 });
    expect(daemon.stderr).toContain(privateRemedy(statSync(keyFile), keyFile));
  });
});

/** The common name of the certificate that the server presents. */
function nameShown(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(url);
    const socket = connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
      const shown: PeerCertificate = socket.getPeerCertificate();
      resolve(String(shown.subject.CN));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

describe('http.listen: unix:PATH', () => {
  it('is for the user and the group, allows reading without a token, and replaces a stale socket', async () => {
    const path = join(temporaryDirectory(), 'http.sock');
    const sets = [`http.listen=unix:${path}`];
    const daemon = await startDaemon({ sets });
    expect(httpOf(daemon)).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    // No name was resolved to get here, so the Host header may be any.
    const headers = { host: 'anything.example' };
    expect((await ask(`unix:${path}:/api/v1/status`, { headers })).status).toBe(200);
    expect((await ask(`unix:${path}:/api/v1/ha/promote`, { method: 'POST' })).status).toBe(401);
    const second = new Daemon({ sets });
    expect(await second.finished()).toMatchObject({ status: 69 });
    expect(second.stderr).toContain('another process uses it');
    await daemon.kill();
    expect(existsSync(path)).toBe(true);
    const again = await startDaemon({ sets });
    expect((await ask(`unix:${path}:/livez`)).status).toBe(200);
    await again.stop();
    expect(existsSync(path)).toBe(false);
  });

  it('never removes a file that is not a socket', async () => {
    const path = join(temporaryDirectory(), 'precious');
    writeFileSync(path, 'data');
    const daemon = new Daemon({ sets: [`http.listen=unix:${path}`] });
    expect(await daemon.finished()).toMatchObject({ status: 69 });
    expect(daemon.stderr).toContain('not a socket');
    expect(statSync(path).size).toBe(4);
  });

  it('is the same with two slashes before the path, and is refused if another listener uses it', async () => {
    const path = join(temporaryDirectory(), 'sock');
    const { status, stderr } = await run([
      'check',
      ...['--set', `http.listen=unix://${path}`],
      ...['--set', `broker.listen=ipc://${path}`],
    ]);
    expect({ status, isReported: stderr.includes('cannot be bound beside') }).toEqual({
      status: 78,
      isReported: true,
    });
  });
});
