import { Frames } from '../../../src/core/frames.js';
import { addParts, boundaryIn } from '../../../src/extensions/programs/parts.js';

const of = (type: string): string | null => boundaryIn({ 'content-type': [type] });

async function read(text: string, most = 10): Promise<string[] | null> {
  const frames = Frames.of('head');
  const areAll = await addParts(Buffer.from(text), 'b', frames, most + 1);
  return areAll ? frames.copyFrom(1).map(String) : null;
}

describe('a body of several frames', () => {
  it('is one of multipart/mixed, with its boundary', () => {
    expect(of('multipart/mixed; boundary=abc')).toBe('abc');
    expect(of('Multipart/Mixed; charset=x; Boundary="a b?c"')).toBe('a b?c');
    for (const type of ['text/plain', 'multipart/form-data; boundary=a', 'multipart/mixedly']) {
      expect(of(type)).toBeNull();
    }
    expect(boundaryIn({})).toBeNull();
    for (const type of ['', '; boundary=', '; boundary="a "', `; boundary=${'a'.repeat(71)}`]) {
      expect(() => of(`multipart/mixed${type}`)).toThrow('boundary');
    }
  });

  it('has what follows the headers of each part, also nothing, and line ends within', async () => {
    expect(
      await read('--b\r\n\r\none\r\n--b\r\nX: y\r\nZ: z\r\n\r\n two\r\n\r\n--b--\r\n'),
    ).toEqual([...['one', ' two\r\n']]);
    expect(await read('before\r\n--b \r\n\r\none\r\n--b--after')).toEqual(['one']);
    expect(await read('--b\r\n\r\n\r\n--b\r\n\r\n--b\r\nX: y\r\n\r\n\r\n--b--')).toEqual([
      '',
      '',
      '',
    ]);
    expect(await read('--b\r\n\r\na--b\r\n-b\r\n--b--')).toEqual(['a--b\r\n-b']);
  });

  it('is null with more parts than may be', async () => {
    const two = '--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--';
    expect(await Promise.all([read(two, 2), read(two, 1)])).toEqual([['1', '2'], null]);
  });

  it('of very many parts is read in slices, so that others have their turns', async () => {
    let turns = 0;
    const count = (): void => {
      turns++;
      immediate = setImmediate(count);
    };
    let immediate = setImmediate(count);
    const parts = 20_000;
    const frames = await read(`${'--b\r\n\r\n\r\n'.repeat(parts)}--b--`, parts);
    clearImmediate(immediate);
    expect([frames?.length, turns >= parts / 1000]).toEqual([parts, true]);
  });

  it.each([
    ...['', 'one', '--b--', '--b', '--b\r\n', '--b\r\n\r\none', '--b\r\n\r\none\r\n--b'],
    ...[
      '--b\r\nnone\r\n--b--',
      '--bx\r\n\r\none\r\n--b--',
      '--b\r\n--b--',
      '\r\n--',
      '--c\r\n\r\n1\r\n--c--',
    ],
  ])('is refused if it is not whole: %j', async (text) => {
    await expect(read(text)).rejects.toThrow('body: is not multipart/mixed');
  });
});
