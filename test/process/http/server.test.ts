import { afterEach, describe, expect, it } from '@jest/globals';

import { httpError } from '../../../src/admin/http/errors.js';
import { type HttpServer, openHttpServer } from '../../../src/admin/io/server.js';
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

async function serve(...routes: readonly Route[]): Promise<string> {
  const server = await openHttpServer({
    place: { host: '127.0.0.1', port: 0 },
    admits: { tokens: [], users: null },
    requireToken: false,
    tls: null,
    connectionsMax: MAX,
    programs: null,
    holdings: new Holdings(),
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

const HELLO = get('/hello', () => ({
  status: 200,
  type: 'text/plain',
  body: 'hello',
  headers: {},
}));
/** Connections at once, at most 64 of one address. */
const MAX = 80;
const HEAD = ['GET /hello HTTP/1.1', 'Host: localhost'] as const;

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

  it('over a hundred of them close the connection', async () => {
    const url = await serve(
      get('/never', () => new Promise(() => undefined)),
      HELLO,
    );
    const greedy = new RawHttp(url);
    const head = 'GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n';
    greedy.socket.write(head.repeat(102));
    expect(await greedy.rest()).toBe('');
    expect((await ask(`${url}/hello`)).text).toBe('hello');
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
