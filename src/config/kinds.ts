/**
 * The kinds of values, as zod schemas. Each says what it expects once: its errors, its description for
 * people (`value`) and its JSON Schema are made from that.
 */
import { z } from 'zod';

import { webAddress } from '../core/web-address.js';
import type { Parsed } from './endpoint.js';
import { didYouMean, nearestName } from '../core/nearest.js';
import { parseSize, SIZE_PATTERN } from './size.js';
import { show } from './tree.js';

/** What a schema says of its key besides its type. The default is that of zod. */
interface Facts {
  /** What the value must be. */
  readonly value?: string;
  /** How an absent key is read, if its default is not a constant. */
  readonly none?: string;
  readonly kind?: 'durationMs' | 'count' | 'size';
  /** Smallest and largest value of these kinds. */
  readonly min?: number | string;
  readonly max?: number | string;
  /**
   * SIGHUP applies a change without a restart. `secretKeys`: only if nothing changes but the secret
   * key files of listeners with the transport `zmtp`. `tokens`: unless it brings the first token of
   * programs. `webhooks`: unless neither programs nor webhooks were there before.
   */
  readonly live?: true | 'secretKeys' | 'tokens' | 'webhooks';
  /** The value has secrets, which nothing shows. */
  readonly secret?: true;
  /** Whether this text is a value as it stands, whatever YAML would read (123, true); only of keys that are always text. */
  readonly takes?: (text: string) => boolean;
  /** What anyone who can connect to a publisher can do there. */
  readonly could?: string;
}

declare module 'zod' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- the metadata of zod's schemas
  interface GlobalMeta extends Facts {}
}

/** What the schema of a key or of a section says, for documents and messages. */
export interface Row extends Facts {
  readonly about: string;
  /** `null`: see `none`, also for lists and maps. */
  readonly default: string | number | boolean | null;
  /** The keys of a map; empty for any other value. */
  readonly keys: Readonly<Record<string, Row>>;
}

/** Lets a schema be made when it is first asked for: most starts need few of them. */
export function once<Schema>(make: () => Schema): () => Schema {
  let made: Schema | null = null;
  return () => (made ??= make());
}

/** The facts that are no part of JSON Schema. */
const OWN: (keyof Facts)[] = [
  'value',
  'none',
  'kind',
  'min',
  'max',
  'live',
  'secret',
  'takes',
  'could',
];

/** A JSON Schema of what may be written. */
export function jsonSchemaOf(schema: z.ZodType): object {
  return z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      for (const fact of OWN) Reflect.deleteProperty(jsonSchema, fact);
    },
  });
}

/** What a schema says, with what it is made of: `optional`, `transform` and the like. */
export function rowOf(schema: z.core.$ZodType): Row {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const inner = 'innerType' in def ? def.innerType : def.type === 'pipe' ? def.in : null;
  const keys = 'shape' in def ? rowsOf(def.shape) : {};
  const base: Row = inner === null ? { about: '', default: null, keys } : rowOf(inner);
  const { description = base.about, ...facts } = z.globalRegistry.get(schema) ?? {};
  const row = { ...base, ...facts, about: description };
  if ('defaultValue' in def) row.default = def.defaultValue as Row['default'];
  return row.none === undefined ? row : { ...row, default: null };
}

/** The rows of the keys of a map. */
export function rowsOf(shape: Readonly<Record<string, z.core.$ZodType>>): Row['keys'] {
  return Object.fromEntries(Object.entries(shape).map(([key, schema]) => [key, rowOf(schema)]));
}

/** The paths of all keys, also of those within lists and maps: `broker.listen[].curve`. */
export function keyPaths(schema: z.core.$ZodType, path = ''): string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if ('innerType' in def) return keyPaths(def.innerType, path);
  switch (def.type) {
    case 'pipe':
      return keyPaths(def.in, path);
    case 'union':
      return def.options.flatMap((option) => keyPaths(option, path));
    case 'array':
      return keyPaths(def.element, `${path}[]`);
    case 'record':
      return keyPaths(def.valueType, `${path}.NAME`);
    case 'object':
      return Object.entries(def.shape).flatMap(([key, below]) => {
        const at = path === '' ? key : `${path}.${key}`;
        return [at, ...keyPaths(below, at)];
      });
    default:
      return [];
  }
}

interface Expecting {
  /** Words among which the nearest one is named. */
  readonly words?: readonly string[];
  /** Whether nothing is shown of the value. */
  readonly isSecret?: boolean;
  /** Text that YAML may take for something else. */
  readonly isText?: boolean;
}

/** The message for a value that is not what it must be, or is absent. */
export function expected(
  value: string,
  { words = [], isSecret = false, isText = false }: Expecting = {},
): (issue: { readonly input?: unknown }) => string {
  return ({ input }) => {
    if (input === undefined) return 'is missing';
    if (isSecret) {
      // A short one would be too short as text, too.
      const isNumber = isText && typeof input === 'number' && !(Math.abs(input) < 1e15);
      return `expected ${value}${isNumber ? ', got what YAML reads as a number; quote it' : ''}`;
    }
    const got = `expected ${value}, got ${show(input)}`;
    if (typeof input === 'string') return got + didYouMean(input, words);
    return isText && ['number', 'boolean'].includes(typeof input) ? `${got}; quote it` : got;
  };
}

function integer(
  kind: 'durationMs' | 'count',
  min: number,
  max: number,
  value = `an integer from ${min} to ${max}`,
): z.ZodInt {
  return z
    .int({ error: expected(value) })
    .check(z.gte(min), z.lte(max))
    .register(z.globalRegistry, { kind, min, max, value });
}

export const count = (min: number, max: number): z.ZodInt => integer('count', min, max);

/** A number that may have a fraction. */
export function number(min: number, max: number): z.ZodNumber {
  const value = `a number from ${min} to ${max}`;
  return z
    .number({ error: expected(value) })
    .check(z.gte(min), z.lte(max))
    .register(z.globalRegistry, { value });
}

export const durationMs = (min: number, max: number): z.ZodInt =>
  integer('durationMs', min, max, `an integer from ${min} to ${max} (milliseconds)`);

/** An integer of bytes, or text such as `16MiB`. */
export function size(min: string, max: string): z.ZodType<number, number | string> {
  const value = `a size from ${min} to ${max} (bytes, or an integer with KiB, MiB, GiB or TiB)`;
  const error = expected(value);
  const [least, most] = [parseSize(min) ?? 0, parseSize(max) ?? 0];
  const bytes = z.int({ error }).check(z.gte(least), z.lte(most));
  const text = z
    .string({ error })
    .check(
      z.regex(new RegExp(SIZE_PATTERN)),
      z.refine((given) => bytes.safeParse(parseSize(given)).success),
    )
    .transform((given) => parseSize(given) ?? 0);
  return z
    .union([bytes, text], { error })
    .register(z.globalRegistry, { kind: 'size', min, max, value });
}

export const flag: z.ZodBoolean = z
  .boolean({ error: expected('true or false') })
  .meta({ value: 'true or false' });

/** The schema of a value that is one of some words. */
export function choice<W extends string>(words: readonly W[]): z.ZodEnum<{ [K in W]: K }> {
  const value = words.join(', ').replace(/, ([^,]+)$/, ' or $1');
  return z.enum(words, { error: expected(value, { words }) }).register(z.globalRegistry, { value });
}

/** Text of at least one character. */
function text(value: string, max: number, pattern: RegExp, isSecret = false): z.ZodString {
  const error = expected(value, { isSecret, isText: true });
  return z
    .string({ error })
    .check(z.minLength(1), z.maxLength(max), z.regex(pattern))
    .register(z.globalRegistry, {
      value,
      takes: (given) => given.length >= 1 && given.length <= max && pattern.test(given),
    });
}

/** Text on one line. */
export const line = (max: number): z.ZodString =>
  text(
    `text of 1 to ${max} characters, without line breaks`,
    max,
    /^[ -~\u00a0-\u2027\u202a-\uffff]+$/,
  );

const PATH_MAX = 4096;

export const pathOf = (what: string, isSecret = false): z.ZodString =>
  text(what, PATH_MAX, /^[^\0]+$/, isSecret);

export const path: z.ZodString = pathOf(`a path of 1 to ${PATH_MAX} characters`);

export const fileName: z.ZodString = text(
  'a file name of 1 to 255 characters, without directories',
  255,
  /^(?!\.{1,2}$)[^/\\\0]+$/,
);

export const secret: z.ZodString = text(
  '16 to 512 characters of printable ASCII without spaces',
  512,
  /^[\x21-\x7e]{16,}$/,
  true,
).meta({ secret: true });

const SECRETS =
  '16 to 512 characters of printable ASCII without spaces, or a list of two such texts';
const SECRETS_MAX = 2;

/** A secret, or two while one takes the place of the other. */
export const secrets: z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]> = z
  .union([secret, list(secret, SECRETS, SECRETS_MAX, { min: 1, isSecret: true })], {
    error: expected(SECRETS, { isSecret: true, isText: true }),
  })
  .meta({
    value: SECRETS,
    secret: true,
    // Brackets make a list, also without spaces in it.
    takes: (given) => !/^\[.*\]$/.test(given) && secret.safeParse(given).success,
  });

export const header: z.ZodString = text(
  'the name of a header, 1 to 64 characters',
  64,
  /^[!#$%&'*+.^_`|~\w-]+$/,
);

export const url: z.ZodString = text(
  '`http://…` or `https://…`, without a password or query',
  1024,
  /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/,
).refine((given) => webAddress(given) !== null);

/** The name of a key, a token or a quota. */
export const NAME_PATTERN = /^[\x21-\x7e]{1,64}$/;

/** Text that a parser accepts; the parser's reason is part of the message. */
export function parsed(
  value: string,
  pattern: string,
  parse: (given: string) => Parsed<unknown>,
): z.ZodString {
  return z
    .string({ error: expected(value, { isText: true }) })
    .superRefine((given, context) => {
      const result = parse(given);
      if (result.ok) return;
      const message = `expected ${value}: ${result.why}, got ${show(given)}`;
      context.addIssue({ code: 'custom', message });
    })
    .register(z.globalRegistry, { pattern, value });
}

/** A list with at most so many items. */
export function list<Item extends z.ZodType>(
  item: Item,
  value: string,
  max: number,
  { min = 0, isSecret = false } = {},
): z.ZodArray<Item> {
  const error = expected(value, { isSecret });
  const wrongSize = (size: string): ((issue: { readonly input?: unknown }) => string) => {
    const ofList = expected(size);
    // zod looks at the length of texts, too.
    return (issue) => (Array.isArray(issue.input) ? ofList : error)(issue);
  };
  return z
    .array(item, { error })
    .check(
      z.minLength(min, {
        error: wrongSize(
          value.startsWith('a ') ? `a non-empty ${value.slice(2)}` : `at least ${min} in the list`,
        ),
      }),
      z.maxLength(max, { error: wrongSize(`at most ${max} in the list`) }),
    )
    .register(z.globalRegistry, { value });
}

/** The keys of a map, as messages and documents name the map. */
export function keysOf(shape: z.ZodRawShape): string {
  return `{${Object.keys(shape).join(', ')}}`;
}

/** A map with these keys. The error about unknown ones has the nearest key to each on a line: see `placed`. */
export function map<Shape extends z.ZodRawShape>(
  keys: Shape,
  { value = keysOf(keys), isSecret = false } = {},
): z.ZodObject<Shape, z.core.$strict> {
  const names = Object.keys(keys);
  const error = expected(value, { isSecret });
  return z
    .strictObject(keys, {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => nearestName(key, names) ?? '').join('\n')
          : error(issue),
    })
    .register(z.globalRegistry, { value });
}

/** Text on one line, or a list of such texts, which is read as one with commas between them. */
export function lineOrList(
  charactersMax: number,
  textsMax: number,
): z.ZodType<string, string | string[]> {
  const text = line(charactersMax);
  const value = `text of 1 to ${charactersMax} characters, without line breaks, or a list of such texts`;
  return z
    .union([text, list(text, value, textsMax, { min: 1 })], {
      error: expected(value, { isText: true }),
    })
    .transform((written) => [written].flat().join(', '))
    .meta({ value, takes: (given) => text.safeParse(given).success });
}

/** A key that may have no value. */
export function maybe<T extends z.ZodType>(
  schema: T,
  none = 'none',
): z.ZodDefault<z.ZodNullable<T>> {
  return schema.nullable().default(null).meta({ none });
}
