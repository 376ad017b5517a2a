/** The lines of what JSON Schema and OpenAPI describe. */

/** The type in words, without what lines of their own say. */
function typeOf(schema) {
  const { $ref, anyOf, type, items } = schema;
  if ($ref !== undefined) return $ref.split('/').at(-1);
  if (anyOf !== undefined) return anyOf.map(typeOf).join(' | ');
  if ('const' in schema) return JSON.stringify(schema.const);
  const bounds = [
    range(schema.minimum ?? above(schema.exclusiveMinimum), schema.maximum),
    range(schema.minLength, schema.maxLength),
    range(schema.minItems, schema.maxItems),
    schema.format ?? '',
    schema.pattern === undefined ? '' : `/${schema.pattern}/`,
    items === undefined ? '' : `of (${typeOf(items)})`,
  ].filter((text) => text !== '');
  return [[type ?? 'any'].flat().join(' | '), ...bounds].join(' ');
}

const above = (number) => (number === undefined ? undefined : `>${number}`);

function range(least, most) {
  return least === undefined && most === undefined ? '' : `${least ?? ''}..${most ?? ''}`;
}

/** A line for a schema, and those of its parts. */
export function schemaLines(name, schema, isRequired = true, isInput = false) {
  const usual = 'default' in schema ? ` = ${JSON.stringify(schema.default)}` : '';
  const line = `${name}${isRequired ? '' : '?'}: ${typeOf(schema)}${usual}`;
  return [line, ...schemaParts(name, schema, isInput)];
}

/**
 * A line for each word, each field and each item that is more than a type.
 * @param isInput whether what a field that is required later would break has a line
 */
export function schemaParts(name, schema, isInput) {
  const { anyOf = [], properties, required = [], items, additionalProperties } = schema;
  return [
    ...anyOf.flatMap((each) => schemaParts(name, each, isInput)),
    ...(schema.enum ?? []).map((word) => `${name}: ${JSON.stringify(word)}`),
    ...(isInput && properties !== undefined ? [`${name}: ${needs(required)}`] : []),
    ...Object.entries(properties ?? {}).flatMap(([key, field]) =>
      schemaLines(`${name}.${key}`, field, required.includes(key), isInput),
    ),
    ...(items === undefined ? [] : schemaParts(`${name}[]`, items, isInput)),
    ...(additionalProperties?.type === undefined
      ? []
      : schemaLines(`${name}.NAME`, additionalProperties, true, isInput)),
  ];
}

/** What must be given: as one fact, so that one more is a change of it. */
export const needs = (names) => `needs ${names.toSorted().join(', ') || 'nothing'}`;

/** The lines of an OpenAPI document. */
export function routeLines({ paths, components }) {
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, route]) =>
      oneRoute(`${method.toUpperCase()} ${path}`, route),
    ),
  );
  const schemas = Object.entries(components.schemas);
  return [...routes, ...schemas.flatMap(([name, schema]) => schemaLines(name, schema))];
}

function oneRoute(name, { security, parameters = [], requestBody = {}, responses }) {
  const roles = security.length === 0 ? ['anyone'] : security.map(roleOf);
  const required = parameters.filter((each) => each.required === true);
  return [
    `${name}: ${needs(required.map((each) => each.name))}`,
    ...roles.map((role) => `${name}: for ${role}`),
    ...parameters.flatMap((each) =>
      schemaLines(`${name} ${each.in} ${each.name}`, each.schema, each.required === true),
    ),
    ...contentLines(`${name} body`, requestBody, true),
    ...Object.entries(responses).flatMap(([status, answer]) =>
      contentLines(`${name} ${status}`, answer, false),
    ),
  ];
}

const roleOf = (each) => Object.keys(each)[0] ?? 'anyone';

function contentLines(name, { content = {} }, isInput) {
  return Object.entries(content).flatMap(([type, { schema, 'x-data': data }]) => {
    const at = type === 'application/json' ? name : `${name} ${type}`;
    return [
      ...schemaLines(at, schema, true, isInput),
      ...(data === undefined ? [] : schemaLines(`${at} data`, data)),
    ];
  });
}
