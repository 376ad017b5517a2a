import fc from 'fast-check';

import { loadConfig } from '../../../src/config/io/load.js';
import { readYaml } from '../../../src/config/io/yaml.js';
import { load, problemsOf } from './support.js';

describe('hostile YAML', () => {
  const cases: readonly [string, string, RegExp][] = [
    ['brackets in brackets', '['.repeat(100_000), /nested too deeply/],
    ['lists in lists', '- '.repeat(100_000), /nested too deeply/],
    ['keys of keys', '? '.repeat(100_000), /nested too deeply/],
    [
      'a staircase',
      Array.from({ length: 600 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      /nested too deeply/,
    ],
    [
      'aliases of aliases',
      `a0: &a0 [x, x, x, x, x, x, x, x]\n${Array.from(
        { length: 12 },
        (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n}, `.repeat(8)}]`,
      ).join('\n')}`,
      /more than 10000 values/,
    ],
    ['an alias of what it is in', 'a: &a {b: *a}', /nested deeper than 32/],
    ['an alias of nothing', 'node: {name: *a}', /is an undefined alias/],
    ['a tag of another language', 'node: !!js/function x', /Unresolved tag/],
    ['several documents', 'a: 1\n---\nb: 1\n', /multiple documents/],
    ['a map as a key', '? {a: 1}\n: 1', /a key must be a plain word/],
    ['a row of quotes', '"'.repeat(50_000), /FILE:1:/],
  ];

  it.each(cases)('%s: an error with its place', (_, text, expected) => {
    expect(problemsOf({ text }).join('\n')).toMatch(expected);
  });

  it('cannot reach a prototype', () => {
    const text = '__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}\n';
    const inner = 'node: {__proto__: {name: x}, toString: 1}\n';
    expect(problemsOf({ text: text + inner })).toEqual([
      'FILE:1:1: __proto__: unknown key',
      'FILE:2:1: constructor: unknown key',
      'FILE:3:8: node.__proto__: unknown key',
      'FILE:3:30: node.toString: unknown key',
    ]);
    expect(problemsOf({ sets: ['__proto__.polluted=1', 'node.__proto__=1'] })).toHaveLength(2);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('may use an alias where a value is meant twice', () => {
    const text = 'broker: {requestTtlMs: &t 7, busyTimeoutMs: *t}';
    expect(load({ text }).config.broker).toMatchObject({ requestTtlMs: 7, busyTimeoutMs: 7 });
  });
});

describe('arbitrary input', () => {
  const words = fc.constantFrom(
    ...'broker limits listen http.token : - [ ] { } , & * ! # | > \' " % @ ` ~ ? << a 1 1.5'.split(
      ' ',
    ),
    ...['\n', '  ', '\t', ': ', '- ', '&a ', '*a', '!!set ', '!!binary ', '---\n', '__proto__: '],
  );
  const yamlish = fc.array(words, { maxLength: 60 }).map((parts) => parts.join(''));
  const text = fc.oneof(fc.string({ unit: 'binary' }), yamlish);

  it('ends in a configuration or in ERR_CONFIG_INVALID, never in anything else', () => {
    fc.assert(
      fc.property(text, (yaml) => {
        problemsOf({ environment: { MAJORDOMO_BROKER__LISTEN: yaml } });
        problemsOf({ sets: [yaml, `limits.frames=${yaml}`, `bstar.curve=${yaml}`] });
      }),
      { numRuns: 1000 },
    );
  });

  it('is read as a file the same way', () => {
    fc.assert(
      fc.property(text, (yaml) => {
        problemsOf({ text: yaml });
      }),
      { numRuns: 300 },
    );
  });

  it('is a tree or a problem with a place, for any JSON value too', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (json) => {
        const { problems } = readYaml(json, () => ({ source: 'file', place: 'p' }));
        expect(problems.every(({ place, message }) => place === 'p' && message !== '')).toBe(true);
        try {
          loadConfig({ sets: [`node.name=${json}`] });
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
        }
      }),
      { numRuns: 300, examples: [['{"length":{}}'], ['[{"length":{}}]']] },
    );
  });
});
