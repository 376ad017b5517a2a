/** Operations of the description of the API: who may, and what is answered in any case. */
import { type Json, ref } from './openapi-words.js';

export const answer = (description: string, schema: Json): Json => ({
  description,
  content: { 'application/json': { schema } },
});

export const error = (description: string): Json => answer(description, ref('Error'));

export const plain = (description: string, type: string): Json => ({
  description,
  content: { [type]: { schema: { type: 'string' } } },
});

/** Of every request: a Host that is none, a method that is wrong, a bug … */
const OTHERS: Json = { default: error('Any other error.') };
const UNAUTHORIZED = error('The token is missing or wrong.');

/** Nobody needs a token for it. */
export function open(summary: string, responses: Json): Json {
  return { summary, security: [], responses: { ...responses, ...OTHERS } };
}

/** Needs a token where the server is not on loopback, or `http.requireToken` is true. */
export function reading(summary: string, responses: Json, parameters: readonly Json[] = []): Json {
  return {
    summary,
    security: [{}, { readToken: [] }, { token: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: {
      ...responses,
      '400': error('A parameter is unknown or invalid; the message names it.'),
      '401': UNAUTHORIZED,
      ...OTHERS,
    },
  };
}

/** Needs a token everywhere, also one that only reads. */
export function holding(summary: string, responses: Json, parameters: readonly Json[]): Json {
  return {
    ...reading(summary, responses, parameters),
    security: [{ readToken: [] }, { token: [] }],
  };
}

/** Reads what only those see who may change. */
export function secret(summary: string, responses: Json, parameters: readonly Json[]): Json {
  return {
    ...reading(summary, { ...responses, '403': error('The token is read-only.') }, parameters),
    security: [{ token: [] }],
  };
}

/** What a description has beside its answers. */
export interface Asked {
  readonly parameters?: readonly Json[];
  readonly requestBody?: Json;
}

/** Needs the token. */
export function changing(summary: string, responses: Json, asked: Asked = {}): Json {
  return {
    summary,
    security: [{ token: [] }],
    ...asked,
    responses: {
      ...responses,
      '400': error('A parameter or the body is invalid; the message says why.'),
      '401': UNAUTHORIZED,
      '403': error('The token is read-only.'),
      '413': error('The body is over 64 KiB.'),
      ...OTHERS,
    },
  };
}

export const inQuery = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'query',
  description,
  schema,
});

export function listParameters(...states: readonly string[]): readonly Json[] {
  return [
    inQuery('limit', 'Maximum number of items in the page.', {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 100,
    }),
    inQuery('cursor', '`next` of the previous page.', { type: 'string' }),
    inQuery('service', 'Only this service, with its name as in lists.', { type: 'string' }),
    inQuery('state', 'Only items in this state.', { type: 'string', enum: states }),
  ];
}
