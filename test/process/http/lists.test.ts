import { RawPeer } from '../../interop/support/raw-peer.js';
import { startDaemon } from '../../support/daemon.js';
import { until } from '../../support/until.js';
import { ask, httpOf, RawHttp, tokenOf } from '../../support/http.js';
import { cleanUp, rawWorker, type ServiceSeen } from '../broker/support.js';

afterEach(cleanUp);

const HTTP = 'http.listen=127.0.0.1:0';

interface History {
  readonly next: number;
  readonly samples: readonly unknown[];
}

interface List<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

async function list<Item>(url: string): Promise<List<Item>> {
  const { status, json } = await ask(url);
  expect(status).toBe(200);
  return json as List<Item>;
}

describe('/api/v1/services, /api/v1/workers (contract §4)', () => {
  it('have the name of a worker, and for token holders its address (D67)', async () => {
    const daemon = await startDaemon({
      sets: [HTTP, 'http.tokens=[{name: watcher, role: read, token: watcher-1234567890}]'],
    });
    const url = `${httpOf(daemon)}/api/v1/workers`;
    const peer = new RawPeer(daemon.endpoint);
    await peer.send('MDPW02', '\x01', 'echo', '1', '{"name":"<b>\\u001b[2J \\u00e9"}');
    const { workerName } = await daemon.waitFor('worker.registered');
    expect(workerName).toBe('<b>%1B[2J %C3%A9');
    const seen = { service: 'echo', name: workerName };
    expect(await list(url)).toMatchObject({ items: [{ ...seen, address: null }] });
    for (const token of [tokenOf(daemon), 'watcher-1234567890']) {
      const { json } = await ask(url, { token });
      expect(json).toMatchObject({ items: [{ ...seen, address: '127.0.0.1' }] });
    }
  });

  it('have the last minutes of a service, by its name as lists show it', async () => {
    const daemon = await startDaemon({ sets: [HTTP] });
    const url = `${httpOf(daemon)}/api/v1/services/history`;
    await rawWorker(daemon.endpoint, 'a b%');
    await daemon.waitFor('worker.registered');
    const shown = `${url}?service=${encodeURIComponent('a b%25')}`;
    // Single services are sampled every four seconds.
    let answer: History = { next: 0, samples: [] };
    await until(async () => {
      answer = (await ask(shown)).json as History;
      return answer.samples.length > 0;
    }, 'a sample');
    expect(answer).toMatchObject({ startedAt: expect.any(String) });
    const newer = await ask(`${shown}&since=${answer.next}`);
    expect(newer.json).toMatchObject({ columns: expect.arrayContaining(['at', 'dead']) });
    expect((await ask(`${url}?service=nobody`)).json).toMatchObject({ samples: [] });
    for (const wrong of [url, `${url}?service=%25`, `${shown}&since=-1`]) {
      expect((await ask(wrong)).status).toBe(400);
    }
  });

  it('are filtered by service name, as it is shown, and by state', async () => {
    const daemon = await startDaemon({ sets: [HTTP] });
    const url = `${httpOf(daemon)}/api/v1`;
    const peer = new RawPeer(daemon.endpoint);
    // One after the other, because lists keep the order of registration.
    await (await rawWorker(daemon.endpoint, '100%')).settle();
    await rawWorker(daemon.endpoint, 'echo');
    await daemon.waitFor('worker.registered', 2);
    await peer.send('id', '', 'MDPC02', '\x01', 'nobody', 'x');
    await peer.settle();
    const names = async (path: string): Promise<string[]> =>
      (await list<ServiceSeen>(url + path)).items.map(({ service }) => service);
    expect(await names('/services?state=served')).toEqual(['100%25', 'echo']);
    expect(await names('/services?state=unserved')).toEqual(['nobody']);
    expect(await names('/services?service=100%2525')).toEqual(['100%25']);
    expect(await names('/workers?service=100%2525')).toEqual(['100%25']);
    expect(await names('/workers?state=busy')).toEqual([]);
    expect(await names('/workers?service=none')).toEqual([]);
  });

  it('page through 10,000 services, each once, while requests are answered', async () => {
    const daemon = await startDaemon({ sets: [HTTP, 'limits.perPeer.services=10000'] });
    const peer = new RawPeer(daemon.endpoint);
    for (let n = 0; n < 9_999; n++) await peer.send('id', '', 'MDPC02', '\x01', `s${n}`, 'x');
    await peer.settle();
    const worker = await rawWorker(daemon.endpoint, 'echo');
    await daemon.waitFor('worker.registered');
    const names = new Set<string>();
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page = list<ServiceSeen>(`${httpOf(daemon)}/api/v1/services?limit=1000${query}`);
      const asking = new RawPeer(daemon.endpoint);
      const asked = asking.ask('id', 'echo', String(pages));
      const token = (await worker.receiveCommand())[2] ?? '';
      await worker.send('MDPW02', '\x04', token, '', 'done');
      expect((await asked).at(-1)).toBe('done');
      asking.close();
      const { items, next } = await page;
      expect(items.length).toBeLessThanOrEqual(1000);
      for (const { service } of items) names.add(service);
      cursor = next;
    }
    expect({ names: names.size, pages }).toEqual({ names: 10_000, pages: 10 });
  });
});

describe('/api/v1/events', () => {
  it('replays kept events to later readers, without identities for those without a token', async () => {
    const token = 'a-token-of-somebody';
    const daemon = await startDaemon({ sets: [HTTP, `http.token=${token}`] });
    const worker = await rawWorker(daemon.endpoint, 'echo');
    await daemon.waitFor('worker.registered');
    worker.close();
    await daemon.waitFor('worker.lost');
    /** All until `last` has come. */
    const read = async (last: string, ...headers: string[]): Promise<string> => {
      const reader = new RawHttp(httpOf(daemon));
      reader.send('GET /api/v1/events HTTP/1.1', 'Host: localhost', ...headers, '');
      await reader.until(last);
      reader.socket.destroy();
      return reader.received;
    };
    const bearer = `Authorization: Bearer ${token}`;
    const whole = await read('event: worker.lost\n', bearer);
    expect(whole.indexOf('event: worker.registered\n')).toBeGreaterThan(0);
    const lost = /^event: worker\.lost\ndata: .*"severity":"warn".*"address":"127\.0\.0\.1"/m;
    expect(whole).toMatch(lost);
    const open = await read('event: worker.lost\n');
    expect(open).toContain('event: worker.registered\n');
    expect(open).not.toMatch(/"key"|"address"|127\.0\.0\.1"/);
    const [, first = ''] = /^id: (.+)\nevent: worker\.registered$/m.exec(whole) ?? [];
    const rest = await read('event: worker.lost\n', `Last-Event-ID: ${first}`);
    expect(rest).not.toContain('worker.registered');
  });

  it('has at most 24 readers without a token; token holders still get in, others when one leaves', async () => {
    const url = httpOf(await startDaemon({ sets: [HTTP, 'http.token=a-token-of-somebody'] }));
    const readers = Array.from({ length: 24 }, () => new RawHttp(url));
    for (const reader of readers) {
      reader.send('GET /api/v1/events HTTP/1.1', 'Host: localhost', '');
      await reader.until('retry: ');
    }
    const refused = await ask(`${url}/api/v1/events`);
    expect(refused).toMatchObject({ status: 503, json: { error: { code: 'ERR_HTTP_BUSY' } } });
    const operator = new RawHttp(url);
    const bearer = 'Authorization: Bearer a-token-of-somebody';
    operator.send('GET /api/v1/events HTTP/1.1', 'Host: localhost', bearer, '');
    await operator.until('retry: ');
    operator.socket.destroy();
    readers[0]?.socket.destroy();
    for (let isIn = false; !isIn;) {
      const again = new RawHttp(url);
      again.send('GET /api/v1/events HTTP/1.1', 'Host: localhost', '');
      await again.until('\r\n\r\n');
      isIn = again.received.includes('200 OK');
      again.socket.destroy();
    }
    for (const { socket } of readers) socket.destroy();
  });
});
