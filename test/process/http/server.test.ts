import { failure } from '../../../src/admin/http/answer.js';
import { httpError } from '../../../src/admin/http/errors.js';
import { type HttpServer, openHttpServer } from '../../../src/admin/io/open-server.js';
import { Holdings } from '../../../src/core/holdings.js';
import { pageRoutes } from '../../../src/admin/http/page-routes.js';
import type { Route } from '../../../src/admin/http/route.js';
import { ask, RawHttp } from '../../support/http.js';
import { until } from '../../support/until.js';

const servers: HttpServer[] = [];
const failures: unknown[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  failures.length = 0;
});

function serve(...routes: readonly Route[]): Promise<string> {
  return serveWith(new Holdings(), ...routes);
}

function serveWith(holdings: Holdings, ...routes: readonly Route[]): Promise<string> {
  return serveLater(holdings, () => Promise.resolve(routes));
}

async function serveLater(
  holdings: Holdings,
  routes: () => Promise<readonly Route[]>,
): Promise<string> {
  const server = await openHttpServer({
    address: { host: '127.0.0.1', port: 0 },
    admits: { tokens: [], users: null },
    requireToken: false,
    tls: null,
    idleTimeoutMs: 75_000,
    connectionsMax: MAX,
    programs: null,
    holdings,
    identityOf: (address) => address ?? '',
    routes,
    failed: (error) => failures.push(error),
    acted: () => undefined,
  });
  servers.push(server);
  return server.url;
}

function get(path: string, handle: Route['handle']): Route {
  return { method: 'GET', path, access: 'open', parameters: [], handle };
}

const PLAIN = { status: 200, type: 'text/plain', body: 'hello', headers: {} } as const;
const HELLO = get('/hello', () => PLAIN);
/** Connections at once, at most 64 of one address. */
const MAX = 80;
const HEAD = ['GET /hello HTTP/1.1', 'Host: localhost'] as const;

describe('what answers is loaded with the first connection', () => {
  it('once: all that come before it is loaded are answered then', async () => {
    let loads = 0;
    let load = (): void => undefined;
    const url = await serveLater(new Holdings(), async () => {
      loads++;
      await new Promise<void>((resolve) => {
        load = resolve;
      });
      return [HELLO];
    });
    const early = [new RawHttp(url), new RawHttp(url)];
    for (const each of early) each.send(...HEAD, '');
    const gone = new RawHttp(url);
    await until(() => loads === 1, 'the first connection loads nothing');
    await gone.connected;
    gone.socket.resetAndDestroy();
    await gone.closed;
    load();
    for (const each of early) await each.until('hello');
    expect((await ask(`${url}/hello`)).text).toBe('hello');
    expect(loads).toBe(1);
    for (const { socket } of early) socket.destroy();
    expect(failures).toEqual([]);
  });

  it('if that fails, the connection is closed, and the next one is answered', async () => {
    const errors = [new Error('too many open files')];
    const url = await serveLater(new Holdings(), () => {
      const error = errors.pop();
      return error === undefined ? Promise.resolve([HELLO]) : Promise.reject(error);
    });
    await new RawHttp(url).closed;
    expect(failures).toEqual([new Error('too many open files')]);
    expect((await ask(`${url}/hello`)).text).toBe('hello');
  });

  it('a server that nobody connects to never loads it, and closes', async () => {
    const url = await serveLater(new Holdings(), () => Promise.reject(new Error('loaded')));
    await servers.pop()?.close();
    const refused = new RawHttp(url);
    await refused.closed;
    expect(refused.received).toBe('');
    expect(failures).toEqual([]);
  });
});

describe('connections that waste time are closed (slow-loris)', () => {
  it('one that sends nothing, one that never ends its head, one that never sends its body', async () => {
    const post: Route = { ...HELLO, method: 'POST' };
    const url = await serve(HELLO, post);
    const silent = new RawHttp(url);
    const head = new RawHttp(url);
    head.send(...HEAD);
    const body = new RawHttp(url);
    body.send('POST /hello HTTP/1.1', 'Host: localhost', 'Content-Length: 10', '');
    // Sending a line now and then does not help.
    const drip = setInterval(() => {
      head.send('X: y');
      body.socket.write(' ');
    }, 1500);
    const answers = await Promise.all([silent.rest(), head.rest(), body.rest()]);
    clearInterval(drip);
    for (const answer of answers) expect(answer).not.toContain('200 OK');
    expect(answers[1]).toContain('408 Request Timeout');
    expect(failures).toEqual([]);
  });
});

describe('connections are bounded, and a new one is always accepted', () => {
  /** Opens connections from one address, one after the other, and sends the lines over each. */
  async function hold(
    url: string,
    count: number,
    from: string,
    ...lines: string[]
  ): Promise<RawHttp[]> {
    const held: RawHttp[] = [];
    for (let index = 0; index < count; index++) {
      const connection = new RawHttp(url, from);
      held.push(connection);
      await connection.connected;
      connection.send(...lines);
    }
    return held;
  }

  function end(held: readonly RawHttp[]): void {
    for (const { socket } of held) socket.destroy();
  }

  it.each([
    ['half-sent heads', ['GET /hello HTTP/1.1', 'Host: localhost']],
    ['half-sent bodies', ['POST /hello HTTP/1.1', 'Host: localhost', 'Content-Length: 9', '', 'x']],
    ['idle connections of a proxy', [...HEAD, '']],
  ])('64 %s of one address: the oldest makes room', async (_what, lines) => {
    const url = await serve(HELLO, { ...HELLO, method: 'POST' });
    const held = await hold(url, 64, '127.0.0.1', ...lines);
    expect((await ask(`${url}/hello`)).text).toBe('hello');
    await held[0]?.closed;
    expect(held.filter(({ socket }) => socket.readyState === 'open').length).toBe(63);
    end(held);
  });

  it('one that is being answered stays while idle ones are closed', async () => {
    let answer = (): void => undefined;
    const slow = get('/slow', async () => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return { status: 200, type: 'text/plain', body: 'at last', headers: {} };
    });
    const url = await serve(HELLO, slow);
    const [first] = await hold(url, 1, '127.0.0.1', 'GET /slow HTTP/1.1', 'Host: localhost', '');
    const held = await hold(url, 200, '127.0.0.1', ...HEAD);
    answer();
    await first?.until('at last');
    end([...held, ...(first === undefined ? [] : [first])]);
  });

  it('of 64 with unread answers, the oldest is closed for a new one', async () => {
    const large = get('/large', () => ({
      status: 200,
      type: 'text/plain',
      body: 'x'.repeat(8_000_000),
      headers: {},
    }));
    const url = await serve(large, HELLO);
    const held = await hold(url, 64, '127.0.0.1', 'GET /large HTTP/1.1', 'Host: localhost', '');
    for (const { socket } of held) socket.pause();
    expect((await ask(`${url}/hello`)).text).toBe('hello');
    end(held);
  });

  it('over the total: the address with the most loses one, and others keep theirs', async () => {
    const url = await serve(HELLO);
    const few = await hold(url, 10, '127.0.0.2', ...HEAD);
    const many = await hold(url, 64, '127.0.0.3', ...HEAD);
    const more = await hold(url, 64, '127.0.0.4', ...HEAD);
    expect((await ask(`${url}/hello`)).text).toBe('hello');
    for (const connection of few) connection.send('');
    await Promise.all(few.map((connection) => connection.until('hello')));
    end([...few, ...many, ...more]);
  });
});

describe('answers that nobody reads', () => {
  const BYTES = 8_000_000;
  /** More than a connection costs, and the piece that it was given. */
  const OWN_BYTES = 100_000;
  const bodies: Buffer[] = [];
  /** Each answer has a body of its own. */
  const LARGE = get('/large', () => {
    const body = Buffer.alloc(BYTES, 'x');
    bodies.push(body);
    return { ...PLAIN, body };
  });

  async function unread(url: string, from = '127.0.0.1', path = '/large'): Promise<RawHttp> {
    const raw = new RawHttp(url, from);
    await raw.connected;
    raw.socket.pause();
    raw.send(`GET ${path} HTTP/1.1`, 'Host: localhost', '');
    return raw;
  }

  it('count until they are read, once for all that have the same body', async () => {
    const holdings = new Holdings();
    const body = Buffer.alloc(BYTES, 'x');
    const url = await serveWith(
      holdings,
      get('/shared', () => ({ ...PLAIN, body })),
      HELLO,
    );
    const raws = [
      await unread(url, '127.0.0.1', '/shared'),
      await unread(url, '127.0.0.1', '/shared'),
    ];
    raws.push(await unread(url, '127.0.0.2', '/shared'));
    await until(() => holdings.bytes > BYTES + 3 * OWN_BYTES - 100_000, 'they count');
    expect(holdings.bytes).toBeLessThan(BYTES + 3 * OWN_BYTES);
    for (const raw of raws.slice(1)) raw.socket.destroy();
    raws[0]?.socket.resume();
    await until(() => (raws[0]?.received.length ?? 0) > BYTES, 'the answer is read');
    await until(() => holdings.bytes < OWN_BYTES, 'nothing but a connection is held');
    raws[0]?.send(...HEAD, '');
    await raws[0]?.until('hello');
    raws[0]?.socket.destroy();
    await until(() => holdings.bytes === 0, 'nothing is held');
  });

  it('are 16 at once: one more is refused with 503, until one is read', async () => {
    const url = await serve(LARGE, HELLO);
    const raws: RawHttp[] = [];
    bodies.length = 0;
    for (let sent = 0; sent < 16; sent++) raws.push(await unread(url));
    await until(() => bodies.length === 16, 'all are being sent');
    const refused = await ask(`${url}/large`);
    expect(refused).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      json: {
        error: {
          code: 'ERR_HTTP_BUSY',
          message: expect.stringMatching(/^too many large answers wait to be read/),
        },
      },
    });
    expect((await ask(`${url}/hello`)).text).toBe('hello');
    expect((await ask(`${url}/large`, { method: 'HEAD' })).status).toBe(200);
    raws[0]?.socket.destroy();
    await until(async () => (await ask(`${url}/large`)).status === 200, 'there is room again');
    for (const { socket } of raws) socket.destroy();
  });

  it('of one address give way to those of another', async () => {
    const url = await serve(LARGE);
    const raws: RawHttp[] = [];
    bodies.length = 0;
    for (let sent = 0; sent < 16; sent++) raws.push(await unread(url));
    await until(() => bodies.length === 16, 'all are being sent');
    const other = await unread(url, '127.0.0.2');
    other.socket.resume();
    await until(() => other.received.length > BYTES, 'the other one is answered');
    for (const { socket } of raws) socket.resume();
    await Promise.race(raws.map(({ closed }) => closed));
    const whole = (): number => raws.filter(({ received }) => received.length > BYTES).length;
    await until(() => whole() === 15, 'all but one are read');
    for (const { socket } of [...raws, other]) socket.destroy();
  });

  it('count for one that has not read them, not for one that has', async () => {
    const body = Buffer.alloc(BYTES, 'x');
    const share = get('/share', () => ({ ...PLAIN, body }));
    const holdings = new Holdings();
    const url = await serveWith(holdings, LARGE, share);
    const reader = await unread(url, '127.0.0.2', '/share');
    const held = (identity: string): number =>
      [...holdings.accounts.values()].find((account) => account.identity === identity)?.bytes ?? 0;
    await until(() => held('127.0.0.2') > BYTES, 'the first one asks');
    const deaf = await unread(url, '127.0.0.3', '/share');
    await until(() => held('127.0.0.3') > 0, 'another one asks');
    reader.socket.resume();
    await until(() => held('127.0.0.3') > BYTES, 'it counts for the other');
    expect(held('127.0.0.2')).toBeLessThan(OWN_BYTES);
    for (const { socket } of [reader, deaf]) socket.destroy();
    await until(() => holdings.bytes === 0, 'nothing is held');
  });

  it('are refused above limits.memoryBytes, and no more than a quarter of it is large ones', async () => {
    const withoutRoom = failure('ERR_HTTP_NO_REPLY', 'no room');
    const ran = get('/ran', () => ({ ...PLAIN, body: Buffer.alloc(BYTES), withoutRoom }));
    const url = await serveWith(new Holdings(BYTES / 2), LARGE, ran);
    const full = await ask(`${url}/large`);
    expect((await ask(`${url}/ran`)).status).toBe(502);
    const error = { code: 'ERR_HTTP_BUSY', message: expect.stringContaining('limits.memoryBytes') };
    expect(full).toMatchObject({ status: 503, json: { error } });
    bodies.length = 0;
    const other = await serveWith(new Holdings(7 * BYTES), LARGE);
    const held = await unread(other);
    await until(() => bodies.length === 1, 'it is being sent');
    expect((await ask(`${other}/large`)).status).toBe(503);
    held.socket.destroy();
  });

  it('end with the token that asked for them', async () => {
    const url = await serve({ ...LARGE, access: 'reader' });
    const token = 'a-token-of-a-reader';
    const tokens = [{ name: 'reader', role: 'read', secret: token }] as const;
    servers.at(-1)?.setAdmits({ tokens, users: null });
    bodies.length = 0;
    const reader = new RawHttp(url);
    reader.socket.pause();
    reader.send('GET /large HTTP/1.1', 'Host: localhost', `Authorization: Bearer ${token}`, '');
    await until(() => bodies.length === 1, 'it is being sent');
    servers.at(-1)?.setAdmits({ tokens: [], users: null });
    reader.socket.resume();
    await reader.closed;
    expect(reader.received.length).toBeLessThan(BYTES);
  });
});

describe('requests that are sent at once over one connection', () => {
  it('are answered one after the other: while an answer is unread, the next one waits', async () => {
    let made = 0;
    const answer = { status: 200, type: 'text/plain', body: 'x'.repeat(8_000_000), headers: {} };
    const large = get('/large', () => {
      made++;
      return answer;
    });
    const url = await serve(large, HELLO);
    const greedy = new RawHttp(url);
    greedy.socket.pause();
    for (let sent = 0; sent < 50; sent++) greedy.send('GET /large HTTP/1.1', 'Host: localhost', '');
    for (let asked = 0; asked < 10; asked++) await ask(`${url}/hello`);
    expect(made).toBe(1);
    greedy.socket.destroy();
    await greedy.closed;
  });

  it('are answered in order, however the bytes of heads and bodies are cut', async () => {
    const echo: Route = {
      ...HELLO,
      method: 'POST',
      path: '/echo',
      handle: ({ body }) => ({ ...PLAIN, body: `<${String(body['n'])}>` }),
    };
    const url = await serve(HELLO, echo);
    const head = 'POST /echo HTTP/1.1\r\nHost: localhost\r\n';
    const bytes = Buffer.from(
      `${head}Content-Length: 7\r\n\r\n{"n":1}GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n` +
        `${head}Transfer-Encoding: chunked\r\n\r\n3\r\n{"n\r\n4\r\n":2}\r\n0\r\n\r\n` +
        `${head}Content-Length: 7\r\n\r\n{"n":3}${head}Content-Length: 7\r\n\r\n{"n":4}`,
    );
    for (const size of [1, 2, 3, 5, 64, bytes.length]) {
      const raw = new RawHttp(url);
      raw.socket.setNoDelay();
      for (let at = 0; at < bytes.length; at += size) {
        raw.socket.write(bytes.subarray(at, at + size));
        await new Promise(setImmediate);
      }
      await raw.until('<4>');
      expect(raw.received.match(/<\d>|hello/g)).toEqual(['<1>', 'hello', '<2>', '<3>', '<4>']);
      raw.socket.destroy();
    }
  });

  it('wait unread, and one that has left meanwhile is noticed', async () => {
    let begun = 0;
    let left = 0;
    const wait = get('/wait', ({ incoming }) => {
      begun++;
      incoming.onClosed(() => left++);
      return new Promise(() => undefined);
    });
    const url = await serve(wait);
    const raw = new RawHttp(url);
    raw.socket.write('GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100));
    await until(() => begun === 1, 'the first one is begun');
    raw.socket.end();
    await until(() => left === 1, 'its client has left');
    expect(begun).toBe(1);
  });
});

describe('pieces are counted, not only bytes', () => {
  const CHUNK = '1\r\nx\r\n';
  const chunked = (method: string): string[] => [
    `${method} /hello HTTP/1.1`,
    'Host: localhost',
    'Transfer-Encoding: chunked',
    '',
  ];

  it.each(['GET', 'POST'])('a %s with chunks of one byte ends with 400', async (method) => {
    const url = await serve(HELLO, { ...HELLO, method: 'POST' });
    const raw = new RawHttp(url);
    raw.send(...chunked(method));
    raw.socket.write(CHUNK.repeat(8000));
    const answer = await raw.rest();
    expect(answer).toContain('400 Bad Request');
    expect(answer).toContain('the chunks of the body are too small');
  });

  it('a thousand chunks of one byte are a body like others', async () => {
    const url = await serve({ ...HELLO, method: 'POST' });
    const raw = new RawHttp(url);
    raw.send(...chunked('POST'));
    raw.socket.write(`${'1\r\n \r\n'.repeat(1000)}0\r\n\r\n`);
    await raw.until('hello');
    raw.socket.destroy();
  });

  it('a head of 129 fields is refused with 431, and one of 128 is not', async () => {
    const url = await serve(HELLO);
    const fields = (count: number): string[] => new Array<string>(count).fill('a: b');
    const raw = new RawHttp(url);
    raw.send(...HEAD, ...fields(127), '', ...HEAD, ...fields(128), '');
    const answer = await raw.rest();
    expect(answer).toContain('200 OK');
    expect(answer).toContain('431 Request Header Fields Too Large');
  });

  it('what a connection waits with counts for its address, and is given back', async () => {
    const holdings = new Holdings();
    const url = await serveWith(
      holdings,
      get('/never', () => new Promise(() => undefined)),
    );
    const raw = new RawHttp(url);
    raw.send('GET /never HTTP/1.1', 'Host: localhost', '');
    await until(() => holdings.bytes > 0, 'the connection counts');
    const alone = holdings.bytes;
    raw.socket.write(`GET /never HTTP/1.1\r\nX: ${'x'.repeat(10_000)}`);
    await until(() => holdings.bytes > alone + 10_000, 'what waits counts');
    raw.socket.destroy();
    await until(() => holdings.bytes === 0, 'nothing is held');
  });

  it('a connection that waits with more than its identity may hold is ended', async () => {
    const holdings = new Holdings(40_000);
    const url = await serveWith(
      holdings,
      get('/never', () => new Promise(() => undefined)),
    );
    const raw = new RawHttp(url);
    raw.send('GET /never HTTP/1.1', 'Host: localhost', '');
    raw.socket.write(`GET /never HTTP/1.1\r\nX: ${'x'.repeat(60_000)}`);
    await raw.closed;
    await until(() => holdings.bytes === 0, 'nothing is held');
  });
});

describe('a streamed answer', () => {
  it('is ended for a reader that stalls, and only for that one', async () => {
    let open = 0;
    let isFlooding = true;
    const flood = get('/flood', () => ({
      type: 'text/plain',
      headers: {},
      open: (write) => {
        open++;
        let timer: NodeJS.Immediate;
        const more = (): void => {
          if (!isFlooding) {
            write('the end');
            return;
          }
          timer = setImmediate(more);
          write('x'.repeat(16_384));
        };
        timer = setImmediate(more);
        return () => {
          clearImmediate(timer);
          open--;
        };
      },
    }));
    const url = await serve(flood);
    const reading = new RawHttp(url);
    reading.send('GET /flood HTTP/1.1', 'Host: localhost', '');
    await reading.until('xxx');
    const stalled = new RawHttp(url);
    stalled.socket.pause();
    stalled.send('GET /flood HTTP/1.1', 'Host: localhost', '');
    await until(() => open === 2, 'both readers are served');
    await until(() => open === 1, 'the reader that stalls is cut off');
    isFlooding = false;
    await reading.until('the end');
    reading.socket.destroy();
    stalled.socket.destroy();
  });

  it('ends when its reader leaves, and when the server closes', async () => {
    let open = 0;
    const quiet = get('/quiet', () => ({
      type: 'text/plain',
      headers: {},
      open: (write) => {
        open++;
        write('begin');
        return () => {
          open--;
        };
      },
    }));
    const url = await serve(quiet);
    const readers = [new RawHttp(url), new RawHttp(url)];
    for (const reader of readers) {
      reader.send('GET /quiet HTTP/1.1', 'Host: localhost', '');
      await reader.until('begin');
    }
    expect(open).toBe(2);
    readers[0]?.socket.destroy();
    await until(() => open === 1, 'the reader that left is gone');
    await servers.splice(0)[0]?.close();
    await readers[1]?.closed;
    expect(open).toBe(0);
  });

  it('is not begun for a reader that left before its request had arrived', async () => {
    let handled = 0;
    let opened = 0;
    const quiet = get('/quiet', () => {
      handled++;
      return {
        type: 'text/plain',
        headers: {},
        open: () => {
          opened++;
          return () => undefined;
        },
      };
    });
    const url = await serve(quiet);
    const reader = new RawHttp(url);
    reader.send('GET /quiet HTTP/1.1', 'Host: localhost', 'Content-Length: 9', '', 'x');
    reader.socket.end();
    await until(() => handled === 1, 'its request is handled');
    await new Promise(setImmediate);
    expect(opened).toBe(0);
    await reader.closed;
  });
});

describe('a handler that fails', () => {
  it('with an error for the client: the client gets it', async () => {
    const url = await serve(
      get('/busy', () => {
        throw httpError('ERR_HTTP_BUSY', 'not now');
      }),
    );
    expect(await ask(`${url}/busy`)).toMatchObject({
      status: 503,
      json: { error: { code: 'ERR_HTTP_BUSY', message: 'not now' } },
    });
    expect(failures).toEqual([]);
  });

  it('with any other error: 500 without detail, a log line, and the next request is served', async () => {
    const url = await serve(
      HELLO,
      get('/bug', () => Promise.reject(new TypeError('secret'))),
    );
    const { status, text } = await ask(`${url}/bug`);
    expect({ status, isLeaked: text.includes('secret') }).toEqual({ status: 500, isLeaked: false });
    expect(failures).toHaveLength(1);
    expect((await ask(`${url}/hello`)).status).toBe(200);
  });
});

describe('the page', () => {
  const files = [
    { path: 'index.html', bytes: Buffer.from('<!doctype html>') },
    { path: 'assets/app.js', bytes: Buffer.from('1') },
  ];

  it('is served with a strict policy, and with an ETag', async () => {
    const url = await serve(...pageRoutes(files));
    const page = await ask(`${url}/`);
    expect(page).toMatchObject({ status: 200, text: '<!doctype html>' });
    const policy = page.headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'; script-src 'self'");
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|\*/);
    expect(page.headers['cache-control']).toBe('no-cache');
    const etag = page.headers.etag ?? '';
    const again = await ask(`${url}/`, { headers: { 'if-none-match': etag } });
    expect(again).toMatchObject({ status: 304, text: '' });
    const script = await ask(`${url}/assets/app.js`);
    expect(script.headers).toMatchObject({
      'cache-control': 'no-cache',
      'content-type': 'text/javascript; charset=utf-8',
    });
  });

  it('consists of its own files and no others', async () => {
    const url = await serve(...pageRoutes(files));
    const others = ['/assets', '/assets/', '/../package.json', '/assets/..%2f..%2fpackage.json'];
    for (const path of others) {
      const connection = new RawHttp(url);
      connection.send(`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', '');
      expect([path, (await connection.rest()).slice(0, 12)]).toEqual([path, 'HTTP/1.1 404']);
    }
  });
});
