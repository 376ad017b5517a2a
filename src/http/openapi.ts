/**
 * The description of the API (OpenAPI 3.1), served at `/api/v1/openapi.json`; docs/openapi.json is
 * written from it by `npm run docs`. A test compares it with the table of routes, both ways.
 */
import { packageVersion } from '../core/version.js';
import {
  answer,
  changing,
  error,
  holding,
  inQuery,
  listParameters,
  open,
  plain,
  reading,
} from './openapi-operations.js';
import { SCHEMAS } from './openapi-schemas.js';
import { STORED_PATHS, STORED_SCHEMAS } from './openapi-stored.js';
import { type Json, page, ref } from './openapi-words.js';

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
      'Services that have workers or requests, or did something in the last ten minutes',
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
  '/api/v1/overview': {
    get: reading(
      'What the page shows: the node now, and its last ten minutes second by second',
      {
        '200': answer('The samples that were asked for, of those that are kept.', ref('Overview')),
      },
      [
        inQuery('since', '`next` of the answer before: only newer samples.', {
          type: 'integer',
          minimum: 0,
        }),
      ],
    ),
  },
  '/api/v1/overview/services': {
    get: reading('How fast services were in the last seconds', {
      '200': answer('By label of metrics.', ref('ServiceFigures')),
    }),
  },
  '/api/v1/services/history': {
    get: reading(
      'One service in the last ten minutes, a sample every four seconds',
      {
        '200': answer(
          'The samples that were asked for, of those that are kept. Empty if the service did ' +
            'nothing yet, or shares its label of metrics with others.',
          ref('ServiceHistory'),
        ),
      },
      [
        {
          ...inQuery('service', 'Its name, as lists show it.', { type: 'string' }),
          required: true,
        },
        inQuery('since', '`next` of the answer before: only newer samples.', {
          type: 'integer',
          minimum: 0,
        }),
      ],
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
  ...STORED_PATHS,
  '/api/v1/events': {
    get: reading(
      'What has happened lately, and then what happens, as server-sent events',
      {
        '200': plain(
          'First the events that the node has kept, at most 1000, the oldest first; then each as it ' +
            'happens. `data` is an object of JSON with `time`, `event`, `severity` (`info`, `warn`, ' +
            '`error`) and the fields of the event; `key` and `address` only with a token.',
          'text/event-stream',
        ),
        '503': error('Too many read them already.'),
      },
      [
        {
          name: 'Last-Event-ID',
          in: 'header',
          description: 'The `id` of the last event that the reader has: only later ones are sent.',
          schema: { type: 'string' },
        },
      ],
    ),
  },
  '/api/v1/acl/log': {
    get: holding(
      'Who was refused lately, and why: the last 1000, the newest first',
      { '200': answer('Equal ones are one.', ref('Refusals')) },
      [inQuery('limit', 'At most so many.', { type: 'integer', minimum: 1, maximum: 1000 })],
    ),
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
      schemas: { ...SCHEMAS, ...STORED_SCHEMAS },
      securitySchemes: {
        readToken: {
          type: 'http',
          scheme: 'bearer',
          description: '`http.readToken`: it only reads.',
        },
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
