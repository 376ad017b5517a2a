import { killPrograms } from '../../interop/support/program.js';
import { type Daemon, removeDaemons, startDaemon } from '../../support/daemon.js';
import { ask, httpOf, tokenOf } from '../../support/http.js';
import { mapOf, MAPS } from '../../support/map-endpoint.js';
import { MapPeer } from '../../support/map-peers.js';
import { itWithTool } from '../../support/tools.js';

const TOOL = 'python3-zmq';
const HTTP = 'http.listen=127.0.0.1:0';

afterEach(async () => {
  await killPrograms();
  await removeDaemons();
});

/** A node whose map has these values, by key. */
async function holding(values: Readonly<Record<string, string>>): Promise<Daemon> {
  const daemon = await startDaemon({ sets: [MAPS, HTTP] });
  const peer = await MapPeer.connected(mapOf(daemon));
  for (const [key, value] of Object.entries(values)) peer.set(key, '', '', 'x=y\n', value);
  await peer.program.until(() => peer.updates.length >= Object.keys(values).length, 'updates');
  return daemon;
}

async function read(daemon: Daemon, query = ''): Promise<unknown> {
  return (await ask(`${httpOf(daemon)}/api/v1/map${query}`, { token: tokenOf(daemon) })).json;
}

describe('GET /api/v1/map', () => {
  itWithTool(TOOL, 'has values as text or base64, and keys percent-escaped', async () => {
    const daemon = await holding({ '/a': 'text', '/\xff': '\xff\x00' });
    expect(await read(daemon)).toMatchObject({
      items: [
        { key: '/a', properties: 'x=y\n', value: { encoding: 'utf8', data: 'text' } },
        { key: '/%FF', value: { encoding: 'base64', data: '/wA=' } },
      ],
      next: null,
    });
  });

  itWithTool(TOOL, 'has who set a key, and when it expires', async () => {
    const daemon = await startDaemon({ sets: [MAPS, HTTP] });
    const peer = await MapPeer.connected(mapOf(daemon));
    peer.set('/a', '', '', 'ttl=600\n', 'text');
    await peer.update(({ key }) => key === '/a');
    expect(await read(daemon, '?valueBytes=2')).toMatchObject({
      items: [
        {
          ...{ key: '/a', ttlMs: 600_000, expiresInMs: expect.any(Number), writer: '127.0.0.1' },
          value: { bytes: 4, encoding: 'utf8', data: 'te' },
        },
      ],
    });
  });

  itWithTool(TOOL, 'lists the keys that begin so, page by page, or have a part', async () => {
    const daemon = await holding({ '/a/1': 'x', '/b/1': 'x', '/a/2': 'x', '/a/3': 'x' });
    const keys: string[] = [];
    let next: string | null = '';
    for (let pages = 0; next !== null && pages < 9; pages++) {
      const cursor: string = next === '' ? '' : `&cursor=${next}`;
      const page = (await read(daemon, `?key=/a/&limit=2${cursor}`)) as {
        readonly items: readonly { readonly key: string }[];
        readonly next: string | null;
      };
      keys.push(...page.items.map(({ key }) => key));
      next = page.next;
    }
    expect(keys).toEqual(['/a/1', '/a/2', '/a/3']);
    expect(await read(daemon, '?key=/1&keyMatch=substring')).toMatchObject({
      items: [{ key: '/a/1' }, { key: '/b/1' }],
    });
  });

  itWithTool(TOOL, 'refuses what is no key, cursor or number', async () => {
    const daemon = await holding({});
    const long = `key=${'x'.repeat(256)}`;
    const wrong = ['key=', 'key=/%25/', long, 'keyMatch=exact', 'cursor=x', 'limit=0'];
    for (const query of [...wrong, 'valueBytes=-1', 'subtree=/a/']) {
      const { status, json } = await ask(`${httpOf(daemon)}/api/v1/map?${query}`, {
        token: tokenOf(daemon),
      });
      expect([query, status]).toEqual([query, 400]);
      expect(json).toMatchObject({ error: { code: 'ERR_HTTP_PARAMETER' } });
    }
  });

  it('is 404 without map.listen', async () => {
    const daemon = await startDaemon({ sets: [HTTP] });
    const { status, json } = await ask(`${httpOf(daemon)}/api/v1/map`, {
      token: tokenOf(daemon),
    });
    expect(status).toBe(404);
    expect(json).toMatchObject({ error: { code: 'ERR_HTTP_NOT_FOUND' } });
  });

  itWithTool(TOOL, 'the metrics and the status of the node have the map, too', async () => {
    const daemon = await holding({ '/a': 'x' });
    const { text } = await ask(`${httpOf(daemon)}/metrics`);
    expect(text).toContain('majordomo_map_keys 1\n');
    expect(text).toContain('majordomo_map_bytes 135\n');
    expect(text).toContain('majordomo_map_updates_total{result="applied"} 1\n');
    const { json } = await ask(`${httpOf(daemon)}/api/v1/status`);
    expect(json).toMatchObject({ map: mapOf(daemon) });
  });
});
