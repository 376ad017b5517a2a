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

  it('that is large is put in its place when a part of it has come; its memory is counted once', async () => {
    const request = new IncomingMessage(new Socket());
    const chunks = Array.from({ length: 20 }, (_, at) => Buffer.alloc(10_000, at));
    const whole = Buffer.concat(chunks);
    request.headers['content-length'] = String(whole.length);
    const kept: number[] = [];
    const place = Buffer.alloc(whole.length);
    const asked: number[] = [];
    const bytes = readBytes(
      request,
      () => undefined,
      whole.length,
      (more) => kept.push(more) > 0,
      (size) => {
        asked.push(size);
        return place;
      },
    );
    for (const chunk of chunks) request.push(Buffer.from(chunk));
    request.push(null);
    expect(await bytes).toBe(place);
    expect(place.equals(whole)).toBe(true);
    expect(asked).toEqual([whole.length]);
    expect(kept.slice(0, 3)).toEqual([10_000, whole.length - 10_000, 0]);
    expect(kept.reduce((sum, each) => sum + each)).toBe(whole.length);
  });
});
