import { removeDaemons, startDaemon } from '../../support/daemon.js';
import { ask, httpOf, RawHttp } from '../../support/http.js';

const TOKEN = 'sixteen-letters-or-more';
let url = '';

beforeAll(async () => {
  url = httpOf(await startDaemon({ sets: ['http.listen=127.0.0.1:0', `http.token=${TOKEN}`] }));
});

afterAll(removeDaemons);

const HOST = 'Host: localhost';
const ORDER = 'POST /api/v1/ha/promote HTTP/1.1';
const BEARER = `Authorization: Bearer ${TOKEN}`;

/** Sends bytes, and returns all bytes received until the other side closes. */
async function raw(...lines: readonly string[]): Promise<string> {
  const connection = new RawHttp(url);
  connection.send(...lines);
  return await connection.rest();
}

function statusOf(answer: string): string {
  return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? '';
}

describe('a wrong request gets a status that says what is wrong (contract §4)', () => {
  it('404 for an unknown path', async () => {
    for (const path of [
      '/nothing',
      '/api',
      '/api/v1/',
      '/livez/',
      '//livez',
      '/LIVEZ',
      '/livez;x',
    ]) {
      expect([path, (await ask(url + path)).status]).toEqual([path, 404]);
    }
    expect((await ask(`${url}/nothing`)).json).toEqual({
      error: { code: 'ERR_HTTP_NOT_FOUND', message: expect.any(String) },
    });
  });

  it('405 for a wrong method, with the allowed ones', async () => {
    const reading = await ask(`${url}/livez`, { method: 'DELETE' });
    expect(reading).toMatchObject({ status: 405, json: { error: { code: 'ERR_HTTP_METHOD' } } });
    expect(reading.headers.allow).toBe('GET, HEAD');
    const changing = await ask(`${url}/api/v1/ha/promote`);
    expect(changing).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    expect((await ask(`${url}/livez`, { method: 'OPTIONS' })).status).toBe(405);
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['state=idle', 'state'],
    ['cursor=somewhere', 'cursor'],
    [`cursor=${'1'.repeat(300)}`, 'cursor'],
    ['service=', 'service'],
    ['service=%25', 'service'],
    [`service=${'x'.repeat(256)}`, 'service'],
    ['color=blue', 'color'],
    ['%3Cb%3E=1', '<b>'],
  ])('400 for ?%s, naming %s', async (query, name) => {
    const reply = await ask(`${url}/api/v1/workers?${query}`);
    expect(reply).toMatchObject({ status: 400, json: { error: { code: 'ERR_HTTP_PARAMETER' } } });
    const { message } = (reply.json as { error: { message: string } }).error;
    expect(message.startsWith(`${name}: `)).toBe(true);
  });

  it.each(['{', '[]', '3', 'null', '{"x": 1}', '\u0000'])('400 for the body %j', async (body) => {
    const reply = await ask(`${url}/api/v1/ha/promote`, { method: 'POST', token: TOKEN, body });
    expect(reply).toMatchObject({ status: 400, json: { error: { code: 'ERR_HTTP_BODY' } } });
  });

  it('400 for a body that is not UTF-8: texts that differ would be the same', async () => {
    const body = Buffer.from('{"service": "ü"}', 'latin1');
    const target = `${url}/api/v1/titanic/purge`;
    const reply = await ask(target, { method: 'POST', token: TOKEN, body });
    expect(reply).toMatchObject({ status: 400, json: { error: { code: 'ERR_HTTP_BODY' } } });
    expect(reply.text).toContain('not UTF-8');
  });

  it('413 for a body over 64 KiB, by its length or as it comes', async () => {
    const body = Buffer.alloc(65_537, ' ');
    const target = `${url}/api/v1/ha/promote`;
    const known = await ask(target, { method: 'POST', token: TOKEN, body });
    expect(known).toMatchObject({ status: 413, json: { error: { code: 'ERR_HTTP_TOO_LARGE' } } });
    const headers = { 'transfer-encoding': 'chunked' };
    const chunked = await ask(target, { method: 'POST', token: TOKEN, body, headers });
    expect(chunked.status).toBe(413);
    const largest = await ask(target, { method: 'POST', token: TOKEN, body: body.subarray(1) });
    expect(largest.status).toBe(409);
  });

  it('413 instead of 100 Continue for a body that is too large, and closes', async () => {
    const answer = await raw(
      ...[ORDER, HOST, BEARER, 'Content-Length: 70000', 'Expect: 100-continue', ''],
    );
    expect(statusOf(answer)).toBe('413');
    expect(answer).not.toContain('100 Continue');
  });

  it('100 Continue for a body that is allowed', async () => {
    const connection = new RawHttp(url);
    connection.send(ORDER, HOST, BEARER, 'Content-Length: 2', 'Expect: 100-continue', '');
    await connection.until('100 Continue');
    connection.socket.write('{}');
    await connection.until('409 Conflict');
    connection.socket.destroy();
  });

  it('401 before any of the body is asked for', async () => {
    const answer = await raw(ORDER, HOST, 'Content-Length: 2', 'Expect: 100-continue', '');
    expect(statusOf(answer)).toBe('401');
  });

  it('431 for headers over 16 KiB, and 417 for unknown expectations', async () => {
    expect(statusOf(await raw('GET /livez HTTP/1.1', HOST, `X: ${'x'.repeat(20_000)}`, ''))).toBe(
      '431',
    );
    expect(statusOf(await raw('GET /livez HTTP/1.1', HOST, 'Expect: tea', ''))).toBe('417');
  });
});

describe('an ambiguous request is refused, and the connection closed (smuggling)', () => {
  const SMUGGLED = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n';
  it.each([
    ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked', '', '0', '']],
    ['two lengths', ['Content-Length: 0', 'Content-Length: 5', '']],
    ['two equal lengths', ['Content-Length: 0', 'Content-Length: 0', '']],
    ['a list of lengths', ['Content-Length: 0, 5', '']],
    ['a length with a sign', ['Content-Length: +0', '']],
    ['chunks twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked', '', '0', '']],
    ['chunks that are not last', ['Transfer-Encoding: chunked, identity', '', '0', '']],
    ['another coding', ['Transfer-Encoding: xchunked', '', '0', '']],
    ['another coding, then chunks', ['Transfer-Encoding: gzip, chunked', '', '0', '']],
    ['a space before the colon', ['Transfer-Encoding : chunked', '', '0', '']],
    ['a folded line', ['X: a', ' b: c', '']],
    ['two hosts', ['Host: evil.example', '']],
    ['a zero byte', ['X: a\u0000b', '']],
    ['a lone line feed', ['X: a\nY: b', '']],
  ])('%s', async (_what, lines) => {
    const answer = await raw(ORDER, HOST, BEARER, ...lines, SMUGGLED);
    expect(statusOf(answer)).toBe('400');
    expect(answer.match(/^HTTP/gm)).toHaveLength(1);
    expect(answer).toMatch(/^connection: close\r$/im);
    expect(answer).not.toContain('200 OK');
  });

  it('a chunk with an invalid size', async () => {
    const answer = await raw(
      ...[ORDER, HOST, BEARER, 'Transfer-Encoding: chunked', '', '0x1', '{', '0', '', SMUGGLED],
    );
    expect(statusOf(answer)).toBe('400');
    expect(answer).not.toContain('200 OK');
  });

  it.each([
    ['another version', ['GET /livez HTTP/2.0', HOST, '']],
    [
      'chunks in HTTP/1.0',
      ['POST /livez HTTP/1.0', HOST, 'Transfer-Encoding: chunked', '', '0', ''],
    ],
    [
      'a second Host behind thousands of lines',
      ['GET /livez HTTP/1.1', HOST, ...Array<string>(2500).fill('a:'), 'Host: evil', ''],
    ],
    ['no Host', ['GET /api/v1/status HTTP/1.1', '']],
    ['a whole URL as the target', ['GET http://localhost/livez HTTP/1.1', HOST, '']],
    ['a target that is no path', ['OPTIONS * HTTP/1.1', HOST, '']],
    ['no HTTP', ['\u0016\u0003\u0001\u0002\u0000\u0001', '']],
    ['HTTP/2 without asking', ['PRI * HTTP/2.0', '', 'SM', '']],
  ])('%s', async (_what, lines) => {
    const connection = new RawHttp(url);
    connection.send(...lines);
    await connection.until('400 Bad Request');
    await connection.until('"code":"ERR_HTTP_REQUEST"');
    connection.socket.end();
    expect(await connection.rest()).not.toContain('200 OK');
  });

  it('the body of a GET is read and discarded, not taken for a request', async () => {
    const connection = new RawHttp(url);
    connection.send('GET /livez HTTP/1.1', HOST, `Content-Length: ${SMUGGLED.length}`, '');
    connection.socket.write(SMUGGLED);
    await connection.until('ok\n');
    connection.send('GET /nothing HTTP/1.1', HOST, 'Connection: close', '');
    const statuses = (await connection.rest()).match(/HTTP\/1\.1 \d+/g);
    expect(statuses).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404']);
  });

  it('403 without a usable Host', async () => {
    const connection = new RawHttp(url);
    connection.send('GET /api/v1/status HTTP/1.1', 'Host:', '');
    await connection.until('403 Forbidden');
    connection.socket.destroy();
  });

  it('one connection serves many requests, also pipelined ones', async () => {
    const connection = new RawHttp(url);
    const get = ['GET /livez HTTP/1.1', HOST, ''];
    connection.send(...get, ...get, 'GET /nothing HTTP/1.1', HOST, 'Connection: close', '');
    const statuses = (await connection.rest()).match(/HTTP\/1\.1 \d+/g);
    expect(statuses).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404']);
  });
});
