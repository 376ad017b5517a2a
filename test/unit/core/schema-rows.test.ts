import { comparedContracts } from '../../../src/core/schema-rows.js';

function rows(...contracts: unknown[]): string[] {
  return comparedContracts(contracts).map(
    ({ name, texts, differs }) => `${differs ? '* ' : ''}${name}: ${texts.map(String).join(' | ')}`,
  );
}

describe('a contract, in rows', () => {
  it('has every field with its type, what is allowed and what it is', () => {
    const input = {
      type: 'object',
      description: 'An order',
      properties: {
        price: { type: 'number', minimum: 0 },
        state: { enum: ['new', 7] },
        items: { type: 'array', items: { $ref: '#/$defs/item' } },
        by: { anyOf: [{ type: 'string', format: 'email' }, { type: 'null' }] },
      },
      required: ['price'],
      $defs: { item: { type: 'object', properties: { sku: { type: ['string', 'null'] } } } },
    };
    const errors = { full: true, never: false };
    expect(rows({ version: '1', contentType: 'application/json', input, errors })).toEqual([
      'version: 1',
      'input: object: An order',
      'input.price: number, minimum 0, required',
      'input.state: "new" | 7',
      'input.items: array',
      'input.items[]: object',
      'input.items[].sku: string or null',
      'input.by: string format email or null',
      'errors.full: anything',
      'errors.never: nothing',
    ]);
  });

  it('is beside others: what one has alone stands at its place, and differs', () => {
    const fields = (...names: string[]): object => ({
      input: { properties: Object.fromEntries(names.map((name) => [name, true])) },
    });
    expect(rows(fields('a', 'c'), fields('a', 'b', 'c'))).toEqual([
      'input: anything | anything',
      'input.a: anything | anything',
      '* input.b: null | anything',
      'input.c: anything | anything',
    ]);
  });

  it('says so if it differs in what no row shows', () => {
    const one = { input: { $defs: { a: true } } };
    expect(rows(one, { input: {} }).at(-1)).toMatch(/^\* \(more\)/);
  });

  it('says what type is, even if that is no string', () => {
    const input = { type: { toString: 1, valueOf: 1 }, title: { toString: 1 }, format: [{}] };
    const choice = { type: [{ toString: 1 }, 'null'] };
    expect(rows({ input: { ...input, anyOf: [choice] }, output: choice })).toEqual([
      'input: {"toString":1,"valueOf":1}, title {"toString":1}, format [{}], {"toString":1} or null',
      'output: {"toString":1} or null',
    ]);
    const [text = ''] = rows({ input: { type: [{ x: 'x'.repeat(60_000) }] } });
    expect(text.length).toBeLessThan(250);
  });

  it('says so if it has more than is shown', () => {
    expect(rows({ input: { properties: wide } }).at(-1)).toBe('(more): the rest is not shown');
    expect(rows({ input: { properties: colliding } }).at(-1)).toBe('(more): the rest is not shown');
    const twice = rows({ input: { properties: wide } }, { input: { properties: wide } });
    expect(twice.filter((row) => row.includes('(more)'))).toEqual([
      '* (more): differs in what is not shown | differs in what is not shown',
    ]);
  });

  /** Fields of fields that have the same names: `x` with `x.x` is `x.x` with `x`. */
  const colliding = Object.fromEntries(
    Array.from({ length: 5 }, (_, at) => [
      Array(at + 1)
        .fill('x')
        .join('.'),
      { $ref: '#' },
    ]),
  );
  const wide = Object.fromEntries(Array.from({ length: 3000 }, (_, at) => [`f${at}`, true]));
  it.each([
    ['no object', [7, null, []], 1],
    ['endless references', { input: { $ref: '#' } }, 1],
    ['endless fields', { input: { properties: { a: { $ref: '#' }, b: { $ref: '#' } } } }, 300],
    ['fields whose names collide', { input: { properties: colliding } }, 300],
    ['references to elsewhere', { input: { $ref: 'http://127.0.0.1/x', items: 7 } }, 2],
    ['a reference to a prototype', { input: { $ref: '#/__proto__/constructor' } }, 1],
    ['many fields', { input: { properties: wide } }, 300],
    [
      'many large choices',
      {
        input: {
          anyOf: Array.from({ length: 3000 }, () => ({ $ref: '#/$defs/a' })),
          $defs: { a: { pattern: 'x'.repeat(30_000) } },
        },
      },
      1,
    ],
  ])('is bounded, also of %s', (_what, contract, most) => {
    const all = comparedContracts([contract, contract]);
    expect(all.length).toBeLessThanOrEqual(most + 1);
    for (const { texts } of all) expect(String(texts[0]).length).toBeLessThan(250);
  });

  it('is read within one bound for all contracts of a service, in equal shares', () => {
    let reads = 0;
    const value = {
      toJSON: () => {
        reads++;
        return 'x'.repeat(20);
      },
    };
    const choices = Array.from({ length: 20 }, () => ({ $ref: '#/$defs/large' }));
    const properties = Object.fromEntries(
      Array.from({ length: 200 }, (_, at) => [`f${at}`, { anyOf: choices }]),
    );
    const large = { enum: Array<unknown>(500).fill(value) };
    const costly = { input: { properties, $defs: { large } } };
    const plain = { input: { properties: { price: { minimum: 1 } } } };
    for (const count of [1, 7]) {
      reads = 0;
      const all = comparedContracts([plain, ...Array<unknown>(count).fill(costly)]);
      expect(reads).toBeGreaterThan(10_000);
      expect(reads).toBeLessThan(100_000);
      const texts = (name: string): unknown =>
        all.find((row) => row.name === name)?.texts.slice(0, 2);
      expect(texts('input.price')).toEqual(['minimum 1', null]);
      expect(texts('(more)')).toEqual([null, 'the rest is not shown']);
    }
  });

  it('ends with names that would have no end', () => {
    const key = 'k'.repeat(400);
    const rows = comparedContracts([{ input: { properties: { [key]: { $ref: '#' } } } }]);
    expect(rows.map(({ name }) => name)).toEqual(['input', `input.${key}`, '(more)']);
  });
});
