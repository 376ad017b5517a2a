import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { run } from '../../support/child.js';
import {
  type Daemon,
  removeDaemons,
  startDaemon,
  temporaryDirectory,
} from '../../support/daemon.js';
import { ask, type Ask, httpOf, RawHttp, tokenOf } from '../../support/http.js';

afterEach(removeDaemons);

const ALICE = 'a-token-of-alice-alone';
const WATCHER = 'a-token-that-only-reads';
const PATH = '/api/v1/titanic/purge';

/** Deletes what is not there, as this caller; the status. */
async function purge(daemon: Daemon, options: Ask): Promise<number> {
  return (await ask(httpOf(daemon) + PATH, { method: 'POST', ...options })).status;
}

/** A configuration file, and what writes it anew. */
function configuration(dataDir: string): { readonly file: string; write(http: string): void } {
  const file = join(dataDir, 'majordomo.yaml');
  return {
    file,
    write: (http) => writeFileSync(file, `http:\n${http}`),
  };
}

describe('who acted', () => {
  it('is the name of the token, in every event of operators', async () => {
    const tokens = `http.tokens=[{name: alice, role: operate, token: ${ALICE}}]`;
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0', tokens] });
    expect(await purge(daemon, { token: ALICE })).toBe(200);
    expect(await daemon.waitFor('operator.acted')).toMatchObject({
      ...{ who: 'alice', token: 'alice', act: `POST ${PATH}`, address: '127.0.0.1' },
      msg: `alice from 127.0.0.1: POST ${PATH} (0 requests)`,
    });
    // Which requests were meant, and how many they were.
    const body = JSON.stringify({ service: 'a b', state: 'dead' });
    expect(await purge(daemon, { token: ALICE, body })).toBe(200);
    expect(await daemon.waitFor('operator.acted', 2)).toMatchObject({
      ...{ service: 'a b', filter: 'service a b, state dead', count: 0 },
    });
    expect(await purge(daemon, { token: ALICE, body: '{"limit":0}' })).toBe(400);
    expect(await daemon.waitFor('operator.refused')).toMatchObject({ who: 'alice', status: 400 });
    expect(await purge(daemon, { token: tokenOf(daemon) })).toBe(200);
    expect(await daemon.waitFor('operator.acted', 3)).toMatchObject({
      ...{ who: 'http.token', token: 'http.token' },
    });
    expect(daemon.stdout).not.toContain(ALICE);
  });

  it('is the user whom a trusted proxy names, and the token is named, too', async () => {
    const daemon = await startDaemon({
      sets: [
        'http.listen=127.0.0.1:0',
        'http.trustedUserHeader=X-Forwarded-User',
        'http.trustedProxies=127.0.0.1',
      ],
    });
    const token = tokenOf(daemon);
    const headers = { 'x-forwarded-user': 'carol' };
    expect(await purge(daemon, { token, headers })).toBe(200);
    expect(await daemon.waitFor('operator.acted')).toMatchObject({
      ...{ who: 'carol', token: 'http.token' },
      msg: `carol, with the token http.token, from 127.0.0.1: POST ${PATH} (0 requests)`,
    });
    // The name is no right.
    expect(await purge(daemon, { headers })).toBe(401);
    expect(await purge(daemon, { token, headers: { 'x-forwarded-user': 'x'.repeat(129) } })).toBe(
      400,
    );
  });

  it('is not what others than the proxy say', async () => {
    const daemon = await startDaemon({
      sets: [
        'http.listen=127.0.0.1:0',
        'http.trustedUserHeader=X-Forwarded-User',
        'http.trustedProxies=[192.0.2.0/24, unix]',
      ],
    });
    const headers = { 'x-forwarded-user': 'carol' };
    expect(await purge(daemon, { token: tokenOf(daemon), headers })).toBe(200);
    expect(await daemon.waitFor('operator.acted')).toMatchObject({ who: 'http.token' });
  });

  it('is told to readers of events with a token only', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    await purge(daemon, { token: tokenOf(daemon) });
    await daemon.waitFor('operator.acted');
    const seen = async (token: string | null): Promise<string> => {
      const headers: Record<string, string> =
        token === null ? {} : { authorization: `Bearer ${token}` };
      const response = await fetch(`${httpOf(daemon)}/api/v1/events`, { headers });
      let text = '';
      for await (const chunk of response.body ?? []) {
        text += Buffer.from(chunk as Uint8Array).toString('utf8');
        if (text.includes('event: operator.acted\n')) break;
      }
      return text.slice(text.indexOf('event: operator.acted'));
    };
    expect(await seen(tokenOf(daemon))).toContain('"who":"http.token"');
    const stranger = await seen(null);
    expect(stranger).toContain(PATH);
    expect(stranger).not.toContain('http.token');
  });
});

describe('SIGHUP', () => {
  it('applies changed tokens, also those of files', async () => {
    const dataDir = temporaryDirectory();
    const tokenFile = join(dataDir, 'watcher.token');
    writeFileSync(tokenFile, `${WATCHER}\n`, { mode: 0o600 });
    const watcher = `    - {name: watcher, role: read, tokenFile: ${tokenFile}}\n`;
    const alice = `    - {name: alice, role: operate, token: ${ALICE}}\n`;
    const { file, write } = configuration(dataDir);
    write(`  tokens:\n${alice}${watcher}`);
    const daemon = await startDaemon({ file, sets: ['http.listen=127.0.0.1:0'] });
    const statuses = async (): Promise<readonly number[]> => [
      await purge(daemon, { token: ALICE }),
      (await ask(`${httpOf(daemon)}/api/v1/acl/log`, { token: WATCHER })).status,
    ];
    expect(await statuses()).toEqual([200, 200]);
    const events = [ALICE, WATCHER].map((token) => {
      const raw = new RawHttp(httpOf(daemon));
      const get = 'GET /api/v1/events HTTP/1.1';
      raw.send(get, 'Host: localhost', `Authorization: Bearer ${token}`, '');
      return raw;
    });
    await Promise.all(events.map((raw) => raw.until('event-stream')));
    write(`  tokens:\n${watcher}`);
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded')).toMatchObject({ needRestart: [] });
    expect(await statuses()).toEqual([401, 200]);
    // What was opened with a token that is gone ends; with others, too, and they ask again.
    await Promise.all(events.map((raw) => raw.until('\r\n0\r\n\r\n')));
    for (const { socket } of events) socket.destroy();
    writeFileSync(tokenFile, 'a-token-that-is-new-now');
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('config.reloaded', 2)).toMatchObject({
      applied: [{ key: 'http.tokens', to: [{ name: 'watcher', token: null, tokenFile }] }],
    });
    expect(daemon.logged('http.tokens_renewed')).toMatchObject([{ tokens: ['watcher'] }]);
    expect(await statuses()).toEqual([401, 401]);
    // A file that others can read changes nothing.
    writeFileSync(tokenFile, WATCHER);
    chmodSync(tokenFile, 0o644);
    daemon.signal('SIGHUP');
    expect(await daemon.waitFor('http.tokens_refused')).toMatchObject({ code: 'ERR_CONFIG_FILE' });
    expect(await statuses()).toEqual([401, 401]);
  });

  it('reads two secrets from the lines of a file, and a command uses the first', async () => {
    const daemon = await startDaemon({
      sets: ['http.listen=127.0.0.1:0', 'http.requireToken=true'],
    });
    const file = join(daemon.dataDir, 'http.token');
    const [old, next] = [readFileSync(file, 'utf8').trim(), 'a-token-that-is-new-now'];
    const results: unknown[] = [];
    let isRotating = true;
    // Programs that have one secret or the other, each as the steps of the rotation allow.
    const asking = (token: () => string): Promise<void> =>
      (async () => {
        while (isRotating) {
          const { status } = await ask(`${httpOf(daemon)}/api/v1/status`, { token: token() });
          results.push(status);
        }
      })();
    const other = { token: old };
    const all = [
      asking(() => other.token),
      asking(() => readFileSync(file, 'utf8').split('\n', 1)[0] ?? ''),
    ];
    const command = async (): Promise<void> => {
      const sets = ['--set', `node.dataDir=${daemon.dataDir}`, '--admin', httpOf(daemon)];
      expect(await run(['status', ...sets])).toMatchObject({ status: 0, stderr: '' });
    };
    await command();
    writeFileSync(file, `${old}\n${next}\n`);
    await command();
    daemon.signal('SIGHUP');
    await daemon.waitFor('http.tokens_renewed');
    other.token = next;
    writeFileSync(file, `${next}\n`);
    await command();
    daemon.signal('SIGHUP');
    await daemon.waitFor('http.tokens_renewed', 2);
    await command();
    isRotating = false;
    await Promise.all(all);
    expect(results.length).toBeGreaterThan(10);
    expect(results.filter((status) => status !== 200)).toEqual([]);
    expect((await ask(`${httpOf(daemon)}/api/v1/status`, { token: old })).status).toBe(401);
  });
});
