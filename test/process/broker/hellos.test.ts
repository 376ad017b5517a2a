import { Dealer, Router } from 'zeromq';

import { Client } from '../../../src/sdk/client.js';
import { run } from '../../support/child.js';
import { type Daemon, startDaemon } from '../../support/daemon.js';
import { atEnd, endAll, serve } from '../../support/daemon-users.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { untilLogged } from './support.js';

afterEach(endAll);

/** A broker with places for two hellos, and a worker that fails. */
async function failing(): Promise<{ daemon: Daemon; seen: readonly string[] }> {
  const daemon = await startDaemon({
    sets: ['limits.perPeer.hellos=2', 'http.listen=127.0.0.1:0'],
  });
  const seen = serve(daemon, 'print', () => {
    throw new Error('no paper');
  });
  await untilLogged(daemon, 'worker.registered');
  return { daemon, seen };
}

function clientAt(endpoint: string): Client {
  const client = new Client({ endpoints: [endpoint] });
  atEnd(() => client.close());
  return client;
}

/** ROUTER in front, DEALER behind: all of its clients share one connection. @returns its endpoint */
async function proxyTo({ endpoint }: Daemon): Promise<string> {
  const front = new Router({ linger: 0 });
  const back = new Dealer({ linger: 0 });
  const forward = async (from: Router | Dealer, to: Router | Dealer): Promise<void> => {
    for await (const frames of from) await to.send(frames);
  };
  await front.bind('tcp://127.0.0.1:*');
  back.connect(endpoint);
  const forwarding = [forward(front, back), forward(back, front)];
  atEnd(async () => {
    front.close();
    back.close();
    await Promise.allSettled(forwarding);
  });
  return front.lastEndpoint ?? '';
}

const FAILED = { code: 'ERR_SERVICE_FAILED', message: 'no paper' };

describe('over the quota `hellos` of one address', () => {
  it('each client with a connection of its own gets the failure of its request', async () => {
    const { daemon, seen } = await failing();
    for (const name of ['1', '2', '3', '4']) {
      await expect(clientAt(daemon.endpoint).request('print', name)).rejects.toMatchObject(FAILED);
    }
    expect(seen).toEqual(['1', '2', '3', '4']);
    expect(daemon.logged('request.refused')).toEqual([]);
  });

  it('so does each behind a proxy, and log, metric and doctor tell of it', async () => {
    const { daemon, seen } = await failing();
    const endpoint = await proxyTo(daemon);
    const clients = ['1', '2', '3', '4'].map(() => clientAt(endpoint));
    for (const client of [...clients, ...clients]) {
      await expect(client.request('print', 'x')).rejects.toMatchObject(FAILED);
    }
    expect(seen).toHaveLength(8);
    const text = 'the quota `hellos` of this identity is used up';
    await untilLogged(daemon, 'request.refused', { service: 'mmi.hello', reason: 'quota', text });
    expect((await ask(`${httpOf(daemon)}/metrics`)).text).toMatch(
      /^majordomo_quota_refusals_total\{quota="hellos"\} [1-9]/m,
    );
    const admin = ['--admin', httpOf(daemon), '--token', tokenOf(daemon), '--listen', '1'];
    expect((await run(['doctor', ...admin])).stdout).toMatch(
      /127\.0\.0\.1: service mmi\.hello, reason quota, .*`hellos`.*\n.*raise the quota that is named/,
    );
  });
});
