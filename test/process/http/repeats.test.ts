/** Requests whose heads are the same as one before them on their connection: they are not taken apart. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

import type { Begin, Incoming, Route } from '../../../src/admin/http/route.js';
import { type HttpServer, openHttpServer } from '../../../src/admin/io/open-server.js';
import { Holdings } from '../../../src/core/holdings.js';
import { RawHttp } from '../../support/http.js';
import { until } from '../../support/until.js';

const TOKEN = 'a-token-of-the-shop';
const SHOP = { name: 'shop', role: 'request', secret: TOKEN } as const;
const OTHER = { name: 'other', role: 'request', secret: 'a-token-of-another-one' } as const;
const servers: HttpServer[] = [];
const raws: RawHttp[] = [];
const failures: unknown[] = [];

let url: string;
let server: HttpServer;
let holdings: Holdings;
/** Bodies of requests that were taken apart, and of those that were not. */
let apart: string[];
let repeated: string[];
let left: number;
/** How many requests that were taken apart have begun. */
let begun: number;
/** What becomes of a request that was not taken apart. */
let begin: (...given: Parameters<Begin>) => ReturnType<Begin>;

const answer = (body: string): { status: number; type: string; body: string; headers: object } => ({
  ...{ status: 200, type: 'text/plain', body },
  headers: body === '<last>' ? { connection: 'close' } : {},
});
const echo: Begin = (body) => Promise.resolve(answer(`<${body.toString()}>`) as never);

async function handled(incoming: Incoming): Promise<never> {
  begun++;
  const mayDiffer = (name: string): boolean => name === 'trace';
  incoming.repeats((body, connected, values) => {
    const answering = begin(body, connected, values);
    if (answering !== null) repeated.push(body.toString() + (values['trace']?.join() ?? ''));
    return answering;
  }, mayDiffer);
  const body = (await incoming.bytes(100_000, () => undefined)).toString();
  apart.push(body);
  return answer(`<${body}>`) as never;
}

const ROUTE: Route = {
  ...{ method: 'POST', path: '/echo', access: 'requester', parameters: ['a'], readsBytes: true },
  handle: ({ incoming }) => handled(incoming),
};

beforeEach(async () => {
  [apart, repeated, left, begun] = [[], [], 0, 0];
  begin = (body, connected) => {
    connected.onClosed(() => left++);
    return echo(body, connected, {});
  };
  holdings = new Holdings();
  server = await openHttpServer({
    address: { host: '127.0.0.1', port: 0 },
    admits: { tokens: [SHOP, OTHER], users: null },
    requireToken: true,
    tls: null,
    idleTimeoutMs: 75_000,
    connectionsMax: 10,
    programs: { connectionsMax: 10, descriptors: { hasRoom: true, count: () => undefined } },
    holdings,
    identityOf: (address, token) => token ?? address ?? '',
    routes: () => Promise.resolve([ROUTE]),
    failed: (error) => failures.push(error),
    acted: () => undefined,
  });
  servers.push(server);
  url = server.url;
});

afterEach(async () => {
  for (const { socket } of raws.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((each) => each.close()));
  expect(failures).toEqual([]);
});

function open(): RawHttp {
  const raw = new RawHttp(url);
  raws.push(raw);
  return raw;
}

function request(body: string, more = '', target = '/echo', token = TOKEN): string {
  return `POST ${target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Sends it, and waits for its answer. */
async function exchange(raw: RawHttp, body: string, ...more: readonly string[]): Promise<void> {
  raw.socket.write(request(body, ...more));
  await raw.until(`<${body}>`);
}

/** The answers as they came, each without its date. */
function answers(raw: RawHttp): string[] {
  return raw.received
    .split(/(?=HTTP\/1\.1 )/)
    .map((each) => each.replace(/Date: .*\r\n/, 'Date: now\r\n'));
}

/** The header fields of an answer. */
function fields(answer = ''): [string, string][] {
  const [head = ''] = answer.split('\r\n\r\n');
  return head.split('\r\n').map((line) => {
    const [name = '', value = ''] = line.split(/: (.*)/);
    return [name.toLowerCase(), value];
  });
}

/** Sends one that waits. @returns what answers it, with what was given to it */
async function waiting(raw: RawHttp): Promise<(body: string) => void> {
  await exchange(raw, 'first');
  let resolve: ((body: string) => void) | null = null;
  begin = (_body, connected) => {
    connected.onClosed(() => left++);
    return new Promise((done) => {
      resolve = (body) => done(answer(body) as never);
    });
  };
  raw.socket.write(request('waits'));
  await until(() => resolve !== null, 'it has begun');
  return resolve as never;
}

describe('a request with the head of the one before it', () => {
  it('is begun without being taken apart, and its answer looks the same', async () => {
    const raw = open();
    await exchange(raw, 'one');
    await exchange(raw, 'two');
    await exchange(raw, 'a longer one');
    await exchange(raw, 'x'.repeat(10_000));
    expect([apart, repeated.slice(0, 2)]).toEqual([['one'], ['two', 'a longer one']]);
    // A tab is for the parser of Node.
    await exchange(raw, 'six', 'X:\ty\r\n');
    const all = answers(raw);
    const [first, second] = all;
    expect(second).toBe(first?.replace('<one>', '<two>'));
    expect(Object.fromEntries(fields(all[4]))).toEqual(Object.fromEntries(fields(first)));
    expect(left).toBe(3);
  });

  it('may have another value of a header that may differ', async () => {
    const raw = open();
    for (const [at, trace] of ['-1', '-2', 'longer', ' two words', '-5'].entries()) {
      await exchange(raw, String(at), `Trace: ${trace}\r\n`);
    }
    expect([apart, repeated]).toEqual([
      ['0', '3', '4'],
      ['1-2', '2longer'],
    ]);
  });

  it('is answered before the next one begins, also if all arrive at once', async () => {
    const raw = open();
    const bodies = Array.from({ length: 200 }, (_, at) => `no ${at}`);
    raw.socket.write(bodies.map((body) => request(body)).join(''));
    await raw.until('<no 199>');
    expect(raw.received.match(/<no \d+>/g)).toEqual(bodies.map((body) => `<${body}>`));
    expect([apart.length, repeated.length]).toEqual([1, 199]);
  });

  it.each([
    ['another header', ['X: y\r\n']],
    ['another target', ['', '/echo?a=b']],
    ['another token', ['', '/echo', OTHER.secret]],
  ])('is taken apart with %s, and then that head may be repeated', async (_what, more) => {
    const raw = open();
    await exchange(raw, 'one');
    await exchange(raw, 'two', ...more);
    await exchange(raw, 'three', ...more);
    await exchange(raw, 'four');
    expect([apart, repeated]).toEqual([['one', 'two', 'four'], ['three']]);
  });

  it('is taken apart if it is over 16 KiB', async () => {
    const raw = open();
    await exchange(raw, 'one');
    await exchange(raw, 'y'.repeat(20_000));
    await exchange(raw, 'two');
    expect([apart.length, repeated]).toEqual([2, ['two']]);
  });

  it('is taken apart if it cannot begin', async () => {
    const raw = open();
    await exchange(raw, 'one');
    begin = () => null;
    await exchange(raw, 'two');
    begin = echo;
    await exchange(raw, 'three');
    expect([apart, repeated]).toEqual([['one', 'two'], ['three']]);
  });

  it('behind a chunked body is taken apart', async () => {
    const raw = open();
    await exchange(raw, 'one');
    raw.socket.write(
      request('')
        .replace('Content-Length: 0', 'Transfer-Encoding: chunked')
        .concat('3\r\ntwo\r\n0\r\n\r\n'),
    );
    await raw.until('<two>');
    await exchange(raw, 'three');
    await exchange(raw, 'four');
    expect([apart, repeated]).toEqual([['one', 'two', 'three', 'four'], []]);
  });

  it('counts for its token, which may have so many at once', async () => {
    const open8 = Array.from({ length: 8 }, open);
    for (const raw of open8) await waiting(raw);
    const more = open();
    more.socket.write(request('more'));
    await more.until('429 Too Many Requests');
    expect(repeated.length).toBe(8);
  });
});

it('a connection whose request was answered before its body came is idle once that has come', async () => {
  const accepted: Socket[] = [];
  const take = (message: unknown): void => {
    accepted.push((message as { readonly socket: Socket }).socket);
  };
  subscribe('net.server.socket', take);
  const bytes = 2_000_000;
  for (let count = 0; count < 8; count++) {
    const raw = open();
    raw.socket.write(request('').replace('Content-Length: 0', `Content-Length: ${bytes}`));
    await raw.until('413 ');
    raw.socket.write(Buffer.alloc(bytes));
  }
  unsubscribe('net.server.socket', take);
  await until(() => accepted.every(({ bytesRead }) => bytesRead > bytes), 'all bodies have come');
  await new Promise(setImmediate);
  await exchange(open(), 'one');
});

describe('while such a request waits for its answer', () => {
  it('a token that is gone ends it with 401, and what comes of it later is not sent', async () => {
    const raw = open();
    const reply = await waiting(raw);
    server.setAdmits({ tokens: [OTHER], users: null });
    await raw.until('401 Unauthorized');
    expect(left).toBe(1);
    raw.socket.write(request('again'));
    await until(() => raw.received.split('401 Unauthorized').length === 3, 'the next one');
    reply('late');
    await exchange(raw, 'other', '', '/echo', OTHER.secret);
    expect(raw.received).not.toContain('late');
  });

  it('a change of other tokens leaves it, and the next one is judged anew', async () => {
    const raw = open();
    const reply = await waiting(raw);
    server.setAdmits({ tokens: [SHOP], users: null });
    reply('kept');
    await raw.until('kept');
    await exchange(raw, 'two');
    begin = echo;
    await exchange(raw, 'three');
    expect([apart, repeated]).toEqual([
      ['first', 'two'],
      ['waits', 'three'],
    ]);
  });

  it.each([
    ['closes its side', (raw: RawHttp) => raw.socket.end()],
    ['disconnects', (raw: RawHttp) => raw.socket.destroy()],
  ])('it is left when its client %s, also with more behind it', async (_what, leave) => {
    const raw = open();
    await waiting(raw);
    raw.socket.write(request('more'));
    leave(raw);
    await until(() => left === 1, 'it is left');
    await raw.closed;
    await until(() => holdings.bytes === 0, 'nothing is held');
    expect(repeated).toEqual(['waits']);
  });

  it('no other begins if its answer finds that its client has reset the connection', async () => {
    const raw = open();
    const reply = await waiting(raw);
    const alone = holdings.bytes;
    raw.socket.write(request('more'));
    await until(() => holdings.bytes > alone, 'there is more behind it');
    raw.socket.resetAndDestroy();
    reply('late');
    await until(() => holdings.bytes === 0, 'nothing is held');
    expect([left, repeated]).toEqual([1, ['waits']]);
  });

  it('a server that closes lets it end, and then closes its connection', async () => {
    const raw = open();
    const reply = await waiting(raw);
    const closed = server.close();
    reply('at last');
    expect(await raw.rest()).toMatch(/connection: close\r\n\r\nat last$/);
    await closed;
  });
});

const CHUNKED = request('')
  .replace('Content-Length: 0', 'Transfer-Encoding: chunked')
  .concat('4\r\nlast\r\n0\r\n\r\n');

it.each([
  ['one that was taken apart', request('last'), []],
  ['one with a chunked body', CHUNKED, []],
  ['one with a repeated head', request('last'), ['one']],
])(
  'behind %s, after whose answer the connection ends, no other begins',
  async (_what, last, before) => {
    const raw = open();
    for (const body of before) await exchange(raw, body);
    raw.socket.write(last + request('more'));
    expect(await raw.rest()).toMatch(/connection: close\r\n[^]*\r\n<last>$/);
    await raw.closed;
    expect(begun).toBe(1);
  },
);

const MUCH = 50_000_000;

/** Asks for an answer of so many bytes, and does not read it. */
function asksForMuch({ socket }: RawHttp): void {
  begin = (_body, connected) => {
    connected.onClosed(() => left++);
    return Promise.resolve(answer('x'.repeat(MUCH)) as never);
  };
  socket.pause();
  socket.write(request('much'));
}

it('an answer that its client does not read ends when the token is gone', async () => {
  const raw = open();
  await exchange(raw, 'one');
  asksForMuch(raw);
  await until(() => repeated.length === 1, 'it has begun');
  await new Promise(setImmediate);
  server.setAdmits({ tokens: [OTHER], users: null });
  expect(left).toBe(1);
  raw.socket.resume();
  expect((await raw.rest()).length).toBeLessThan(MUCH);
});

it('an answer that its client takes nothing of ends as the time for that is over', async () => {
  const accepted: Socket[] = [];
  const take = (message: unknown): void => {
    accepted.push((message as { readonly socket: Socket }).socket);
  };
  subscribe('net.server.socket', take);
  const raw = open();
  await exchange(raw, 'one');
  unsubscribe('net.server.socket', take);
  asksForMuch(raw);
  await until(() => (accepted[0]?.writableLength ?? 0) > 0, 'the answer waits to be read');
  accepted[0]?.emit('timeout');
  await until(() => left === 1, 'the request has ended');
  raw.socket.resume();
  expect((await raw.rest()).length).toBeLessThan(MUCH);
});

it('an error that is a bug is answered 500', async () => {
  const raw = open();
  await exchange(raw, 'one');
  begin = () => Promise.reject(new Error('a bug'));
  raw.socket.write(request('two'));
  await raw.until('ERR_HTTP_INTERNAL');
  expect(failures.splice(0)).toEqual([new Error('a bug')]);
});

describe('a connection of which Node does not know', () => {
  /** It, and its socket in the server. */
  async function known(): Promise<{ readonly raw: RawHttp; readonly accepted: Socket }> {
    const accepted: Socket[] = [];
    const take = (message: unknown): void => {
      accepted.push((message as { readonly socket: Socket }).socket);
    };
    subscribe('net.server.socket', take);
    const raw = open();
    await until(() => accepted.length > 0, 'it is accepted');
    unsubscribe('net.server.socket', take);
    const [first] = accepted;
    if (first === undefined) throw new Error('none');
    await until(() => first.listenerCount('timeout') > 0, 'it is served');
    return { raw, accepted: first };
  }

  it('is told that nothing came in time', async () => {
    const { raw, accepted } = await known();
    expect(accepted.timeout).toBe(5000);
    accepted.emit('timeout');
    expect(await raw.rest()).toMatch(/^HTTP\/1\.1 408 [^]*ERR_HTTP_TIMEOUT/);
  });

  it('is closed without a word if its next request does not come in time', async () => {
    const { raw, accepted } = await known();
    await exchange(raw, 'one');
    expect(accepted.timeout).toBe(76_000);
    accepted.emit('timeout');
    expect(await raw.rest()).toMatch(/<one>$/);
  });

  it('ends with its server', async () => {
    const { raw } = await known();
    await exchange(raw, 'one');
    const silent = await known();
    await Promise.all([server.close(), raw.closed, silent.raw.closed]);
    expect(holdings.bytes).toBe(0);
  });

  it('is served by Node from the first request on that is for Node, and then again without', async () => {
    const { raw } = await known();
    const parsed = 'X:\ty\r\n';
    await exchange(raw, 'one');
    await exchange(raw, 'two', parsed);
    await exchange(raw, 'three', parsed);
    await exchange(raw, 'four');
    await exchange(raw, 'five', parsed);
    expect([apart, repeated]).toEqual([['one', 'two', 'four', 'five'], ['three']]);
  });
});
