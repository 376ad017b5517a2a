import { PassThrough } from 'node:stream';

import { failure } from '../../../src/admin/http/answer.js';
import { writeAnswer } from '../../../src/admin/io/raw-answer.js';

/** What is sent, and whether the connection then ends. */
function sent(
  headers: Readonly<Record<string, string>>,
  keepAliveMs: number | null,
): { readonly fields: readonly string[]; readonly ends: boolean } {
  const raw = new PassThrough();
  let ends = false;
  const destroySoon = (): void => {
    ends = true;
  };
  const answer = failure('ERR_HTTP_NO_REPLY', 'no room', headers);
  writeAnswer({ raw, destroySoon }, answer, keepAliveMs, () => undefined);
  const text = String(raw.read());
  const fields = text.split('\r\n').filter((line) => /^(connection|keep-alive):/i.test(line));
  return { fields, ends };
}

describe('an answer to a request with a repeated head', () => {
  it('says once whether the connection is kept, and does so', () => {
    const kept = ['Connection: keep-alive', 'Keep-Alive: timeout=5'];
    expect(sent({}, 5000)).toEqual({ fields: kept, ends: false });
    expect(sent({ 'retry-after': '1' }, 5000)).toEqual({ fields: kept, ends: false });
    const closed = { fields: ['connection: close'], ends: true };
    expect(sent({}, null)).toEqual(closed);
    expect(sent({ connection: 'close' }, 5000)).toEqual(closed);
    expect(sent({ connection: 'close' }, null)).toEqual(closed);
  });
});
