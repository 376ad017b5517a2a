/** Heads that are read without Node's parser are read as Node reads them, whatever the bytes are. */
import { createServer, type IncomingMessage } from 'node:http';
import { Duplex } from 'node:stream';

import fc from 'fast-check';

import { ambiguityOf } from '../../../src/admin/io/ambiguity.js';
import { valuesOnce } from '../../../src/admin/io/header-values.js';
import { type PlainHead, plainHeadIn } from '../../../src/admin/io/plain-head.js';

const FIRST =
  'POST /api/v1/services/a/requests?timeoutMs=5 HTTP/1.1\r\nHost: a:80\r\nAuthorization: Bearer t\r\n' +
  'Connection: keep-alive\r\nx-request-id: 1 2\r\nContent-Length: 4\r\n\r\nbody';

function read(text: string): PlainHead | null {
  return plainHeadIn(Buffer.from(text, 'latin1'));
}

/** What Node makes of a request. */
interface ByNode {
  readonly method: string | undefined;
  readonly target: string | undefined;
  readonly headers: object;
  readonly body: string;
  readonly isKept: boolean;
  readonly ambiguity: string | null;
}

/** The requests that Node reads in these bytes; the last is its error, if it has one. */
async function byNode(bytes: Buffer): Promise<(ByNode | string)[]> {
  const read: (ByNode | string)[] = [];
  const server = createServer({ requireHostHeader: false, maxHeaderSize: 16_384 });
  server.maxHeadersCount = 0;
  const waits: Promise<unknown>[] = [];
  const taken = (request: IncomingMessage, isKept: boolean): void => {
    const { method, url: target } = request;
    const headers = { ...valuesOnce(request)() };
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise((resolve) => request.once('close', resolve).once('end', resolve));
    waits.push(
      ended.then(() => {
        const body = Buffer.concat(chunks).toString('latin1');
        const ambiguity = ambiguityOf(request);
        read.push({ method, target, headers, body, isKept, ambiguity });
      }),
    );
  };
  server.on('request', (request, response) => {
    taken(request, response.shouldKeepAlive);
    response.end();
  });
  for (const other of ['checkContinue', 'checkExpectation', 'upgrade', 'connect'] as const) {
    server.on(other, () => read.push(other));
  }
  server.on('clientError', (error: Error, socket: Duplex) => {
    read.push(error.name);
    socket.destroy();
  });
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _coding, done) => done() });
  socket.on('error', () => undefined);
  server.emit('connection', Object.assign(socket, { setTimeout: () => socket }));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.push(bytes);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  socket.push(null);
  await closed;
  await Promise.all(waits);
  return read;
}

describe('a head that is read without Node', () => {
  it('has method, target, and the values of its headers, and says where the body is', () => {
    const head = read(FIRST);
    expect({ ...head, headers: { ...head?.headers } }).toEqual({
      method: 'POST',
      target: '/api/v1/services/a/requests?timeoutMs=5',
      headers: {
        host: ['a:80'],
        authorization: ['Bearer t'],
        connection: ['keep-alive'],
        'x-request-id': ['1 2'],
        'content-length': ['4'],
      },
      bodyAt: FIRST.length - 4,
      end: FIRST.length,
    });
  });

  it.each([
    ['whose body has not come', FIRST.slice(0, -1)],
    ['that is incomplete', FIRST.slice(0, 60)],
    ['over 4 KiB', FIRST.replace('1 2', 'x'.repeat(4096))],
    ['of 65 headers', FIRST.replace('Host', `${manyFields(60)}Host`)],
    ['of HTTP/1.0', FIRST.replace('1.1', '1.0')],
    ['of another method', FIRST.replace('POST', 'PUT')],
    ['for a whole URL', FIRST.replace('/api', 'http://a/api')],
    ['with a fragment', FIRST.replace('?', '#')],
    ['with a header that came before', FIRST.replace('x-request-id', 'HOST')],
    ['with two lengths', FIRST.replace('x-request-id: 1 2', 'content-length: 4')],
    ['with a coding', FIRST.replace('x-request-id: 1 2', 'Transfer-Encoding: chunked')],
    ['that waits for 100', FIRST.replace('x-request-id: 1 2', 'Expect: 100-continue')],
    ['that ends its connection', FIRST.replace('keep-alive', 'close')],
    ['with further options of its connection', FIRST.replace('keep-alive', 'keep-alive, x')],
    ['with another protocol', FIRST.replace('x-request-id', 'Upgrade')],
    ['with an empty value', FIRST.replace('1 2', '')],
    ['with a folded line', FIRST.replace('1 2', '1\r\n 2')],
    ['with a bare LF', FIRST.replace('1 2\r\n', '1 2\n')],
    ['with a bare CR', FIRST.replace('1 2', '1\r2')],
    ['with NUL', FIRST.replace('1 2', '1\x002')],
    ['with a tab', FIRST.replace('1 2', '1\t2')],
    ['with bytes above ASCII', FIRST.replace('1 2', '\xe4')],
    ['with space behind a value', FIRST.replace('1 2', '1 2 ')],
    ['with space before a colon', FIRST.replace('x-request-id:', 'x-request-id :')],
    ['with a sign in its length', FIRST.replace(': 4', ': +4')],
    ['with two numbers as its length', FIRST.replace(': 4', ': 4, 4')],
    ['with a long length', FIRST.replace(': 4', ': 000004')],
  ])('is none %s', (_what, text) => {
    expect([read(FIRST) === null, read(text)]).toEqual([false, null]);
  });

  it('is read by Node likewise, whatever is changed in it', async () => {
    const byte = fc.constantFrom(...'\r\n\t\0 :,;=/?#%+-_.aZ09\x7f\x80\xff'.split(''));
    const line = fc.constantFrom(
      ...[
        'Content-Length: 2',
        'content-length: 04',
        'Transfer-Encoding: chunked',
        'Connection: close',
      ],
      ...[
        'connection: Keep-Alive',
        'Expect: 100-continue',
        'Upgrade: x',
        'HOST: b',
        'TE: trailers',
      ],
      ...[
        '__proto__: x',
        'x_y: 1',
        'traceparent: 00-0a-b7-01',
        'Trailer: a',
        'Keep-Alive: 5',
        ' x',
        'x',
      ],
      ...['cookie: a=b; c=d', 'set-cookie: a', 'Proxy-Connection: close', 'constructor: 1'],
    );
    const change = fc.oneof(
      fc.record({
        at: fc.nat(FIRST.length),
        cut: fc.nat(3),
        put: fc.string({ unit: byte, maxLength: 3 }),
      }),
      fc.record({
        at: fc.constantFrom(...lineStarts()),
        cut: fc.constant(0),
        put: line.map((text) => `${text}\r\n`),
      }),
      fc.record({
        at: fc.constant(0),
        cut: fc.constantFrom(4, 5, 6),
        put: fc.constantFrom('GET ', 'DELETE ', 'HEAD ', 'PUT ', 'POST  ', '\r\nPOST ', 'GET /'),
      }),
    );
    let plain = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 3 }), async (changes) => {
        let text = FIRST;
        for (const { at, cut, put } of changes) {
          text = text.slice(0, at) + put + text.slice(at + cut);
        }
        const head = read(text);
        if (head === null) return;
        plain++;
        const bytes = Buffer.from(text, 'latin1');
        const { method, target, headers, bodyAt, end } = head;
        const body = bytes.toString('latin1', bodyAt, end);
        const same = {
          method,
          target,
          headers: { ...headers },
          body,
          isKept: true,
          ambiguity: null,
        };
        expect(await byNode(bytes.subarray(0, end))).toEqual([same]);
      }),
      { numRuns: 3000 },
    );
    expect(plain).toBeGreaterThan(500);
  });
});

function manyFields(count: number): string {
  return Array.from({ length: count }, (_, index) => `x-${index}: y\r\n`).join('');
}

/** Where the lines begin in which a header may be put. */
function lineStarts(): number[] {
  const head = FIRST.slice(0, -'\r\nbody'.length);
  return [...head.matchAll(/\r\n/g)].map(({ index }) => index + 2);
}
