/** Proxies and load balancers before a broker. */
import { Client } from '../../src/sdk/client.js';
import { ask, atEnd, endAll, serve, upper } from '../support/daemon-users.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import { ask as fetchJson, httpOf, tokenOf } from '../support/http.js';
import { PATIENCE_MS } from '../support/patience.js';
import { killProxies, startHaproxy } from '../support/proxies.js';
import { itWithTool } from '../support/tools.js';
import { until } from '../support/until.js';

afterEach(async () => {
  killProxies();
  await endAll();
});

/** HAProxy before this broker. @param options of its line `server` @param lines of the backend */
async function balanced(daemon: Daemon, options: string, lines = ''): Promise<string> {
  const [port = 0] = await freePorts(1);
  const address = daemon.endpoint.replace('tcp://', '');
  await startHaproxy(
    `defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 60s\n  timeout server 60s\nlisten majordomo\n  bind 127.0.0.1:${port}\n` +
      `${lines}  server broker ${address} ${options}\n`,
  );
  return `tcp://127.0.0.1:${port}`;
}

function through(endpoint: string, timeoutMs = PATIENCE_MS): Client {
  const client = new Client({ endpoints: endpoint, timeoutMs });
  atEnd(() => client.close());
  return client;
}

/** How many connections it has ended. */
async function rejected(daemon: Daemon): Promise<number> {
  const { json } = await fetchJson(`${httpOf(daemon)}/api/v1/acl/log`, { token: tokenOf(daemon) });
  const { items } = json as { readonly items: readonly { readonly count: number }[] };
  return items.reduce((sum, { count }) => sum + count, 0);
}

describe('HAProxy before a broker', () => {
  itWithTool('haproxy', 'a check that sends a greeting and leaves is told once', async () => {
    const daemon = await startDaemon({ sets: ['http.listen=127.0.0.1:0'] });
    const check =
      '  option tcp-check\n  tcp-check connect\n  tcp-check send-binary ff00000000000000017f03\n' +
      '  tcp-check expect binary ff\n';
    const endpoint = await balanced(daemon, 'check inter 300ms', check);
    await until(async () => (await rejected(daemon)) > 8, 'checks');
    expect(daemon.logged('connection.rejected')).toMatchObject([
      { kind: 'handshake_cut', reason: expect.stringContaining('as a health check does') },
    ]);
    serve(daemon, 'upper', upper);
    expect(await ask(through(endpoint), 'upper', 'x')).toEqual(['X']);
  });

  itWithTool('haproxy', 'the PROXY protocol is named, in both versions', async () => {
    for (const option of ['send-proxy', 'send-proxy-v2']) {
      const daemon = await startDaemon();
      const endpoint = await balanced(daemon, option);
      const client = through(endpoint, 500);
      await expect(client.request('upper', 'x')).rejects.toThrow();
      expect(await daemon.waitFor('connection.rejected')).toMatchObject({
        kind: 'greeting',
        reason: expect.stringContaining('the PROXY protocol comes first'),
      });
    }
  });
});
