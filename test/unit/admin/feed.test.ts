/** How what arrives over HTTP is given to the parser. */
import { Socket } from 'node:net';

import { FedSocket, Feeds } from '../../../src/admin/io/feed.js';
import { Holdings } from '../../../src/core/holdings.js';

const HEAD = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';

function connection(): { raw: Socket; fed: FedSocket } {
  const raw = new Socket();
  return { raw, fed: new FedSocket(raw, new Feeds(), new Holdings(), 'a', () => undefined) };
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

describe('a connection that is not asked for more', () => {
  it.each([
    ['16 KiB', 1, 16_384],
    ['64 pieces, each a record of TLS,', 64, 1],
  ])('reads no more of its socket when %s wait', (_what, pieces, bytes) => {
    const { raw, fed } = connection();
    for (let left = pieces; left > 0; left--) {
      expect(raw.isPaused()).toBe(false);
      raw.emit('data', Buffer.alloc(bytes, 'x'));
    }
    expect(raw.isPaused()).toBe(true);
    fed.resume().read();
    expect(raw.isPaused()).toBe(false);
  });
});
