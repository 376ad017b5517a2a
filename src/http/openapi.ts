/**
 * The description of the API (OpenAPI 3.1), served at `/api/v1/openapi.json`; docs/openapi.json is
 * written from it by `npm run docs`. A test compares it with the table of routes, both ways.
 */
import { HTTP_ADDRESS } from '../core/defaults.js';
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
  '200': answer('Done; the new state of the pair.', ref('Ha')),
  '409': error('Not possible in the current state of the pair; the message says why.'),
};

const PATHS: Readonly<Record<string, Json>> = {
  '/livez': {
    get: open('Check that the process works', { '200': plain('The process works.', 'text/plain') }),
  },
  '/readyz': {
    get: open('Check whether this node serves clients', {
      '200': answer('The node serves clients; `degraded` lists problems.', ref('Ready')),
      '503': answer('The node does not serve clients; `reason` says why.', ref('NotReady')),
    }),
  },
  '/healthz': {
    get: reading('Show the health of the node', {
      '200': answer('Health and state of the node.', ref('Health')),
    }),
  },
  '/metrics': {
    get: reading('Get the metrics', {
      '200': plain('Metrics in the Prometheus text format.', 'text/plain'),
    }),
  },
  '/api/v1/status': {
    get: reading('Show the state and limits of the broker', {
      '200': answer('The state of the broker.', ref('Status')),
    }),
  },
  '/api/v1/services': {
    get: reading(
      'List services that have workers or requests, or were active in the last ten minutes',
      { '200': answer('A page of services.', page(ref('Service'))) },
      listParameters('served', 'unserved'),
    ),
  },
  '/api/v1/workers': {
    get: reading(
      'List registered workers',
      { '200': answer('A page of workers.', page(ref('Worker'))) },
      listParameters('waiting', 'busy'),
    ),
  },
  '/api/v1/overview': {
    get: reading(
      'Show what the page shows: the node now, and its last ten minutes second by second',
      {
        '200': answer(
          'The state of the node, and the requested samples that are kept.',
          ref('Overview'),
        ),
      },
      [
        inQuery('since', '`next` of the previous answer: only newer samples.', {
          type: 'integer',
          minimum: 0,
        }),
      ],
    ),
  },
  '/api/v1/overview/services': {
    get: reading('Show rates and latencies of services in the last seconds', {
      '200': answer('The figures, by metrics label.', ref('ServiceFigures')),
    }),
  },
  '/api/v1/services/history': {
    get: reading(
      'Show the last ten minutes of one service, a sample every four seconds',
      {
        '200': answer(
          'The requested samples that are kept. Empty if the service was not ' +
            'active yet, or has no metrics label of its own.',
          ref('ServiceHistory'),
        ),
      },
      [
        {
          ...inQuery('service', 'Name of the service, as in lists.', { type: 'string' }),
          required: true,
        },
        inQuery('since', '`next` of the previous answer: only newer samples.', {
          type: 'integer',
          minimum: 0,
        }),
      ],
    ),
  },
  '/api/v1/ha': {
    get: reading('Show the pair', { '200': answer('The pair, as this node sees it.', ref('Ha')) }),
  },
  '/api/v1/ha/switchover': {
    post: changing(
      'Hand over from the active node to its peer, which must be in sync',
      orderAnswers,
    ),
  },
  '/api/v1/ha/promote': {
    post: changing('Make a node active whose peer is dead', orderAnswers),
  },
  ...STORED_PATHS,
  '/api/v1/events': {
    get: reading(
      'Stream recent and new events as server-sent events',
      {
        '200': plain(
          'First the recent events, at most 1000, oldest first; then each new event as it ' +
            'happens. `data` is a JSON object with `time`, `event`, `severity` (`info`, `warn`, ' +
            '`error`) and the fields of the event; `key` and `address` only with a token.',
          'text/event-stream',
        ),
        '503': error('Too many clients read the events at the same time.'),
      },
      [
        {
          name: 'Last-Event-ID',
          in: 'header',
          description: '`id` of the last event that the client has: only later ones are sent.',
          schema: { type: 'string' },
        },
      ],
    ),
  },
  '/api/v1/acl/log': {
    get: holding(
      'List recent refusals and their reasons, at most 1000, newest first',
      { '200': answer('The refusals; repeated ones are one item.', ref('Refusals')) },
      [
        inQuery('limit', 'Maximum number of items.', {
          type: 'integer',
          minimum: 1,
          maximum: 1000,
        }),
      ],
    ),
  },
  '/api/v1/openapi.json': {
    get: reading('Get this API description', {
      '200': answer('The OpenAPI description.', { type: 'object' }),
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
        'Errors are `{"error": {"code", "message"}}`. Lists are `{"items", "next"}`; a page may have ' +
        'fewer items than `limit`, and the list ends when `next` is null.',
    },
    servers: [{ url: `http://${HTTP_ADDRESS}` }],
    paths: PATHS,
    components: {
      schemas: { ...SCHEMAS, ...STORED_SCHEMAS },
      securitySchemes: {
        readToken: {
          type: 'http',
          scheme: 'bearer',
          description: '`http.readToken`, which is read-only.',
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
