import { type DirectHost, DirectRequests } from '../../../src/admin/io/direct.js';

const HEAD = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n';

/** The body with which a request begins that came in these bytes. */
function bodyOf(bytes: Buffer): Buffer | null {
  let begun: Buffer | null = null;
  const begins: DirectHost['begins'] = (_request, _head, body) => {
    begun = body;
    return new Promise(() => undefined);
  };
  const requests = new DirectRequests({} as never, { begins } as DirectHost);
  expect(requests.begin(bytes)).toBe(HEAD.length + 4);
  return begun;
}

it('a request that waits keeps nothing of what was read with it', () => {
  const much = bodyOf(Buffer.concat([Buffer.from(`${HEAD}body`), Buffer.alloc(60_000)]));
  expect([String(much), much?.buffer.byteLength]).toEqual(['body', 4]);
  const little = Buffer.from(new Uint8Array(Buffer.from(`${HEAD}body`)).buffer);
  expect(bodyOf(little)?.buffer).toBe(little.buffer);
});
