/**
 * The description of the API (OpenAPI 3.1), served at `/api/v1/openapi.json`; docs/openapi.json is
 * written from it by `npm run docs`. A test compares it with the table of routes, both ways.
 */
import { packageVersion } from '../core/version.js';
import { SCHEMAS } from './openapi-schemas.js';
import { type Json, page, ref } from './openapi-words.js';

const answer = (description: string, schema: Json): Json => ({
  description,
  content: { 'application/json': { schema } },
});

const error = (description: string): Json => answer(description, ref('Error'));

const plain = (description: string, type: string): Json => ({
  description,
  content: { [type]: { schema: { type: 'string' } } },
});

/** Of every request: a Host that is none, a method that is wrong, a bug … */
const OTHERS: Json = { default: error('Any other error.') };
const UNAUTHORIZED = error('The token is missing or wrong.');

/** Nobody needs a token for it. */
function open(summary: string, responses: Json): Json {
  return { summary, security: [], responses: { ...responses, ...OTHERS } };
}

/** Needs the token where the server is not on loopback. */
function reading(summary: string, responses: Json, parameters: readonly Json[] = []): Json {
  return {
    summary,
    security: [{}, { token: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: {
      ...responses,
      '400': error('A parameter is wrong; the message names it.'),
      '401': UNAUTHORIZED,
      ...OTHERS,
    },
  };
}

/** Needs the token. */
function changing(summary: string, responses: Json): Json {
  return {
    summary,
    security: [{ token: [] }],
    responses: {
      ...responses,
      '400': error('A parameter or the body is wrong.'),
      '401': UNAUTHORIZED,
      '413': error('The body is over 64 KiB.'),
      ...OTHERS,
    },
  };
}

const inQuery = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'query',
  description,
  schema,
});

function listParameters(...states: readonly string[]): readonly Json[] {
  return [
    inQuery('limit', 'Items in a page.', {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 100,
    }),
    inQuery('cursor', '`next` of the page before.', { type: 'string' }),
    inQuery('service', 'Only of this service, its name as it is shown.', { type: 'string' }),
    inQuery('state', 'Only in this state.', { type: 'string', enum: states }),
  ];
}

const orderAnswers: Json = {
  '200': answer('It is done; the pair as it is now.', ref('Ha')),
  '409': error('It cannot be done here and now; the message says why.'),
};

const PATHS: Readonly<Record<string, Json>> = {
  '/livez': {
    get: open('200 while the process works', { '200': plain('It works.', 'text/plain') }),
  },
  '/readyz': {
    get: open('200 if clients are served here', {
      '200': answer('They are; `degraded` says what is hurt.', ref('Ready')),
      '503': answer('They are not; `reason` says why.', ref('NotReady')),
    }),
  },
  '/healthz': {
    get: reading('The node in a few lines', { '200': answer('How it is.', ref('Health')) }),
  },
  '/metrics': {
    get: reading('Metrics of Prometheus', { '200': plain('Its text format.', 'text/plain') }),
  },
  '/api/v1/status': {
    get: reading('What the broker says of itself', { '200': answer('It.', ref('Status')) }),
  },
  '/api/v1/services': {
    get: reading(
      'Services that have workers, or requests waiting',
      { '200': answer('A page.', page(ref('Service'))) },
      listParameters('served', 'unserved'),
    ),
  },
  '/api/v1/workers': {
    get: reading(
      'Workers that are registered',
      { '200': answer('A page.', page(ref('Worker'))) },
      listParameters('waiting', 'busy'),
    ),
  },
  '/api/v1/ha': {
    get: reading('The pair', { '200': answer('As this node knows it.', ref('Ha')) }),
  },
  '/api/v1/ha/switchover': {
    post: changing('The active hands over to its peer, which is in sync', orderAnswers),
  },
  '/api/v1/ha/promote': {
    post: changing('A node whose peer is dead becomes active', orderAnswers),
  },
  '/api/v1/events': {
    get: reading('What happens, as server-sent events', {
      '200': plain('One event each; `data` is an object of JSON.', 'text/event-stream'),
      '503': error('Too many read them already.'),
    }),
  },
  '/api/v1/openapi.json': {
    get: reading('This description', {
      '200': answer('It.', { type: 'object' }),
    }),
  },
};

/** @param version of the package */
export function openApi(version: string): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Majordomo',
      version,
      license: { name: 'MPL-2.0', identifier: 'MPL-2.0' },
      description:
        'Errors are `{"error": {"code", "message"}}`. Lists are `{"items", "next"}`; a page may hold ' +
        'fewer items than `limit`, and the list ends where `next` is null.',
    },
    servers: [{ url: 'http://127.0.0.1:5580' }],
    paths: PATHS,
    components: {
      schemas: SCHEMAS,
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: '`http.token`, or the file `http.token` in `node.dataDir`.',
        },
      },
    },
  };
}

/** As docs/openapi.json has it. */
export function openApiFile(): string {
  return `${JSON.stringify(openApi(packageVersion()), null, 2)}\n`;
}
