/**
 * What a JSON Schema says for certain. The worker judges with its own library, from which the schema was made: a
 * pattern has lost its flags there, and the library may convert what it gets, trim a text or ignore its case.
 */
import { type Facts, factsIn } from '../common/facts.js';

/** What a schema has under these is a schema, or a list of them. */
const SCHEMAS = new Set([
  ...['items', 'additionalItems', 'prefixItems', 'contains', 'additionalProperties'],
  ...['propertyNames', 'allOf', 'anyOf', 'then', 'else'],
]);
/** Under these it has schemas by name. */
const NAMED_SCHEMAS = new Set(['properties', '$defs', 'definitions', 'dependentSchemas']);
/** Keywords that may refuse what the worker takes, or depend on others that may. */
const UNCERTAIN = new Set([
  ...['pattern', 'patternProperties', 'enum', 'const', 'minLength', 'maxLength', 'type', 'oneOf'],
  ...['maxContains', 'dependencies', 'unevaluatedItems', 'unevaluatedProperties'],
]);
/** Keywords that refuse more if what they contain refuses less. */
const REVERSED = new Set(['not', 'if']);

/** A text that becomes a number. */
const NUMERIC = String.raw`^\s*([-+]?(\d|\.\d|Infinity|NaN).*)?$`;

/**
 * A schema that refuses nothing that only the worker can judge.
 * @example
 * lenient({ type: 'string', pattern: '^[a-z]+$' }) // {}
 */
export function lenient(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(lenient);
  const facts = factsIn(schema);
  if (facts === null) return schema;
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(facts)) {
    if (SCHEMAS.has(key)) kept[key] = lenient(value);
    else if (NAMED_SCHEMAS.has(key)) kept[key] = lenientEach(value);
    else if (REVERSED.has(key) ? isCertain(value) : !UNCERTAIN.has(key)) kept[key] = value;
  }
  if ('patternProperties' in facts) delete kept['additionalProperties'];
  const more = [
    ...typesOf(facts),
    ...('oneOf' in facts ? [{ anyOf: lenient(facts['oneOf']) }] : []),
  ];
  if (more.length === 0) return kept;
  const { allOf } = kept;
  return { ...kept, allOf: [...(Array.isArray(allOf) ? (allOf as unknown[]) : []), ...more] };
}

function lenientEach(schemas: unknown): unknown {
  const all = Object.entries(factsIn(schemas) ?? {});
  return Object.fromEntries(all.map(([name, each]) => [name, lenient(each)]));
}

function isCertain(schema: unknown): boolean {
  const text = JSON.stringify(schema);
  return text === JSON.stringify(lenient(schema)) && !text.includes('"$ref"');
}

/** Nothing becomes an object, and no object, nor a text without digits, a number: the rest may be converted. */
function typesOf({ type }: Facts): readonly object[] {
  const types = [type].flat().map(String);
  if (type === undefined || types.some((each) => !/^(object|number|integer)$/.test(each))) {
    return [];
  }
  const isNumber = types.some((each) => each !== 'object');
  if (!isNumber) return [{ type: 'object' }];
  const rest = ['number', 'boolean', 'null', 'array'];
  const plain = types.includes('object') ? [...rest, 'object'] : rest;
  return [{ anyOf: [{ type: plain }, { type: 'string', pattern: NUMERIC }] }];
}
