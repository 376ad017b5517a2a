import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

import { readBytes } from '../../../src/admin/io/body.js';

/** What is read of a body of these chunks, of which so many are wanted. */
async function read(chunks: readonly string[], wanted: number): Promise<string> {
  const request = new IncomingMessage(new Socket());
  let left = wanted;
  const bytes = readBytes(
    request,
    () => undefined,
    1000,
    () => left-- > 0,
  );
  for (const chunk of chunks) request.push(chunk);
  request.push(null);
  return String(await bytes);
}

describe('a body', () => {
  it('is all of its chunks', async () => expect(await read(['a', 'b', 'c'], 3)).toBe('abc'));

  it('that is not wanted any more is read without being kept', async () => {
    expect(await read(['a', 'b', 'c'], 2)).toBe('');
  });
});
