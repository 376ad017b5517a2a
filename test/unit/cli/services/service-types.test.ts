/** `majordomo services export --typescript` and `--python`: the types of what workers announce, whatever that is. */
import { z } from 'zod';

import { escapeName } from '../../../../src/core/escape.js';
import type { Announced } from '../../../../src/cli/services/asyncapi.js';
import { moduleOf, PYTHON, TYPESCRIPT } from '../../../../src/cli/services/service-types.js';

interface Modules {
  readonly typescript: string;
  readonly python: string;
  readonly odd: readonly string[];
}

function modulesOf(...announced: readonly Announced[]): Modules {
  const odd = new Set<string>();
  const [typescript = '', python = ''] = [TYPESCRIPT, PYTHON].map((language) =>
    moduleOf(language, announced, (service, why) => odd.add(`${service}: ${why}`)),
  );
  return { typescript, python, odd: [...odd] };
}

/** The types of an input in both languages, and what they need. */
function inputOf(input: unknown): readonly [typescript: string, python: string] {
  const { typescript, python } = modulesOf({ service: 'a', contracts: [{ input }] });
  const [, ofTypescript = ''] = /readonly input: (.*) \};\n/.exec(typescript) ?? [];
  const [, ofPython = ''] = /^A: TypedService\[(.*), Any\]/m.exec(python) ?? [];
  return [ofTypescript, ofPython];
}

const Rate = z.object({
  rate: z.number(),
  'zip-code': z.int().optional(),
  unit: z.enum(['%', '']).nullable(),
});

describe('the types of services', () => {
  it('are a contract for defineService, and a TypedService for each', () => {
    const contract = {
      version: '2',
      description: 'The rate */ of a\ncountry',
      input: z.toJSONSchema(
        z.object({ country: z.string(), tags: z.array(z.string()).optional() }),
      ),
      output: z.toJSONSchema(z.object({ rate: z.number(), of: z.literal('all').nullable() })),
      progress: { type: 'integer' },
      errors: { 'no-such': z.toJSONSchema(z.object({ country: z.string() })) },
    };
    const { typescript, python } = modulesOf({ service: 'tax.rate', contracts: [contract] });
    expect(typescript)
      .toBe(`// Written by \`majordomo services export\`: what the workers of a broker announced.
import { defineService } from 'majordomo-sdk';

export interface TaxRateInput {
  readonly country: string;
  readonly tags?: readonly (string)[];
}

export interface TaxRateOutput {
  readonly rate: number;
  readonly of: "all" | null;
}

export interface TaxRateErrorNoSuch {
  readonly country: string;
}

export const services = defineService<{
  /** The rate * / of a\uFFFDcountry */
  readonly "tax.rate": { readonly input: TaxRateInput; readonly output: TaxRateOutput; readonly progress: number; readonly errors: { readonly "no-such": TaxRateErrorNoSuch } };
}>();
`);
    expect(python)
      .toBe(`# Written by \`majordomo services export\`: what the workers of a broker announced.
from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Optional, Union, cast

from majordomo_client import TypedService


@dataclass
class TaxRateInput:
    country: str
    tags: Optional[List[str]] = None


@dataclass
class TaxRateOutput:
    rate: float
    of: Optional[Literal["all"]]


@dataclass
class TaxRateErrorNoSuch:
    country: str


TAX_RATE: TypedService[TaxRateInput, TaxRateOutput] = TypedService(
    "tax.rate",
    TaxRateInput,
    TaxRateOutput,
    errors={
        "no-such": TaxRateErrorNoSuch,
    },
    progress=int,
    version="2",
    description="The rate */ of a\\u000acountry",
)
`);
  });

  it.each<[schema: unknown, typescript: string, python: string]>([
    [true, 'unknown', 'Any'],
    [{}, 'unknown', 'Any'],
    [{ type: ['string', 'null'] }, 'string | null', 'Optional[str]'],
    [{ type: 'array' }, 'readonly (unknown)[]', 'List[Any]'],
    [{ type: 'array', prefixItems: [{ type: 'string' }] }, 'readonly (unknown)[]', 'List[Any]'],
    [
      { enum: [1, 'b', true, null] },
      '1 | "b" | true | null',
      'Optional[Union[Literal[1], Literal["b"], Literal[True]]]',
    ],
    [{ enum: [1.5, 1e300] }, '1.5 | 1e+300', 'float'],
    [{ const: { a: 1 } }, 'unknown', 'Any'],
    [{ enum: [] }, 'unknown', 'Any'],
    [{ oneOf: [{ type: 'string' }, {}] }, 'unknown', 'Any'],
    [{ anyOf: [{ type: 'integer' }, { type: 'number' }] }, 'number', 'Union[int, float]'],
    [
      { type: 'object', additionalProperties: { type: 'boolean' } },
      '{ readonly [key: string]: boolean }',
      'Dict[str, bool]',
    ],
    [{ allOf: [{ type: 'string' }] }, 'string', 'str'],
    [{ allOf: [{ minLength: 1 }, {}], type: 'string' }, 'string', 'str'],
    [{ $ref: '#/$defs/Ü', $defs: { Ü: { type: 'string' } } }, 'string', 'str'],
    [{ $ref: 'file:///etc/passwd' }, 'unknown', 'Any'],
    [{ $ref: '#' }, 'unknown', 'Any'],
    [{ type: 'toString' }, 'unknown', 'Any'],
    [z.toJSONSchema(Rate), 'AInput', 'Dict[str, Any]'],
    [{ properties: { class: {} } }, 'AInput', 'Dict[str, Any]'],
    [{ properties: { __post_init__: {} } }, 'AInput', 'Dict[str, Any]'],
    [{ properties: { str: {}, a: { type: 'string' } } }, 'AInput', 'Dict[str, Any]'],
  ])('of %j are %s and %s', (schema, typescript, python) => {
    const [one, other] = inputOf(schema).map((type) => type.replace(/^(unknown|Any)$/, '$1'));
    expect([one, other]).toEqual([typescript, python]);
  });

  it('have the properties of all that an object must be', () => {
    const { typescript } = modulesOf({
      service: 'a',
      contracts: [
        {
          input: {
            $defs: { B: { properties: { b: { type: 'string' } }, required: ['b'] } },
            allOf: [{ $ref: '#/$defs/B' }, { allOf: [{ properties: { c: {} } }] }],
            properties: { a: { type: 'null' } },
          },
        },
      ],
    });
    expect(typescript).toContain(
      'interface AInput {\n  readonly b: string;\n  readonly c?: unknown;\n  readonly a?: null;\n}',
    );
  });

  it('contain themselves in TypeScript, and anything in Python', () => {
    const tree = {
      $ref: '#/$defs/Tree',
      $defs: {
        Tree: {
          properties: { all: { type: 'array', items: { $ref: '#/$defs/Tree' } } },
          required: ['all'],
        },
      },
    };
    const { typescript, python } = modulesOf({ service: 'a', contracts: [{ input: tree }] });
    expect(typescript).toContain(
      'interface AInputTree {\n  readonly all: readonly (AInputTree)[];\n}',
    );
    expect(python).toContain('class AInputTree:\n    all: List[Any]\n');
  });

  it('have names of their own, also if services or fields have the same letters', () => {
    const input = { properties: { a: {} } };
    const services = ['a.b', 'a-b', '7', '%C3%BC'];
    const { typescript, python } = modulesOf(
      ...services.map((service) => ({ service, contracts: [{ input }] })),
    );
    expect(typescript.match(/(?<=interface )\w+/g)).toEqual([
      'ABInput',
      'ABInput2',
      'Service7Input',
      'ServiceInput',
    ]);
    expect(python.match(/^\w+(?=: Typed)/gm)).toEqual(['A_B', 'A_B2', 'SERVICE_7', 'SERVICE__']);
  });

  it('are left out where they are not of JSON, or have a name that is no text', () => {
    const { typescript, odd } = modulesOf(
      { service: '%FF', contracts: [{}] },
      { service: 'cbor', contracts: [{ contentType: 'application/cbor' }] },
    );
    expect(typescript).toContain('defineService<{\n}>()');
    expect(odd).toEqual(['%FF: its name is not UTF-8', 'cbor: its bodies are not JSON']);
  });

  it('stay small, and no text of a worker ends a comment, a text or a line of its own', () => {
    const laughs = Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [
        `d${at}`,
        { properties: { a: { $ref: `#/$defs/d${at + 1}` }, b: { $ref: `#/$defs/d${at + 1}` } } },
      ]),
    );
    const evil = '"""\u202e\x1b[2J*/\r\nimport os\u{1f600}\\';
    const { typescript, python } = modulesOf(
      { service: 'a', contracts: [{ input: { $ref: '#/$defs/d0', $defs: laughs } }] },
      {
        service: escapeName(Buffer.from(evil)),
        contracts: [
          {
            description: evil,
            version: evil,
            output: { enum: [evil] },
            errors: { [evil]: { properties: { [evil]: {} } } },
          },
        ],
      },
    );
    for (const text of [typescript, python]) {
      expect(text.length).toBeLessThan(20_000);
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|^import os/m);
    }
    expect(python).toContain(
      'Literal["\\"\\"\\"\\u202e\\u001b[2J*/\\u000d\\u000aimport os\\U0001f600\\\\"]',
    );
  });
});
