/** What arrives over HTTP is counted in pieces, too: memory stays bounded, and others are served. */
import { Client } from '../../src/sdk/client.js';
import { cleanUp } from '../process/broker/support.js';
import { ask, httpOf, RawHttp } from '../support/http.js';
import { until } from '../support/until.js';
import { Siege } from './siege.js';

const TOKEN = 'a-token-of-a-program';
const CHUNK = '1\r\nx\r\n';

afterEach(cleanUp);

describe('bodies in chunks of one byte', () => {
  it('of 32 connections end with 400, and leave no memory behind', async () => {
    const siege = await Siege.begin(
      'http.listen=127.0.0.1:0',
      `http.tokens=[{name: a, role: request, token: ${TOKEN}, client: ["*"]}]`,
      'limits.memoryBytes=64MiB',
    );
    const before = await siege.heldBytes();
    const raws = Array.from({ length: 32 }, () => {
      const raw = new RawHttp(httpOf(siege.daemon));
      raw.send(
        'POST /api/v1/services/steady/requests HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${TOKEN}`,
        'Transfer-Encoding: chunked',
        '',
      );
      raw.socket.write(CHUNK.repeat(200_000));
      return raw;
    });
    await siege.served();
    await Promise.all(raws.map((raw) => raw.closed));
    for (const { received } of raws) expect(received).toMatch(/^HTTP\/1\.1 400 |^$/);
    await siege.bounded(before);
    await siege.end();
  });
});

describe('heads that wait behind one that is answered', () => {
  it('are not read: 16 connections with 2,000 heads each hold little', async () => {
    const siege = await Siege.begin('http.listen=127.0.0.1:0');
    const before = await siege.heldBytes();
    const head = 'GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const raws = Array.from({ length: 16 }, () => {
      const raw = new RawHttp(httpOf(siege.daemon));
      raw.socket.write(head.repeat(2000));
      return raw;
    });
    await until(
      () => raws.every(({ received }) => received.includes('200 OK')),
      'all are answered',
    );
    await siege.served();
    await siege.bounded(before);
    for (const { socket } of raws) socket.destroy();
    await siege.end();
  });
});

describe('answers that nobody reads', () => {
  const STORED = 1000;
  const REPLY_MS = 60_000;
  const MIB = 1024 * 1024;

  it('scrapes and long lists over 192 connections take little memory, and others are answered', async () => {
    const siege = await Siege.begin('http.listen=127.0.0.1:0', 'limits.memoryBytes=64MiB');
    const client = new Client({ endpoints: [siege.endpoint], timeoutMs: REPLY_MS });
    for (let stored = 0; stored < STORED; stored += 100) {
      const names = Array.from({ length: 100 }, (_, at) => {
        const name = Buffer.alloc(255, 1);
        name.writeUInt16BE(stored + at);
        return name;
      });
      await Promise.all(names.map((name) => client.request('titanic.request', [name, 'x'])));
    }
    await client.close();
    const url = httpOf(siege.daemon);
    const list = '/api/v1/titanic/requests?limit=1000';
    // What a thread and the allocator keep for the next ones.
    for (let asked = 0; asked < 40; asked++) expect((await ask(url + list)).status).toBe(200);
    const before = await siege.heldBytes();
    const raws: RawHttp[] = [];
    const ignore = async (path: string, address: string): Promise<void> => {
      for (let sent = 0; sent < 64; sent++) {
        const raw = new RawHttp(url, address);
        raw.socket.pause();
        raw.send(`GET ${path} HTTP/1.1`, 'Host: localhost', '');
        raws.push(raw);
        await raw.connected;
      }
      // The last one to be answered, as each in its turn is.
      expect((await ask(url + path)).status).toBe(200);
    };
    await ignore('/metrics', '127.0.0.2');
    await ignore('/metrics', '127.0.0.3');
    await ignore(list, '127.0.0.4');
    await siege.served();
    expect(await siege.heldBytes()).toBeLessThan(before + 64 * MIB);
    for (const { socket } of raws) socket.destroy();
    await siege.bounded(before);
    await siege.end();
  });
});
