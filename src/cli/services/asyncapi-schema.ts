/**
 * JSON Schemas of workers as parts of an AsyncAPI document, whose schemas are those of draft 7 and more. Tools follow
 * each `$ref`, wherever it stands, and refuse the whole document for one wrong keyword; nobody vouches for these
 * schemas. So references lead only to places in the schema itself, and what is no JSON Schema is left out.
 */
import { pointedAt } from '../../core/schema-rows.js';
import { type Facts, isFacts } from '../common/facts.js';

interface Embedded {
  readonly schema: Facts;
  /** Something was left out, or is no reference any more. */
  readonly isOdd: boolean;
}

/** @param at where the schema stands in the document: `#/components/schemas/…` */
export function embedded(given: unknown, at: string): Embedded {
  // The official schema of AsyncAPI refuses booleans there.
  if (typeof given === 'boolean') return { schema: given ? {} : { not: {} }, isOdd: false };
  if (!isFacts(given)) return { schema: {}, isOdd: true };
  const copy = new Copy(given, at);
  const schema = copy.object(given);
  return { schema, isOdd: copy.isOdd };
}

type Form = (value: unknown) => boolean;

const TYPES = new Set(['array', 'boolean', 'integer', 'null', 'number', 'object', 'string']);
const isText: Form = (value) => typeof value === 'string';
const isFlag: Form = (value) => typeof value === 'boolean';
const isNumber: Form = (value) => typeof value === 'number';
const isCount: Form = (value) => Number.isInteger(value) && Number(value) >= 0;
const isSchema: Form = (value) => isFlag(value) || isFacts(value);
const isSchemas: Form = (value) => isList(value, isSchema) && (value as unknown[]).length > 0;
const isTexts: Form = (value) => isList(value, isText) && isUnique(value as unknown[]);

const words = (text: string, form: Form): (readonly [string, Form])[] =>
  text.split(' ').map((word) => [word, form]);

/** What the keywords must be that have no schemas inside. */
const FORMS: ReadonlyMap<string, Form> = new Map([
  ...words('title description format contentMediaType contentEncoding $comment', isText),
  ...words('discriminator', isText),
  ...words('readOnly writeOnly uniqueItems deprecated', isFlag),
  ...words('maximum exclusiveMaximum minimum exclusiveMinimum', isNumber),
  ...words('maxLength minLength maxItems minItems maxProperties minProperties', isCount),
  ...words('enum examples', Array.isArray),
  ...words('multipleOf', (value) => isNumber(value) && Number(value) > 0),
  ...words('pattern', isPattern),
  ...words('required', isTexts),
  ...words('type', (value) => {
    const all = [value].flat();
    return (
      all.length > 0 &&
      all.every((each) => typeof each === 'string' && TYPES.has(each)) &&
      isUnique(all)
    );
  }),
]);
const SCHEMA = new Set(
  'additionalItems additionalProperties contains propertyNames if then else not items'.split(' '),
);
const SCHEMAS = new Set(['allOf', 'anyOf', 'oneOf']);
const MAPS = new Set(['properties', 'patternProperties', 'definitions', '$defs']);
/** Keywords without a meaning here, or with another: `schema` is a schema in another format. */
const SILENT = new Set(['$schema', '$id', 'schema', 'schemaFormat', 'externalDocs']);

class Copy {
  isOdd = false;
  readonly #root: Facts;
  readonly #at: string;

  constructor(root: Facts, at: string) {
    this.#root = root;
    this.#at = at;
  }

  object(given: Facts): Facts {
    // Draft 7 has both of these names for what has others since 2019-09.
    const { prefixItems, ...others } = given;
    const tuple = isSchemas(prefixItems)
      ? { additionalItems: others['items'] ?? true, items: prefixItems }
      : {};
    const entries = Object.entries({ ...others, ...tuple }).filter(([key]) => !SILENT.has(key));
    return Object.fromEntries(entries.flatMap(([key, value]) => this.#entry(key, value)));
  }

  /** Copies an entry of a schema. @returns empty if it is left out */
  #entry(key: string, value: unknown): (readonly [string, unknown])[] {
    if (key === '$ref') return [this.#reference(value)];
    if (SCHEMA.has(key) && isSchema(value)) return [[key, this.#schema(value)]];
    if ((SCHEMAS.has(key) || key === 'items') && isSchemas(value)) {
      return [[key, (value as unknown[]).map((each) => this.#schema(each))]];
    }
    if (MAPS.has(key) && isFacts(value)) return [[key, this.#map(value)]];
    const isWithSchemas = SCHEMA.has(key) || SCHEMAS.has(key) || MAPS.has(key);
    const isRight = !isWithSchemas && (FORMS.get(key)?.(value) ?? key !== 'dependencies');
    if (isRight) return [[key, this.#data(value)]];
    this.isOdd = true;
    return [];
  }

  #schema(given: unknown): unknown {
    return isFacts(given) ? this.object(given) : given;
  }

  #map(given: Facts): Facts {
    const entries = Object.entries(given);
    const right = entries.filter(([, value]) => isSchema(value));
    if (right.length < entries.length) this.isOdd = true;
    return Object.fromEntries(right.map(([key, value]) => [key, this.#schema(value)]));
  }

  /** What a tool might take for a reference is none. */
  #data(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#data(each));
    if (!isFacts(value)) return value;
    const entries = Object.entries(value).map(([key, each]) => {
      if (key === '$ref') this.isOdd = true;
      return [key === '$ref' ? 'x-ref' : key, this.#data(each)];
    });
    return Object.fromEntries(entries) as Facts;
  }

  #reference(to: unknown): readonly [string, unknown] {
    if (typeof to === 'string' && this.#leadsTo(to)) return ['$ref', `${this.#at}${to.slice(1)}`];
    this.isOdd = true;
    return ['x-ref', this.#data(to)];
  }

  /** Whether something stands there. */
  #leadsTo(reference: string): boolean {
    return /^#(\/[\w$.%~-]+)*$/.test(reference) && isSchema(pointedAt(this.#root, reference));
  }
}

function isList(value: unknown, of: Form): boolean {
  return Array.isArray(value) && value.every((each: unknown) => of(each));
}

function isUnique(list: readonly unknown[]): boolean {
  return new Set(list).size === list.length;
}

function isPattern(value: unknown): boolean {
  try {
    return typeof value === 'string' && new RegExp(value, 'u').source !== '';
  } catch {
    return false;
  }
}
