import { describe, expect, it } from '@jest/globals';

import { boundaryIn, partsOf } from '../../../src/extensions/programs/parts.js';

const of = (type: string): string | null => boundaryIn({ 'content-type': [type] });

function read(text: string, most = 10): string[] | null {
  return partsOf(Buffer.from(text), 'b', most)?.map((frame) => frame.toString()) ?? null;
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

  it('has what follows the headers of each part, also nothing, and line ends within', () => {
    expect(read('--b\r\n\r\none\r\n--b\r\nX: y\r\nZ: z\r\n\r\n two\r\n\r\n--b--\r\n')).toEqual([
      ...['one', ' two\r\n'],
    ]);
    expect(read('before\r\n--b \r\n\r\none\r\n--b--after')).toEqual(['one']);
    expect(read('--b\r\n\r\n\r\n--b\r\n\r\n--b\r\nX: y\r\n\r\n\r\n--b--')).toEqual(['', '', '']);
    expect(read('--b\r\n\r\na--b\r\n-b\r\n--b--')).toEqual(['a--b\r\n-b']);
  });

  it('is null with more parts than may be', () => {
    const two = '--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--';
    expect([read(two, 2), read(two, 1)]).toEqual([['1', '2'], null]);
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
  ])('is refused if it is not whole: %j', (text) => {
    expect(() => read(text)).toThrow('body: is not multipart/mixed');
  });
});
