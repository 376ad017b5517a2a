import type { Client } from '../../../src/sdk/client.js';
import { clientOf, endAll, serve } from '../../support/daemon-users.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { ask, httpOf, type Reply, tokenOf } from '../../support/http.js';

const READ = 'a-token-that-only-reads';
const NEVER = 'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF';
const MIB = 1024 * 1024;

afterEach(endAll);

async function open(...sets: readonly string[]): Promise<[daemon: Daemon, client: Client]> {
  const all = [
    'http.listen=127.0.0.1:0',
    `http.tokens=[{name: watcher, role: read, token: ${READ}}]`,
    'log.level=trace',
    ...sets,
  ];
  const daemon = await startDaemon({ sets: all });
  return [daemon, clientOf(daemon)];
}

function bodies(daemon: Daemon, uuid: string, token?: string): Promise<Reply> {
  const url = `${httpOf(daemon)}/api/v1/titanic/requests/${uuid}/bodies`;
  return ask(url, token === undefined ? {} : { token });
}

function refusal(code: string, message: string): object {
  return { error: { code, message: expect.stringContaining(message) } };
}

describe('bodies of stored requests over HTTP (contract §3: titanic.showBodies)', () => {
  it('are for holders of http.token, and not for the read-only token', async () => {
    const [daemon, client] = await open('titanic.showBodies=true');
    const body = ['a secret word', Buffer.from([0xff, 0])];
    const job = await client.submit('echo', body);
    const asked = { bytes: 13, encoding: 'utf8', data: 'a secret word' };
    const binary = { bytes: 2, encoding: 'base64', data: '/wA=' };
    const shown = { bytes: 19, cut: false, frames: [asked, binary] };
    expect((await bodies(daemon, job.uuid, tokenOf(daemon))).json).toEqual({
      uuid: job.uuid,
      headers: null,
      body: shown,
      reply: null,
      own: null,
    });
    const headers = { tenant: 'acme', traceparent: '00-0af7651916cd43dd8448eb211c80319c-1-01' };
    const headed = await client.enqueue('echo', 'x', { headers });
    expect((await bodies(daemon, headed.uuid, tokenOf(daemon))).json).toMatchObject({ headers });
    serve(daemon, 'echo', () => 'an answer');
    await job.result();
    const reply = {
      ...{ bytes: 11, cut: false },
      frames: [{ bytes: 9, encoding: 'utf8', data: 'an answer' }],
    };
    expect(await bodies(daemon, job.uuid.toLowerCase(), tokenOf(daemon))).toMatchObject({
      status: 200,
      json: { body: shown, reply },
    });
    for (const [token, status, json] of [
      [undefined, 401, refusal('ERR_HTTP_TOKEN', 'a token is needed')],
      ['wrong', 401, refusal('ERR_HTTP_TOKEN', 'the token is wrong')],
      [READ, 403, refusal('ERR_HTTP_READ_ONLY', 'bodies need http.token')],
    ] as const) {
      const refused = await bodies(daemon, job.uuid, token);
      expect(refused).toMatchObject({ status, json });
      expect(refused.text).not.toContain('secret');
    }
    expect(await bodies(daemon, NEVER, tokenOf(daemon))).toMatchObject({
      status: 404,
      json: refusal('ERR_HTTP_NOT_FOUND', 'no such durable request'),
    });
    expect((await bodies(daemon, '123', tokenOf(daemon))).status).toBe(400);
    const history = `${httpOf(daemon)}/api/v1/titanic/requests/${job.uuid}`;
    const answer = await ask(history, { token: tokenOf(daemon) });
    expect(answer.json).toMatchObject({ showsBodies: true });
    expect(answer.text + daemon.stdout + daemon.stderr).not.toMatch(/secret|an answer/);
  });

  it('are not shown unless titanic.showBodies allows it: 404, which names the key', async () => {
    const [daemon, client] = await open();
    const { uuid } = await client.submit('echo', 'a secret word');
    expect(await bodies(daemon, uuid, tokenOf(daemon))).toMatchObject({
      status: 404,
      json: refusal('ERR_HTTP_NOT_FOUND', 'titanic.showBodies is false'),
    });
    expect((await bodies(daemon, uuid)).status).toBe(401);
    expect((await bodies(daemon, uuid, READ)).status).toBe(403);
    const history = `${httpOf(daemon)}/api/v1/titanic/requests/${uuid}`;
    expect((await ask(history)).json).toMatchObject({ showsBodies: false });
  });

  it('of megabytes are cut to 64 KiB, and marked as cut', async () => {
    const [daemon, client] = await open('titanic.showBodies=true');
    const { uuid } = await client.submit('echo', Buffer.alloc(15 * MIB, 0xff));
    const { status, json } = await bodies(daemon, uuid, tokenOf(daemon));
    expect(status).toBe(200);
    const data = Buffer.alloc(64 * 1024 - 9, 0xff).toString('base64');
    expect(json).toMatchObject({
      body: {
        ...{ bytes: 15 * MIB + 9, cut: true },
        frames: [{ bytes: 15 * MIB, encoding: 'base64', data }],
      },
    });
  });
});
