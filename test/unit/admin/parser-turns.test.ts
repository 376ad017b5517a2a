/** How what arrives over HTTP is given to the parser. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import {
  type Direct,
  type FedHost,
  FedSocket,
  ParserTurns,
} from '../../../src/admin/io/parser-turns.js';
import { Holdings } from '../../../src/core/holdings.js';
import { Shortcut } from '../../../src/core/shortcut.js';

const HEAD = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';

function connection(
  turns = new ParserTurns(),
  holdings = new Holdings(),
  repeating = new Shortcut(),
  told: Partial<FedHost> = {},
): { raw: Socket; fed: FedSocket } {
  const raw = new Socket();
  const host: FedHost = {
    silentMs: 5000,
    direct: () => direct(() => 0),
    serve: () => undefined,
    silent: () => undefined,
    gone: () => undefined,
    overflow: () => undefined,
    ...told,
  };
  return { raw, fed: new FedSocket(raw, turns, holdings, 'a', host, repeating) };
}

function direct(begin: Direct['begin'], keep: Direct['keep'] = () => undefined): Direct {
  return { begin, keep, end: () => undefined };
}

/** What the parser gets at once, if what the socket reads comes in these pieces. */
function slicesOf(...pieces: readonly string[]): string[] {
  const { raw, fed } = connection();
  const slices: string[] = [];
  fed.on('data', (slice: Buffer) => slices.push(String(slice)));
  fed.read();
  for (const piece of pieces) raw.emit('data', Buffer.from(piece));
  return slices;
}

describe('heads that arrive at once', () => {
  it('are given one at a time', () => {
    expect(slicesOf(HEAD + HEAD + HEAD)).toEqual([HEAD, HEAD, HEAD]);
  });

  it.each([1, 2, 3])('are so if the end of the first came in pieces of %i bytes', (size) => {
    const first = HEAD.slice(0, -1);
    const pieces = first.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
    const slices = slicesOf(...pieces, `\n${HEAD}${HEAD}`);
    expect(slices.slice(pieces.length)).toEqual(['\n', HEAD, HEAD]);
  });
});

it('a head is not given to the parser once no more can be answered', () => {
  const { raw, fed } = connection();
  const slices: string[] = [];
  fed.on('data', (slice: Buffer) => slices.push(String(slice)));
  fed.end().read();
  raw.emit('data', Buffer.from(HEAD));
  expect(slices).toEqual([]);
});

describe('a connection that is not asked for more', () => {
  it.each([
    ['16 KiB', 1, 16_384],
    ['64 pieces, each a record of TLS,', 64, 1],
  ])('reads no more of its socket when %s wait', async (_what, pieces, bytes) => {
    const { raw, fed } = connection();
    for (let left = pieces; left > 0; left--) {
      expect(raw.isPaused()).toBe(false);
      raw.emit('data', Buffer.alloc(bytes, 'x'));
    }
    expect(raw.isPaused()).toBe(true);
    fed.resume().read();
    await new Promise(process.nextTick);
    expect(raw.isPaused()).toBe(false);
  });
});

it('a connection that waits in the line reads no more than 16 KiB, which count, until its turn', async () => {
  const [turns, holdings] = [new ParserTurns(), new Holdings()];
  const { raw, fed } = connection(turns, holdings);
  const alone = holdings.bytes;
  const slices: Buffer[] = [];
  fed.on('data', (slice: Buffer) => slices.push(slice));
  fed.read();
  // Others have used up this turn.
  turns.charge(10_000);
  let sent = 0;
  while (!raw.isPaused() && sent < 100_000) {
    raw.emit('data', Buffer.alloc(1000, 'x'));
    sent += 1000;
    expect(holdings.bytes - alone).toBe(sent);
  }
  expect([sent, slices]).toEqual([17_000, []]);
  await new Promise(setImmediate);
  expect(Buffer.concat(slices).length).toBe(sent);
  expect([raw.isPaused(), holdings.bytes]).toEqual([false, alone]);
});

describe('a connection that Node does not know', () => {
  it('is served by Node from the first bytes on that are for Node, and until then begins requests without', () => {
    const events: string[] = [];
    const { raw, fed } = connection(undefined, undefined, undefined, {
      direct: () =>
        direct((bytes) => {
          events.push(`begun? ${String(bytes)}`);
          return bytes[0] === 0x64 ? 1 : 0;
        }),
      serve: (served) => {
        events.push('served');
        served.on('data', (slice: Buffer) => events.push(String(slice)));
      },
    });
    raw.emit('data', Buffer.from(`dd${HEAD}`));
    fed.directAnswered();
    fed.directAnswered();
    expect(events).toEqual([`begun? dd${HEAD}`, `begun? d${HEAD}`, `begun? ${HEAD}`, 'served']);
    fed.read();
    return new Promise(setImmediate).then(() => expect(events.slice(4)).toEqual([HEAD]));
  });

  it('tells its server when nothing has come for too long, but not while a request is answered', () => {
    const silent: boolean[] = [];
    const { raw, fed } = connection(undefined, undefined, undefined, {
      direct: () => direct(({ length }) => length),
      silent: (_fed, isNew) => silent.push(isNew),
    });
    raw.emit('timeout');
    raw.emit('data', Buffer.from('d'));
    raw.emit('timeout');
    expect(silent).toEqual([true]);
    fed.directAnswered();
    raw.emit('timeout');
    expect(silent).toEqual([true, false]);
  });

  it('tells its server that it is gone', () => {
    let gone = 0;
    connection(undefined, undefined, undefined, { gone: () => gone++ }).fed.destroy();
    expect(gone).toBe(1);
  });
});

describe('a request that is begun without Node', () => {
  const POST = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n';

  /** A connection whose first request is answered. */
  function repeatable(
    headers: object = {},
    turns?: ParserTurns,
    node: { readonly shown?: unknown; readonly repeating?: Shortcut } = {},
  ): {
    readonly raw: Socket;
    readonly fed: FedSocket;
    readonly slices: string[];
    readonly begun: string[];
  } {
    const slices: string[] = [];
    const begun: string[] = [];
    let isKept = false;
    const begin = (bytes: Buffer): number => {
      const end = POST.length + 2;
      const text = bytes.toString('latin1', 0, end);
      if (!isKept || !text.startsWith(POST) || text.length < end) return 0;
      begun.push(text.slice(POST.length));
      return end;
    };
    const keep = (): void => {
      isKept = true;
    };
    const told = { direct: () => direct(begin, keep) };
    const { raw, fed } = connection(turns, new Holdings(), node.repeating, told);
    const request = new IncomingMessage(raw);
    request.headers = { 'content-length': '2', ...headers };
    request.headersDistinct = { 'content-length': ['2'] };
    request.complete = true;
    const response = new ServerResponse(request);
    fed.once('data', () => {
      // As Node does.
      Reflect.set(fed, '_httpMessage', 'shown' in node ? node.shown : response);
      fed.enter(request, response, () => fed.repeat({} as never, {}));
    });
    fed.on('data', (slice: Buffer) => slices.push(String(slice)));
    fed.read();
    raw.emit('data', Buffer.from(POST));
    Reflect.set(fed, '_httpMessage', null);
    response.emit('close');
    slices.length = 0;
    return { raw, fed, slices, begun };
  }

  it('is not given to the parser, nor is what comes while it is answered', () => {
    const { raw, fed, slices, begun } = repeatable();
    raw.emit('data', Buffer.from(`${POST}ab`));
    raw.emit('data', Buffer.from(`${POST}cd${HEAD}`));
    expect([begun, slices]).toEqual([['ab'], []]);
    fed.directAnswered();
    expect([begun, slices]).toEqual([['ab', 'cd'], []]);
    fed.directAnswered();
    expect(slices).toEqual([HEAD]);
  });

  it.each([null, undefined, 7, 'response', {}, { finished: false }])(
    'is given to the parser for good if Node shows %j as the response that is written (docs/adr/0002)',
    (shown) => {
      const repeating = new Shortcut();
      const { raw, begun, slices } = repeatable({}, undefined, { shown, repeating });
      expect(repeating.reason).toContain('_httpMessage');
      raw.emit('data', Buffer.from(`${POST}ab`));
      expect([begun, slices]).toEqual([[], [POST, 'ab']]);
      const later = repeatable({}, undefined, { repeating });
      later.raw.emit('data', Buffer.from(`${POST}ab`));
      expect(later.begun).toEqual([]);
    },
  );

  it('is begun alone if its client has left while it waited in the line', async () => {
    const turns = new ParserTurns();
    const { raw, fed, begun } = repeatable({}, turns);
    turns.charge(10_000);
    raw.emit('data', Buffer.from(`${POST}ab${POST}cd`));
    raw.emit('end');
    await new Promise(setImmediate);
    fed.directAnswered();
    expect(begun).toEqual(['ab']);
  });

  it('is given to the parser if its body comes later', () => {
    const { raw, slices, begun } = repeatable();
    for (const piece of [POST, 'a', 'b']) raw.emit('data', Buffer.from(piece));
    expect([begun, slices[0]]).toEqual([[], POST]);
  });

  it('belongs to the head of which the parser has a part', () => {
    const { raw, slices, begun } = repeatable();
    for (const piece of ['GET / HTTP/1.1\r\nX: ', `${POST}ab`]) {
      raw.emit('data', Buffer.from(piece));
    }
    expect([begun, slices]).toEqual([[], ['GET / HTTP/1.1\r\nX: ', POST, 'ab']]);
  });

  it('is given to the parser after a body in chunks, with which a part of a head may have gone', () => {
    const { raw, slices, begun } = repeatable({ 'transfer-encoding': 'chunked' });
    raw.emit('data', Buffer.from(`${POST}ab`));
    expect([begun, slices]).toEqual([[], [POST, 'ab']]);
  });

  it('does not time out while it waits for its answer', () => {
    const { raw, fed } = repeatable();
    let timeouts = 0;
    fed.on('timeout', () => timeouts++);
    raw.emit('data', Buffer.from(`${POST}ab`));
    raw.emit('timeout');
    expect(timeouts).toBe(0);
    fed.directAnswered();
    raw.emit('timeout');
    expect(timeouts).toBe(1);
  });
});
