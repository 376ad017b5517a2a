import { Validator, type Schema } from '@cfworker/json-schema';

import { lenient } from '../../../src/cli/requests/lenient-schema.js';

function takes(schema: unknown, value: unknown): boolean {
  return new Validator(lenient(schema) as Schema, '2020-12', false).validate(value).valid;
}

describe('what a JSON Schema says for certain', () => {
  it.each<[title: string, schema: object, value: unknown]>([
    ['a pattern that may ignore case', { pattern: '^[a-z]+$' }, 'ABC'],
    ['a number as text', { type: 'integer', minimum: 3 }, ' 5 '],
    ['a number as a boolean', { type: 'number' }, true],
    ['a text as a number', { type: ['string', 'null'] }, 5],
    ['a boolean as a text', { type: 'boolean' }, 'yes'],
    ['one of several, by its case', { enum: ['EUR'] }, 'eur'],
    ['a text that is trimmed', { maxLength: 1 }, ' x '],
    ['a list as one value', { type: 'array', items: { type: 'string' } }, 'x'],
    [
      'a property by a pattern',
      { patternProperties: { '^x-': {} }, additionalProperties: false },
      { 'X-a': 1 },
    ],
    [
      'in a property named like a keyword',
      { properties: { pattern: { pattern: 'x' } } },
      { pattern: 'X' },
    ],
    ['behind a reference', { $ref: '#/$defs/a', $defs: { a: { pattern: 'x' } } }, 'X'],
    ['the opposite of a pattern', { not: { pattern: '^x' } }, 'x'],
    ['a condition with a pattern', { if: { pattern: '^x' }, then: false }, 'x'],
    [
      'alternatives that a pattern tells apart',
      { oneOf: [{ pattern: '^x' }, { pattern: '^y' }] },
      'Z',
    ],
  ])('does not refuse %s', (_title, schema, value) => expect(takes(schema, value)).toBe(true));

  it.each<[title: string, schema: object, value: unknown]>([
    ['a property that is absent', { required: ['a'] }, {}],
    ['a property that is not allowed', { properties: {}, additionalProperties: false }, { a: 1 }],
    ['words as a number', { type: 'number' }, 'x'],
    ['an object as a number', { properties: { a: { type: 'integer' } } }, { a: {} }],
    ['a list as an object', { type: 'object' }, []],
    ['too large a number', { exclusiveMaximum: 5 }, 5],
    ['what each alternative refuses', { oneOf: [{ required: ['a'] }, { required: ['b'] }] }, {}],
    ['what nothing suits', { not: {} }, 'x'],
    ['too many', { maxItems: 1 }, [1, 2]],
    ['what a reference refuses', { $ref: '#/$defs/a', $defs: { a: { type: 'object' } } }, 1],
  ])('refuses %s', (_title, schema, value) => expect(takes(schema, value)).toBe(false));
});
