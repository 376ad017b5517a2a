import fc from 'fast-check';

import { escapeName } from '../../../src/core/escape.js';
import { GlobSet, isGlob } from '../../../src/core/glob.js';

function matches(pattern: string, name: string | Buffer): boolean {
  const bytes = Buffer.from(name);
  const around = Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')]);
  return GlobSet.of([pattern]).matches(around, 1, 1 + bytes.length);
}

describe('a glob over names of services', () => {
  it.each([
    ['*', 'anything', true],
    ['pay.*', 'pay.card', true],
    ['pay.*', 'pay', false],
    ['pay.?', 'pay.x', true],
    ['pay.?', 'pay.xy', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['**', 'x', true],
    ['echo', 'echo', true],
    ['echo', 'Echo', false],
    ['100%25', '100%', true],
    ['%2A', '*', true],
    ['%2A', 'x', false],
    ['ü*', 'über', true],
  ])('%s over %s: %s', (pattern, name, expected) => expect(matches(pattern, name)).toBe(expected));

  it('is no glob when it is empty, or a percent sign begins no byte', () => {
    expect(['', '%', '%4', '%zz', 'a%'].map(isGlob)).toEqual([false, false, false, false, false]);
    expect(() => GlobSet.of(['%'])).toThrow(TypeError);
  });

  it('spells out every name as it is shown (D3)', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(bytes, (name) => {
        const shown = escapeName(name).replaceAll('*', '%2A').replaceAll('?', '%3F');
        expect(matches(shown, Buffer.from(name))).toBe(true);
        expect(matches(`${shown}x`, Buffer.from(name))).toBe(false);
      }),
    );
  });

  it('agrees with a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), minLength: 1 });
    fc.assert(
      fc.property(pattern, text, (glob, name) => {
        const regex = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(matches(glob, name)).toBe(regex.test(name));
      }),
    );
  });
});

describe('a set of globs', () => {
  it('knows that it has all or none', () => {
    expect([GlobSet.all.isAll, GlobSet.none.isNone]).toEqual([true, true]);
    expect(GlobSet.of(['a', '*']).isAll).toBe(true);
    expect(GlobSet.none.matches(Buffer.from('a'), 0, 1)).toBe(false);
  });

  it('names the glob that decided', () => {
    const set = GlobSet.of(['echo', 'pay.*']);
    expect(set.matching(Buffer.from('pay.x'))).toBe('pay.*');
    expect(set.matching(Buffer.from('x'))).toBeNull();
  });
});
