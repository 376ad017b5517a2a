/** Words that JSON Schema is written with here. */

export type Json = Readonly<Record<string, unknown>>;

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** An object whose fields are all there, and no others. */
export function object(properties: Readonly<Record<string, Json>>, description?: string): Json {
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

export const text = (description?: string): Json => ({
  type: 'string',
  ...(description === undefined ? {} : { description }),
});

export const count = (description?: string): Json => ({
  type: 'integer',
  minimum: 0,
  ...(description === undefined ? {} : { description }),
});

export const orNull = (schema: Json): Json => ({ anyOf: [schema, { type: 'null' }] });

export const oneOf = (...values: readonly string[]): Json => ({ type: 'string', enum: values });

export const listOf = (items: Json, description?: string): Json => ({
  type: 'array',
  ...(description === undefined ? {} : { description }),
  items,
});

export const moment = (description?: string): Json => ({
  type: 'string',
  format: 'date-time',
  ...(description === undefined ? {} : { description }),
});

/** A page of a list. */
export function page(items: Json): Json {
  const next = orNull(text('Cursor of the next page; null on the last page.'));
  return object({ items: listOf(items), next });
}
