/** `majordomo services export`: the document is AsyncAPI, whatever workers announced. */
import { createRequire } from 'node:module';

import { Ajv } from 'ajv';
import { z } from 'zod';

import { asyncApiOf, type Announced } from '../../../../src/cli/services/asyncapi.js';

const official = createRequire(import.meta.url)(
  '@asyncapi/specs/schemas/3.0.0-without-$id.json',
) as object;
const validate = new Ajv({ strict: false, validateFormats: false }).compile(official);

type Json = Readonly<Record<string, unknown>>;

function documentOf(...announced: readonly Announced[]): { document: Json; odd: string[] } {
  const odd: string[] = [];
  const status = { node: 'left', version: '1.2.3' };
  const made = asyncApiOf(status, 'tcp://127.0.0.1:5555', announced, (name) => odd.push(name));
  const document = JSON.parse(JSON.stringify(made)) as Json;
  validate(document);
  expect(validate.errors ?? []).toEqual([]);
  return { document, odd };
}

/** The schema of one message of the service `a`. */
function schemaOf(input: unknown): { schema: unknown; isOdd: boolean } {
  const { document, odd } = documentOf({ service: 'a', contracts: [{ input }] });
  const { schemas } = document['components'] as { readonly schemas: Json };
  return { schema: schemas['a.input'], isOdd: odd.length > 0 };
}

const at = (channel: string, ...parts: string[]): readonly object[] =>
  parts.map((part) => ({ $ref: `#/channels/${channel}/messages/${part}` }));

describe('the AsyncAPI document', () => {
  it('has each service, what it takes, and all that it answers', () => {
    const { document, odd } = documentOf(
      {
        service: 'tax.rate%20{x}_',
        contracts: [
          {
            version: '1.0',
            description: 'Takes money',
            contentType: 'application/cbor',
            input: z.toJSONSchema(z.object({ pair: z.tuple([z.string(), z.number()]) })),
            output: true,
            progress: false,
            errors: { 'too.wide': { type: 'object' }, ü: {} },
          },
        ],
      },
      { service: 'pay', contracts: [{ version: '1' }, { output: { type: 'string' } }] },
    );
    expect(odd).toEqual([]);
    const key = 'tax.rate_20_7Bx_7D__';
    expect(document).toMatchObject({
      info: { title: 'Services of left', version: '1.2.3' },
      servers: { broker: { host: '127.0.0.1:5555', protocol: 'mdp', protocolVersion: '0.2' } },
      channels: { [key]: { address: 'tax.rate%20%7Bx%7D_' }, pay: { address: 'pay' } },
      operations: {
        [key]: {
          action: 'receive',
          description: 'Takes money',
          messages: at(key, 'input'),
          reply: { messages: at(key, 'output', 'progress', 'error-too_2Ewide', 'error-_C3_BC') },
        },
        pay: {
          messages: at('pay', 'input', '2-input'),
          reply: { messages: at('pay', 'output', '2-output') },
        },
      },
      components: {
        messages: {
          [`${key}.input`]: {
            title: 'Request (version 1.0) of tax.rate%20{x}_',
            contentType: 'application/cbor',
            payload: { $ref: `#/components/schemas/${key}.input` },
          },
          [`${key}.error-too_2Ewide`]: { contentType: 'application/json' },
        },
        schemas: {
          [`${key}.input`]: {
            properties: { pair: { items: [{ type: 'string' }, { type: 'number' }] } },
          },
          [`${key}.progress`]: { not: {} },
        },
      },
    });
  });

  it('is refused by the official schema if it is none', () => {
    const { document } = documentOf({ service: 'pay', contracts: [{}] });
    expect(validate({ ...document, operations: { pay: { action: 'answer' } } })).toBe(false);
    expect(validate({ ...document, info: {} })).toBe(false);
  });

  it('has references that lead to places in the same schema, and no others', () => {
    const place = '#/components/schemas/a.input';
    expect(
      schemaOf({
        $defs: { tree: { properties: { next: { $ref: '#' }, $ref: { $ref: '#/$defs/tree' } } } },
      }),
    ).toEqual({
      isOdd: false,
      schema: {
        $defs: {
          tree: {
            properties: { next: { $ref: place }, $ref: { $ref: `${place}/$defs/tree` } },
          },
        },
      },
    });
    for (const out of ['file:///etc/passwd', 'http://x/y', '#/nothing', '#anchor', 'x.json', 7]) {
      const data = { $ref: out };
      const hostile = { not: data, default: data, examples: [[data]], unknown: { deep: data } };
      const { schema, isOdd } = schemaOf(hostile);
      expect(isOdd).toBe(true);
      expect(JSON.stringify(schema)).not.toContain('$ref');
    }
  });

  it('leaves out what is no JSON Schema', () => {
    const wrong = {
      ...{
        type: 'text',
        required: 'all',
        properties: { a: 1, b: { type: ['null', 7] } },
        items: 3,
      },
      ...{ minLength: -1, pattern: '(', allOf: [], enum: 'x', additionalProperties: 'no' },
      ...{ title: 1, dependencies: 5, discriminator: {}, multipleOf: 0, $defs: [], if: [] },
    };
    expect(schemaOf(wrong)).toEqual({ isOdd: true, schema: { properties: { b: {} } } });
    expect(schemaOf('text')).toEqual({ isOdd: true, schema: {} });
    const odd = JSON.parse('{"properties":{"__proto__":{"type":"string"}},"schema":1}') as unknown;
    expect(JSON.stringify(schemaOf(odd).schema)).toBe(
      '{"properties":{"__proto__":{"type":"string"}}}',
    );
  });

  it('has the same key for no two names', () => {
    const names = ['a_b', 'a%5Fb', 'a__b', 'a%b', 'a/b', 'a.b', '__proto__', 'a.input', 'a'];
    const contracts = [{ errors: { input: {}, 'a.b': {} } }, { errors: { '2-input': {} } }];
    const { document } = documentOf(...names.map((service) => ({ service, contracts })));
    const { messages } = document['components'] as { readonly messages: Json };
    expect(Object.keys(document['channels'] as Json)).toHaveLength(names.length);
    expect(Object.keys(messages)).toHaveLength(names.length * 7);
  });
});
