/** The part of JSON Schema that this project's OpenAPI file uses; it rejects all else. */

export type Schema = Readonly<Record<string, unknown>>;

const KNOWN = new Set([
  ...['$ref', 'additionalProperties', 'anyOf', 'const', 'default', 'description', 'enum', 'format'],
  ...['items', 'maximum', 'minimum', 'pattern', 'properties', 'required', 'type'],
]);

/** The violations of the schema in `value`, each with its path; empty if it is valid. */
export function violations(schema: Schema, value: unknown, root: Schema, at = '$'): string[] {
  const strange = Object.keys(schema).find((word) => !KNOWN.has(word));
  if (strange !== undefined) throw new Error(`a word of JSON Schema that is not known: ${strange}`);
  const { $ref: reference, anyOf, enum: options, type } = schema;
  if (typeof reference === 'string') return violations(resolve(reference, root), value, root, at);
  if (Array.isArray(anyOf)) {
    const all = anyOf.map((each: Schema) => violations(each, value, root, at));
    return all.some((found) => found.length === 0) ? [] : all.flat();
  }
  if ('const' in schema && value !== schema['const']) {
    return [`${at}: not ${shown(schema['const'])}`];
  }
  if (Array.isArray(options) && !options.includes(value)) {
    return [`${at}: not in ${shown(options)}`];
  }
  const types = typeof type === 'string' ? [type] : (type as readonly string[] | undefined);
  if (types !== undefined && !types.some((each) => isOf(each, value))) {
    return [`${at}: ${shown(value)} is no ${types.join(' or ')}`];
  }
  if (typeof value === 'number') return ofNumber(schema, value, at);
  if (typeof value === 'string') return ofText(schema, value, at);
  if (Array.isArray(value)) {
    const items = schema['items'] as Schema | undefined;
    if (items === undefined) return [];
    return value.flatMap((item, index) => violations(items, item, root, `${at}[${index}]`));
  }
  return typeof value === 'object' && value !== null ? ofObject(schema, value, root, at) : [];
}

function resolve(reference: string, root: Schema): Schema {
  let found: unknown = root;
  for (const part of reference.replace(/^#\//, '').split('/')) {
    found = (found as Readonly<Record<string, unknown>> | undefined)?.[part];
  }
  if (typeof found !== 'object' || found === null) throw new Error(`${reference} leads nowhere`);
  return { ...found };
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  }
  return typeof value === type;
}

function ofNumber(schema: Schema, value: number, at: string): string[] {
  const { minimum = -Infinity, maximum = Infinity } = schema as {
    readonly minimum?: number;
    readonly maximum?: number;
  };
  return value >= minimum && value <= maximum ? [] : [`${at}: ${value} is out of range`];
}

function ofText({ pattern, format }: Schema, value: string, at: string): string[] {
  if (typeof pattern === 'string' && !new RegExp(pattern).test(value)) {
    return [`${at}: ${shown(value)} does not match ${pattern}`];
  }
  if (format === 'date-time' && new Date(value).toISOString() !== value) {
    return [`${at}: ${shown(value)} is no time`];
  }
  return [];
}

function ofObject(schema: Schema, value: object, root: Schema, at: string): string[] {
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>;
  const required = (schema['required'] ?? []) as readonly string[];
  const rest = schema['additionalProperties'];
  const found = required.filter((key) => !(key in value)).map((key) => `${at}.${key}: missing`);
  for (const [key, each] of Object.entries(value)) {
    const known = properties[key];
    const place = `${at}.${key}`;
    if (known !== undefined) found.push(...violations(known, each, root, place));
    else if (rest === false) found.push(`${place}: not described`);
    else if (typeof rest === 'object') found.push(...violations({ ...rest }, each, root, place));
  }
  return found;
}

function shown(value: unknown): string {
  return JSON.stringify(value);
}
