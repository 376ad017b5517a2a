import { ChangeReader } from '../../../../src/sdk/map/change-reader.js';

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

function newReader(): ChangeReader<string> {
  return new ChangeReader(
    (key, value) => `${key}=${String(value)}`,
    () => undefined,
  );
}

async function taken(reader: ChangeReader<string>): Promise<readonly string[]> {
  const all: string[] = [];
  reader.changed('/end', undefined, bytes('.'));
  for await (const change of reader) {
    if (change === '/end=.') break;
    all.push(change);
  }
  return all;
}

describe('a reader of changes (docs/sdk-streams.md)', () => {
  it('gets them in order; of several changes of a key only the last, in its place', async () => {
    const reader = newReader();
    reader.changed('/a', undefined, bytes('1'));
    reader.changed('/b', undefined, bytes('2'));
    reader.changed('/a', bytes('1'), bytes('3'));
    expect(await taken(reader)).toEqual(['/b=2', '/a=3']);
  });

  it('gets nothing of a key that came and went, or is as it was', async () => {
    const reader = newReader();
    reader.changed('/a', undefined, bytes('1'));
    reader.changed('/a', bytes('1'), undefined);
    reader.changed('/b', bytes('old'), bytes('new'));
    reader.changed('/b', bytes('new'), bytes('old'));
    reader.changed('/c', bytes('1'), undefined);
    expect(await taken(reader)).toEqual(['/c=undefined']);
  });

  it('gets the differences of a snapshot', async () => {
    const reader = newReader();
    const before = new Map([
      ['/same', bytes('1')],
      ['/gone', bytes('2')],
      ['/other', bytes('3')],
    ]);
    const after = new Map([
      ['/same', bytes('1')],
      ['/other', bytes('4')],
      ['/new', bytes('5')],
    ]);
    reader.replaced(before, after);
    expect(await taken(reader)).toEqual(['/gone=undefined', '/other=4', '/new=5']);
  });

  it('one that waits gets each change at once', async () => {
    const reader = newReader();
    const [first, second] = [reader.next(), reader.next()];
    reader.changed('/a', undefined, bytes('1'));
    reader.changed('/a', bytes('1'), undefined);
    expect([await first, await second]).toEqual([
      { done: false, value: '/a=1' },
      { done: false, value: '/a=undefined' },
    ]);
  });

  it('ends when the map is closed: what waits is dropped', async () => {
    const reader = newReader();
    reader.changed('/a', undefined, bytes('1'));
    reader.end(null);
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  it('after an error of the map, rejects once, after what came before', async () => {
    const reader = newReader();
    reader.changed('/a', undefined, bytes('1'));
    reader.end(new Error('too large'));
    expect(await reader.next()).toEqual({ done: false, value: '/a=1' });
    await expect(reader.next()).rejects.toThrow('too large');
    expect(await reader.next()).toEqual({ done: true, value: undefined });
    const waiting = newReader();
    const next = waiting.next();
    waiting.end(new Error('too large'));
    await expect(next).rejects.toThrow('too large');
  });
});
