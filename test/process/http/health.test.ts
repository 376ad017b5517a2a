import { RawPeer } from '../../interop/support/raw-peer.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { freePorts } from '../../support/free-ports.js';
import { ask, httpOf } from '../../support/http.js';
import { cleanUp, rawWorker } from '../broker/support.js';
import { until } from '../../support/until.js';

afterEach(cleanUp);

const HTTP = 'http.listen=127.0.0.1:0';

/** A request that stays at a worker for the whole test. */
async function keepBusy(daemon: Daemon): Promise<void> {
  const worker = await rawWorker(daemon.endpoint, 'slow');
  const client = new RawPeer(daemon.endpoint);
  await client.send('id', '', 'MDPC02', '\x01', 'slow', 'x');
  await worker.receiveCommand();
}

describe('/livez, /readyz, /healthz (contract §4)', () => {
  it('say that all is well', async () => {
    const url = httpOf(await startDaemon({ sets: [HTTP, 'node.name=left'] }));
    expect(await ask(`${url}/livez`)).toMatchObject({ status: 200, text: 'ok\n' });
    expect(await ask(`${url}/readyz`)).toMatchObject({
      status: 200,
      json: { ready: true, reason: null, degraded: [] },
    });
    expect((await ask(`${url}/healthz`)).json).toMatchObject({
      health: 'ok',
      node: 'left',
      role: 'standalone',
    });
  });

  it('say with 503 that it drains, while it stays alive', async () => {
    const daemon = await startDaemon({ sets: [HTTP] });
    const url = httpOf(daemon);
    await keepBusy(daemon);
    daemon.signal('SIGTERM');
    await daemon.waitFor('broker.draining');
    expect(await ask(`${url}/readyz`)).toMatchObject({
      status: 503,
      json: { ready: false, reason: { code: 'draining' }, error: { code: 'ERR_HTTP_NOT_READY' } },
    });
    expect((await ask(`${url}/livez`)).status).toBe(200);
    expect((await ask(`${url}/healthz`)).json).toMatchObject({ health: 'not_ready' });
  });

  it('answer HEAD without a body, and have security headers', async () => {
    const url = httpOf(await startDaemon({ sets: [HTTP] }));
    const head = await ask(`${url}/readyz`, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '' });
    expect(head.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    });
    expect(head.headers['content-security-policy']).toContain("default-src 'none'");
    expect(head.headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('a node of a pair whose peer was never there', () => {
  it.each([
    ['primary', 'takes over at the next request'],
    ['backup', 'serves after promote'],
  ])('%s: says who serves clients, and that it heard nothing', async (role, outlook) => {
    const [own, peer] = await freePorts(2);
    const ends = [`bstar.listen=tcp://127.0.0.1:${own}`, `bstar.peer=tcp://127.0.0.1:${peer}`];
    const pair = [`bstar.role=${role}`, 'bstar.heartbeatIntervalMs=500', ...ends];
    const url = httpOf(await startDaemon({ sets: [HTTP, ...pair] }));
    expect((await ask(`${url}/api/v1/ha`)).json).toMatchObject({
      state: 'waiting',
      peer: { up: false, state: null, heardMsAgo: null },
    });
    let said = '';
    await until(async () => {
      const { status, json } = await ask(`${url}/readyz`);
      expect({ status, json }).toMatchObject({
        status: 503,
        json: { reason: { code: 'waiting' } },
      });
      said = (json as { readonly reason: { readonly text: string } }).reason.text;
      return said.includes('the peer is dead');
    }, 'it takes the peer for dead');
    expect(said).toContain(outlook);
  });
});

describe('the pair’s routes on a standalone node', () => {
  it('say that there is no pair, and refuse commands with 409 and the reason', async () => {
    const daemon = await startDaemon({ sets: [HTTP, 'http.token=sixteen-letters-or-more'] });
    const url = `${httpOf(daemon)}/api/v1/ha`;
    expect((await ask(url)).json).toMatchObject({ role: 'standalone', peer: null, history: [] });
    for (const order of ['switchover', 'promote']) {
      const reply = await ask(`${url}/${order}`, {
        method: 'POST',
        token: 'sixteen-letters-or-more',
      });
      expect(reply).toMatchObject({ status: 409, json: { error: { code: 'ERR_HTTP_STATE' } } });
      expect(reply.text).toContain('standalone');
    }
  });
});
