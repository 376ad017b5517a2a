/** What arrives over HTTP is counted in pieces, too: memory stays bounded, and others are served. */
import { cleanUp } from '../process/broker/support.js';
import { httpOf, RawHttp } from '../support/http.js';
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
