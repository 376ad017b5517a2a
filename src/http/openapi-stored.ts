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
    'The credential for the reply: whole for those who give a token, for others its first half.',
};
const flag: Json = { type: 'boolean' };
const worker = text('Its number, as in the log.');

const ITEM: Readonly<Record<string, Json>> = {
  uuid,
  service: text('Percent-escaped where it is not printable ASCII.'),
  state: oneOf('pending', 'dispatched', 'replied', 'dead'),
  priority: { type: 'integer' },
  attempts: count('Deliveries that ended without a reply since the last retry of an operator.'),
  maxAttempts: count(),
  generation: count('How often an operator retried it.'),
  acceptedAt: moment(),
  notBefore: moment('It is not dispatched before.'),
  expiresAt: moment('When it ends: unserved, or unclosed.'),
  reason: orNull(
    text(
      'Why it is dead, or why its last attempt failed, the first 256 characters; null: none failed, ' +
        'or it has a reply.',
    ),
  ),
  bodyBytes: count('As it is stored: its frames, each with its length.'),
  owner: orNull(
    text(
      'The name of the CURVE key that stored it; null: stored without one, or by a version that ' +
        'kept no owners, or shown to somebody without a token.',
    ),
  ),
  shared: { type: 'boolean', description: 'Open to everybody who has the uuid.' },
};

/** Of a request or a reply. */
const BODY = object({
  bytes: count('Of the whole, as it is stored: its frames, each with its length.'),
  cut: { ...flag, description: 'There is more: only the first 64 KiB, or 256 frames, are here.' },
  frames: listOf(
    object({
      bytes: count('Of the whole frame; of one that is cut, `data` has the beginning.'),
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
    text: text('The words of the worker, at most 1 KiB.'),
    detail: listOf(
      object({ encoding: oneOf('utf8', 'base64'), data: text() }),
      'The first 4 KiB of what the worker added.',
    ),
  }),
);

export const STORED_SCHEMAS: Readonly<Record<string, Json>> = {
  StoredRequest: object(ITEM),
  Story: object({
    ...ITEM,
    hasKey: { type: 'boolean', description: 'It came with an idempotency key.' },
    attemptsEver: count('Before those retries, too.'),
    deliveries: listOf(
      object({ worker, startedAt: moment(), endedAt: moment(), reason: text(), failure }),
      'The last 20 that ended without a reply, the oldest first.',
    ),
    delivery: orNull(object({ worker, startedAt: moment() })),
    reply: orNull(object({ bytes: count(), worker, repliedAt: moment() })),
    death: orNull(object({ reason: text(), diedAt: moment() })),
    showsBodies: {
      ...flag,
      description: '`titanic.showBodies`: holders of the token can see bodies.',
    },
  }),
  Bodies: object({ uuid, body: orNull(BODY), reply: orNull(BODY) }),
  StoredCounts: object({
    pending: count(),
    dispatched: count(),
    replied: count(),
    dead: count(),
    bytes: count('Size of the store.'),
    services: listOf(
      object({
        service: text(),
        pending: count(),
        dispatched: count(),
        replied: count(),
        dead: count(),
      }),
      'By name, the first thousand.',
    ),
  }),
  Changed: object({ uuid, state: oneOf('pending', 'closed') }),
  Bulk: object({
    count: count('Changed, and on the disk.'),
    more: { ...flag, description: 'It ended at `limit`, or after 20 s: there may be others.' },
  }),
};

const inPath: Json = {
  name: 'uuid',
  in: 'path',
  required: true,
  description: '32 hexadecimal characters, of either case.',
  schema: { type: 'string', pattern: '^[0-9A-Fa-f]{32}$' },
};
const UNKNOWN = error('Unknown: closed, expired, or never stored.');
const TROUBLE = error('The store cannot be read or written now; the message says why.');

const OLDER = 'Only what was accepted longer ago.';

function filtered(...states: readonly string[]): Asked {
  const properties = {
    service: text('Only of this service, its name as it is shown.'),
    state: oneOf(...states),
    olderThanMs: count(OLDER),
    limit: { type: 'integer', minimum: 1, description: 'At most so many; without it all.' },
  };
  const schema = { type: 'object', properties, additionalProperties: false };
  return { requestBody: { content: { 'application/json': { schema } } } };
}

function order(summary: string): Json {
  const responses = {
    '200': answer('It is done, and on the disk.', ref('Changed')),
    '404': UNKNOWN,
    '409': error('It is in another state; the message says in which.'),
    '503': TROUBLE,
  };
  return { post: changing(summary, responses, { parameters: [inPath] }) };
}

const BULK = { '200': answer('How many.', ref('Bulk')), '503': TROUBLE };

export const STORED_PATHS: Readonly<Record<string, Json>> = {
  '/api/v1/titanic/requests': {
    get: reading(
      'Stored requests, the newest first',
      { '200': answer('A page.', page(ref('StoredRequest'))), '503': TROUBLE },
      [
        ...listParameters('pending', 'dispatched', 'replied', 'dead', 'closed', 'expired'),
        inQuery('olderThanMs', OLDER, { type: 'integer', minimum: 0 }),
      ],
    ),
  },
  '/api/v1/titanic/requests/{uuid}': {
    get: reading(
      "One request's whole story",
      { '200': answer('It.', ref('Story')), '404': UNKNOWN, '503': TROUBLE },
      [inPath],
    ),
  },
  '/api/v1/titanic/requests/{uuid}/bodies': {
    get: secret(
      "One request's body and its reply, the first 64 KiB of each",
      {
        '200': answer('They. `null`: there is none.', ref('Bodies')),
        '404': error(
          '`titanic.showBodies` is false; or unknown: closed, expired, or never stored.',
        ),
        '503': TROUBLE,
      },
      [inPath],
    ),
  },
  '/api/v1/titanic/requests/{uuid}/retry': order('A dead one is tried anew'),
  '/api/v1/titanic/requests/{uuid}/cancel': order('Closes one that has no reply'),
  '/api/v1/titanic/counts': {
    get: reading('Stored requests by state and service', {
      '200': answer('As they are now.', ref('StoredCounts')),
      '503': TROUBLE,
    }),
  },
  '/api/v1/titanic/retry': {
    post: changing('The dead are tried anew', BULK, filtered('dead')),
  },
  '/api/v1/titanic/purge': {
    post: changing(
      'Deletes stored requests: without a state, the dead and those replied to',
      BULK,
      filtered('dead', 'replied', 'pending'),
    ),
  },
};
