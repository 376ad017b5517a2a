/** Stored requests, in the description of the API. */
import {
  answer,
  type Asked,
  changing,
  error,
  inQuery,
  listParameters,
  reading,
  secret,
} from './openapi-operations.js';
import {
  count,
  type Json,
  listOf,
  moment,
  object,
  oneOf,
  orNull,
  page,
  ref,
  text,
} from './openapi-words.js';

const uuid: Json = {
  type: 'string',
  pattern: '^([0-9A-F]{32}|[0-9A-F]{16}…)$',
  description:
    'UUID of the request, which is the credential for its reply. Only the first half without a token.',
};
const flag: Json = { type: 'boolean' };
const worker = text('Number of the worker, as in the log.');

const ITEM: Readonly<Record<string, Json>> = {
  uuid,
  service: text('Name of the service. Bytes that are not printable ASCII are percent-escaped.'),
  state: oneOf('pending', 'dispatched', 'replied', 'dead'),
  priority: { type: 'integer' },
  attempts: count('Deliveries that ended without a reply since the last retry by an operator.'),
  maxAttempts: count(),
  generation: count('How many times an operator retried the request.'),
  acceptedAt: moment(),
  notBefore: moment('The broker does not dispatch the request before this time.'),
  expiresAt: moment('When the request expires if it is not served or its reply not closed.'),
  reason: orNull(
    text(
      'Why the request is dead or its last attempt failed, the first 256 characters; null: no attempt ' +
        'failed, or there is a reply.',
    ),
  ),
  bodyBytes: count('Size as stored: the frames, each with its length.'),
  owner: orNull(
    text(
      'Name of the CURVE key that stored the request; null: stored without a key or by an old version ' +
        'that kept no owners, or read without a token.',
    ),
  ),
  shared: { type: 'boolean', description: 'Whether every holder of the uuid may use the request.' },
};

/** Of a request or a reply. */
const BODY = object({
  bytes: count('Size of the whole body as stored: the frames, each with its length.'),
  cut: {
    ...flag,
    description: 'Whether the body is truncated: `frames` has at most 64 KiB and 256 frames.',
  },
  frames: listOf(
    object({
      bytes: count('Size of the whole frame; `data` of a truncated frame has only its beginning.'),
      encoding: oneOf('utf8', 'base64'),
      data: text(),
    }),
  ),
});

/** What a worker said of its attempt. */
const failure = orNull(
  object({
    kind: oneOf('error', 'final', 'retry'),
    code: text(),
    text: text('Error message of the worker, at most 1 KiB.'),
    detail: listOf(
      object({ encoding: oneOf('utf8', 'base64'), data: text() }),
      'The first 4 KiB of the detail frames of the failure.',
    ),
  }),
);

export const STORED_SCHEMAS: Readonly<Record<string, Json>> = {
  StoredRequest: object(ITEM),
  Story: object({
    ...ITEM,
    hasKey: { type: 'boolean', description: 'Whether the request has an idempotency key.' },
    attemptsEver: count('Attempts in total, including those before retries by an operator.'),
    deliveries: listOf(
      object({ worker, startedAt: moment(), endedAt: moment(), reason: text(), failure }),
      'The last 20 deliveries that ended without a reply, oldest first.',
    ),
    delivery: orNull(object({ worker, startedAt: moment() })),
    reply: orNull(object({ bytes: count(), worker, repliedAt: moment() })),
    death: orNull(object({ reason: text(), diedAt: moment() })),
    showsBodies: {
      ...flag,
      description: '`titanic.showBodies`: whether holders of `http.token` can read bodies.',
    },
  }),
  Bodies: object({ uuid, body: orNull(BODY), reply: orNull(BODY) }),
  StoredCounts: object({
    pending: count(),
    dispatched: count(),
    replied: count(),
    dead: count(),
    bytes: count('Size of the store, in bytes.'),
    services: listOf(
      object({
        service: text(),
        pending: count(),
        dispatched: count(),
        replied: count(),
        dead: count(),
      }),
      'The first thousand services, by name.',
    ),
  }),
  Changed: object({ uuid, state: oneOf('pending', 'closed') }),
  Bulk: object({
    count: count('Number of changed requests; the change is on disk.'),
    more: {
      ...flag,
      description:
        'Whether more requests may match: the operation stopped at `limit` or after 20 s.',
    },
  }),
};

const inPath: Json = {
  name: 'uuid',
  in: 'path',
  required: true,
  description: 'UUID of the request: 32 hexadecimal characters, in either case.',
  schema: { type: 'string', pattern: '^[0-9A-Fa-f]{32}$' },
};
const UNKNOWN = error('There is no such request: closed, expired, or never stored.');
const TROUBLE = error('The store cannot be read or written; the message says why.');

const OLDER = 'Only requests accepted longer ago than this.';

function filtered(...states: readonly string[]): Asked {
  const properties = {
    service: text('Only requests for this service, with its name as in lists.'),
    state: oneOf(...states),
    olderThanMs: count(OLDER),
    limit: { type: 'integer', minimum: 1, description: 'Change at most this many; default: all.' },
  };
  const schema = { type: 'object', properties, additionalProperties: false };
  return { requestBody: { content: { 'application/json': { schema } } } };
}

function order(summary: string): Json {
  const responses = {
    '200': answer('Done; the change is on disk.', ref('Changed')),
    '404': UNKNOWN,
    '409': error('Not possible in the current state of the request; the message says why.'),
    '503': TROUBLE,
  };
  return { post: changing(summary, responses, { parameters: [inPath] }) };
}

const BULK = { '200': answer('How many requests were changed.', ref('Bulk')), '503': TROUBLE };

export const STORED_PATHS: Readonly<Record<string, Json>> = {
  '/api/v1/titanic/requests': {
    get: reading(
      'List stored requests, newest first',
      { '200': answer('A page of stored requests.', page(ref('StoredRequest'))), '503': TROUBLE },
      [
        ...listParameters('pending', 'dispatched', 'replied', 'dead', 'closed', 'expired'),
        inQuery('olderThanMs', OLDER, { type: 'integer', minimum: 0 }),
      ],
    ),
  },
  '/api/v1/titanic/requests/{uuid}': {
    get: reading(
      'Show the history of one stored request',
      {
        '200': answer('The request and its history.', ref('Story')),
        '404': UNKNOWN,
        '503': TROUBLE,
      },
      [inPath],
    ),
  },
  '/api/v1/titanic/requests/{uuid}/bodies': {
    get: secret(
      'Show the body and the reply of one stored request, the first 64 KiB of each',
      {
        '200': answer('The bodies; null: there is none.', ref('Bodies')),
        '404': error(
          '`titanic.showBodies` is false, or there is no such request: closed, expired, or never stored.',
        ),
        '503': TROUBLE,
      },
      [inPath],
    ),
  },
  '/api/v1/titanic/requests/{uuid}/retry': order('Retry a dead request'),
  '/api/v1/titanic/requests/{uuid}/cancel': order('Cancel a request that has no reply'),
  '/api/v1/titanic/counts': {
    get: reading('Count stored requests by state and service', {
      '200': answer('The current counts.', ref('StoredCounts')),
      '503': TROUBLE,
    }),
  },
  '/api/v1/titanic/retry': {
    post: changing('Retry dead requests', BULK, filtered('dead')),
  },
  '/api/v1/titanic/purge': {
    post: changing(
      'Delete stored requests; without `state`, dead and replied ones',
      BULK,
      filtered('dead', 'replied', 'pending'),
    ),
  },
};
