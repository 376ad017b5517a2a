/**
 * The description of the API (OpenAPI 3.1), served at `/api/v1/openapi.json`; `npm run docs` writes
 * docs/openapi.json. Made from the operations and their schemas.
 */
import { z } from 'zod';

import { HTTP_ADDRESS } from '../../core/defaults.js';
import { packageVersion } from '../../core/version.js';
import type { Access, Described, Operation, SchemaName } from '../api/operation.js';
import { OPERATIONS } from '../api/operations.js';
import { SCHEMAS } from '../api/schemas.js';

type Json = Readonly<Record<string, unknown>>;

const REFERENCE = '#/components/schemas/';
/** The schema of an object that is described elsewhere. */
const ANY_OBJECT = { type: 'object', properties: {}, additionalProperties: {} };

interface Written {
  readonly zodSchema: z.core.$ZodTypes;
  readonly jsonSchema: z.core.JSONSchema.BaseSchema;
}

/** Adds the defaults of parameters, which zod leaves out, and removes what it adds needlessly. */
function override({ zodSchema, jsonSchema: schema }: Written): void {
  const { def } = zodSchema._zod;
  if (def.type === 'default') schema.default = def.defaultValue;
  if (schema.format === 'date-time') delete schema.pattern;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  delete schema.propertyNames;
}

function components(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, { override, uri: (id) => `${REFERENCE}${id}` });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, bare(schema)]));
}

/** What a client may send. */
function inputOf(schema: z.ZodType): Json {
  return bare(z.toJSONSchema(schema, { override, io: 'input' }));
}

function bare({ $schema, $id, ...schema }: z.core.JSONSchema.BaseSchema): Json {
  return schema;
}

// ---------------------------------------------------------------- answers

const SECURITY: Readonly<Record<Access, readonly Json[]>> = {
  open: [],
  reader: [{}, { read: [] }, { operate: [] }],
  bearer: [{ read: [] }, { operate: [] }],
  changer: [{ operate: [] }],
  requester: [{ request: [] }],
};

function answer(described: Described): Json {
  const { description } = described;
  if ('json' in described) {
    return { description, content: { 'application/json': { schema: schemaOf(described.json) } } };
  }
  const { type, data } = described;
  const more = data === undefined ? {} : { 'x-data': schemaOf(data) };
  const schema = type === '*/*' ? {} : { type: 'string' };
  return { description, content: { [type]: { schema, ...more } } };
}

function schemaOf(name: SchemaName): Json {
  return name === 'object' ? ANY_OBJECT : { $ref: `${REFERENCE}${name}` };
}

function error(description: string): Json {
  return answer({ description, json: 'Error' });
}

function responses({ method, access, answer: good, others = {} }: Operation): Json {
  const found: Record<string, Json> = { '200': answer(good) };
  for (const [status, other] of Object.entries(others)) {
    found[status] = typeof other === 'string' ? error(other) : answer(other);
  }
  const isChange = method === 'POST';
  if (access !== 'open') {
    found['400'] = error(
      isChange
        ? 'A parameter or the body is invalid; the message says why.'
        : 'A parameter is unknown or invalid; the message names it.',
    );
    found['401'] = error('The token is missing or wrong.');
  }
  if (access === 'reader') {
    found['503'] ??= error(
      'Too many wait for this, or too much waits to be read: ask again later.',
    );
  }
  if (access === 'changer') found['403'] = error('The token is read-only.');
  if (access === 'requester') found['403'] = error('The token has no right to this.');
  if (isChange) found['413'] = error('The body is over the limit.');
  // A missing Host header, a method that the path does not have, a bug …
  found['default'] = error('Any other error.');
  return found;
}

// ---------------------------------------------------------------- requests

function parametersIn(place: 'path' | 'query', schema: () => z.ZodObject): Json[] {
  const { properties, required } = inputOf(schema()) as {
    readonly properties: Readonly<Record<string, Json>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    ...(required?.includes(name) === true ? { required: true } : {}),
    description,
    schema: rest,
  }));
}

function described(operation: Operation): Json {
  const { access, summary, parts, query, headers = {}, body, bytes } = operation;
  const parameters = [
    ...(parts === undefined ? [] : parametersIn('path', parts)),
    ...(query === undefined ? [] : parametersIn('query', query)),
    ...Object.entries(headers).map(([name, description]) => ({
      name,
      in: 'header',
      description,
      schema: { type: 'string' },
    })),
  ];
  return {
    summary,
    security: SECURITY[access],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { content: { 'application/json': { schema: inputOf(body()) } } } }),
    ...(bytes === undefined || operation.method !== 'POST'
      ? {}
      : { requestBody: { description: bytes, content: { '*/*': { schema: {} } } } }),
    responses: responses(operation),
  };
}

function paths(): Json {
  const found: Record<string, Record<string, Json>> = {};
  for (const operation of Object.values<Operation>(OPERATIONS)) {
    const { method, path } = operation;
    found[path] = { ...found[path], [method.toLowerCase()]: described(operation) };
  }
  return found;
}

/** @param version of the package */
export function openApi(version: string): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Majordomo',
      version,
      license: { name: 'MPL-2.0', identifier: 'MPL-2.0' },
      description:
        'Errors are `{"error": {"code", "message"}}`. Lists are `{"items", "next"}`; a page may have ' +
        'fewer items than `limit`, and the list ends when `next` is null.',
    },
    servers: [{ url: `http://${HTTP_ADDRESS}` }],
    paths: paths(),
    components: {
      schemas: components(),
      securitySchemes: {
        read: {
          type: 'http',
          scheme: 'bearer',
          description: 'One of `http.tokens` with `role: read`.',
        },
        operate: {
          type: 'http',
          scheme: 'bearer',
          description:
            '`http.token`, or the file `http.token` in `node.dataDir`, or one of `http.tokens` with ' +
            '`role: operate`.',
        },
        request: {
          type: 'http',
          scheme: 'bearer',
          description: 'One of `http.tokens` with `role: request`.',
        },
      },
    },
  };
}

/** The text of docs/openapi.json. */
export function openApiFile(): string {
  return `${JSON.stringify(openApi(packageVersion()), null, 2)}\n`;
}
