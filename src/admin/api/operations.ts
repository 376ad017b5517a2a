/**
 * The operations of the API: docs/openapi.json is made from this table, and every route is the
 * operation of its path with a handler (`jsonRoute`, `route`).
 */
import { CancelBody, GroupsQuery, PurgeBody, RetryBody, StoredQuery } from './filters.js';
import type { Operation, SchemaName } from './operation.js';
import {
  ClientQuery,
  DayQuery,
  HistoryQuery,
  LimitBody,
  MapQuery,
  RefusalQuery,
  RequestQuery,
  ResultQuery,
  ServiceQuery,
  ServicePart,
  SinceQuery,
  ScheduleQuery,
  UuidPart,
  WorkerQuery,
} from './parameters.js';

const UNKNOWN = 'There is no such request: closed, expired, or never stored.';
const NO_SCHEDULE = 'There is no such schedule.';
const TROUBLE = 'The store cannot be read or written; the message says why.';
const CHANGED = 'How many requests were changed, or with `dryRun` would be.';
const PAIR_STATE = 'Not possible in the current state of the pair; the message says why.';
const REQUEST_STATE = 'Not possible in the current state of the request; the message says why.';

type More = Partial<Operation>;

/** Operations of one kind that answer with JSON. */
const kind =
  <const Kind extends Pick<Operation, 'method' | 'access'>>(of: Kind) =>
  <Json extends SchemaName, const Rest extends More>(
    path: string,
    summary: string,
    [description, json]: readonly [description: string, json: Json],
    rest: Rest,
  ) => ({ ...of, path, summary, answer: { description, json }, ...rest });

const read = kind({ method: 'GET', access: 'reader' });
/** An operation of an operator, answered when it is done. */
const change = kind({ method: 'POST', access: 'changer' });

const STORED = { 503: TROUBLE } as const;
const OF_SERVICE = { parts: ServicePart, others: STORED } as const;
const OF_SCHEDULE = { parts: UuidPart, others: { 404: NO_SCHEDULE, ...STORED } } as const;
const OF_REQUEST = {
  parts: UuidPart,
  others: { 404: UNKNOWN, 409: REQUEST_STATE, ...STORED },
} as const;
const OF_PAIR = { others: { 409: PAIR_STATE } } as const;
const PAUSED = ['It is paused; the change is on disk.', 'Paused'] as const;
const RESUMED = ['It is not paused; the change is on disk.', 'Paused'] as const;
const DONE = ['Done; the change is on disk.', 'Changed'] as const;
const PAIR = ['Done; the new state of the pair.', 'Ha'] as const;
const MANY = [CHANGED, 'BulkResult'] as const;

export const OPERATIONS = {
  livez: {
    method: 'GET',
    path: '/livez',
    access: 'open',
    summary: 'Check that the process works',
    answer: { description: 'The process works.', type: 'text/plain' },
  },
  readyz: {
    method: 'GET',
    path: '/readyz',
    access: 'open',
    summary: 'Check whether this node serves clients',
    answer: {
      description: 'The node serves clients; `degraded` lists problems.',
      json: 'Ready',
    },
    others: {
      503: {
        description: 'The node does not serve clients; `reason` says why.',
        json: 'NotReady',
      },
    },
  },
  servez: {
    method: 'GET',
    path: '/servez',
    access: 'open',
    summary: 'Check whether a request would be served here',
    answer: {
      description:
        'The node serves clients, or takes over with the next request of a client, because the other node of its pair is dead.',
      type: 'text/plain',
    },
    others: {
      503: {
        description: 'The node would refuse a request; `reason` says why.',
        json: 'NotReady',
      },
    },
  },
  healthz: read(
    '/healthz',
    'Show the health of the node',
    ['Health and state of the node.', 'Health'],
    {},
  ),
  metrics: {
    method: 'GET',
    path: '/metrics',
    access: 'reader',
    summary: 'Get the metrics',
    answer: { description: 'Metrics in the Prometheus text format.', type: 'text/plain' },
  },
  status: read(
    '/api/v1/status',
    'Show the state and limits of the broker',
    ['The state of the broker.', 'Status'],
    {},
  ),
  services: read(
    '/api/v1/services',
    'List services that have workers or requests, or were active in the last ten minutes',
    ['A page of services.', 'ServicePage'],
    { query: ServiceQuery },
  ),
  pauseService: change(
    '/api/v1/services/{service}/pause',
    'Have the requests for a service wait; those that its workers have go on',
    PAUSED,
    OF_SERVICE,
  ),
  resumeService: change(
    '/api/v1/services/{service}/resume',
    'Let the requests for a paused service go to its workers again',
    RESUMED,
    OF_SERVICE,
  ),
  limitService: change(
    '/api/v1/services/{service}/limit',
    'Limit how many requests of a service, and of each of its groups, run at once and start per second',
    ['The limits hold, in place of all others; they are on disk.', 'Limited'],
    { ...OF_SERVICE, body: LimitBody },
  ),
  unlimitService: change(
    '/api/v1/services/{service}/unlimit',
    'Take away the limits that an operator set: those of the configuration hold again',
    ['No limits of an operator hold; the change is on disk.', 'Limited'],
    OF_SERVICE,
  ),
  contract: read(
    '/api/v1/services/{service}/contract',
    'Show what the workers of a service announced of it: what it takes and answers',
    ['The different contracts, as in mmi.contract.', 'Contracts'],
    { parts: ServicePart, others: { 404: 'No worker of the service announced a contract.' } },
  ),
  workers: read(
    '/api/v1/workers',
    'List registered workers',
    ['A page of workers.', 'WorkerPage'],
    {
      query: WorkerQuery,
    },
  ),
  clients: {
    method: 'GET',
    path: '/api/v1/clients',
    access: 'bearer',
    summary: 'List the clients that use most of this node, the busiest first',
    query: ClientQuery,
    answer: {
      description: 'The busiest keys, tokens and addresses, and how many there are.',
      json: 'Clients',
    },
  },
  map: {
    method: 'GET',
    path: '/api/v1/map',
    access: 'bearer',
    summary: 'List the keys and values of the map, as this node has them; in no particular order',
    query: MapQuery,
    answer: {
      description:
        'A page of the map. A key that exists as long as the pages are read is in one of them.',
      json: 'MapPage',
    },
    others: { 404: 'This node has no map: `map.listen` is off.' },
  },
  overview: read(
    '/api/v1/overview',
    'Show what the page shows: the node now, and its last ten minutes second by second',
    ['The state of the node, and the requested samples that are kept.', 'Overview'],
    { query: SinceQuery },
  ),
  serviceHistory: read(
    '/api/v1/services/history',
    'Show the last ten minutes of one service, a sample every four seconds',
    [
      'The requested samples that are kept. Empty if the service was not ' +
        'active yet, or `kept` is false.',
      'ServiceHistory',
    ],
    { query: HistoryQuery },
  ),
  day: read(
    '/api/v1/history',
    'Show the last day of the node, or of a service with a label in the metrics, a sample for each minute',
    ['The samples that are kept.', 'DayHistory'],
    { query: DayQuery },
  ),
  request: {
    method: 'POST',
    path: '/api/v1/services/{service}/requests',
    access: 'requester',
    summary: 'Send a request to a service, and wait for the reply or store the request',
    parts: ServicePart,
    query: RequestQuery,
    headers: {
      Accept:
        'Type of the reply, if it names one; `text/event-stream`: its parts as they come, as events ' +
        '`partial`, `progress`, `reply` and `error`; `multipart/mixed`: its frames as parts.',
      Prefer: '`respond-async`: store the request and answer 202.',
      'Idempotency-Key':
        'The same key of a token for the same service joins the request that runs, or gets its answer while that is kept (`broker.resumeMs`); a durable request is stored once. It is refused for another request. A key in quotation marks (a string of RFC 8941) is the same as without them.',
      'Majordomo-Once':
        '`true`: at most one worker runs the request; if it does not answer, the answer is 502 (`ERR_HTTP_OUTCOME_UNKNOWN`). Not for a durable request.',
      'Majordomo-Group':
        'The group of the request, such as a tenant or a device: those of a service take turns. 1 to 255 bytes of UTF-8.',
      'Majordomo-Webhook': 'For a durable request: the URL that is told of its end.',
      'Majordomo-Header-NAME': 'Header NAME of the request, for the worker.',
    },
    bytes: 'The body of the request: one frame, or with `multipart/mixed` each part is one.',
    answer: {
      description:
        'The reply, its frames joined. `Idempotency-Status` says what became of the `Idempotency-Key`: `new`, `joined`, `kept`, or `unknown`: the request may have run before.',
      type: '*/*',
    },
    others: {
      202: {
        description: 'The request is stored, or existed before; `Location` has its result.',
        json: 'Stored',
      },
      404: 'No worker serves the service, or durable requests are off.',
      408: 'The request did not arrive in time.',
      422: {
        description:
          'The worker reports a failure, or (`ERR_HTTP_KEY_REUSED`) the `Idempotency-Key` is that of ' +
          'another request: nothing runs, and nothing is stored.',
        json: 'RequestFailure',
      },
      429: 'A limit or a quota is used up; the message names it.',
      502: 'The broker gave the request up, or the answer of the worker was not usable; or (`ERR_HTTP_OUTCOME_UNKNOWN`) it may run once only, and may have run.',
      503: 'This node does not serve clients now, or the store cannot be written.',
      504: 'There was no reply in time.',
    },
  },
  ha: read('/api/v1/ha', 'Show the pair', ['The pair, as this node sees it.', 'Ha'], {}),
  switchover: change(
    '/api/v1/ha/switchover',
    'Hand over from the active node to its peer, which must be in sync',
    PAIR,
    OF_PAIR,
  ),
  promote: change('/api/v1/ha/promote', 'Make a node active whose peer is dead', PAIR, OF_PAIR),
  storedRequests: read(
    '/api/v1/titanic/requests',
    'List durable requests, newest first',
    ['A page of durable requests.', 'StoredRequestPage'],
    { query: StoredQuery, others: STORED },
  ),
  groups: read(
    '/api/v1/titanic/groups',
    'Count durable requests by reason, code or service',
    [
      'Groups, those with the most requests first. The next answer may have more of a group.',
      'RequestGroupPage',
    ],
    { query: GroupsQuery, others: STORED },
  ),
  requestHistory: read(
    '/api/v1/titanic/requests/{uuid}',
    'Show the history of one durable request',
    ['The request and its history.', 'RequestHistory'],
    { parts: UuidPart, others: { 404: UNKNOWN, 503: TROUBLE } },
  ),
  bodies: {
    method: 'GET',
    path: '/api/v1/titanic/requests/{uuid}/bodies',
    access: 'changer',
    summary: 'Show the body and the reply of one durable request, the first 64 KiB of each',
    parts: UuidPart,
    answer: { description: 'The bodies; null: there is none.', json: 'Bodies' },
    others: {
      404: '`titanic.showBodies` is false, or there is no such request: closed, expired, or never stored.',
      503: TROUBLE,
    },
  },
  result: {
    method: 'GET',
    path: '/api/v1/titanic/requests/{uuid}/result',
    access: 'requester',
    summary: 'Get the reply to a request that this token has stored, and wait for it',
    parts: UuidPart,
    query: ResultQuery,
    headers: { Accept: 'As for the request itself, but for `text/event-stream`.' },
    bytes: 'None.',
    answer: { description: 'The reply, its frames joined.', type: '*/*' },
    others: {
      202: { description: 'There is no reply yet.', json: 'Accepted' },
      404: UNKNOWN,
      422: { description: 'It is dead: what the worker reported.', json: 'ServiceFailure' },
      429: 'A limit or a quota is used up; the message names it.',
      502: 'It is dead, and no worker said why.',
      503: TROUBLE,
      504: 'The store did not answer in time.',
    },
  },
  close: {
    method: 'DELETE',
    path: '/api/v1/titanic/requests/{uuid}',
    access: 'requester',
    summary: 'End a request that this token has stored: cancel it, or delete its reply',
    parts: UuidPart,
    bytes: 'None.',
    answer: { description: 'Done; the change is on disk.', json: 'Changed' },
    others: { 404: UNKNOWN, 429: 'A quota is used up; the message names it.', 503: TROUBLE },
  },
  retry: change('/api/v1/titanic/requests/{uuid}/retry', 'Retry a dead request', DONE, OF_REQUEST),
  runNow: change(
    '/api/v1/titanic/requests/{uuid}/run',
    'Run a request now that is to run later; its time to live begins',
    DONE,
    OF_REQUEST,
  ),
  cancel: change(
    '/api/v1/titanic/requests/{uuid}/cancel',
    'Cancel a request that has no reply',
    DONE,
    OF_REQUEST,
  ),
  storedCounts: read(
    '/api/v1/titanic/counts',
    'Count durable requests by state and service',
    ['The current counts.', 'StoredCounts'],
    { others: STORED },
  ),
  schedules: read(
    '/api/v1/titanic/schedules',
    'List schedules, by due time. Cancel the record of that uuid to end one',
    ['A page of the schedules of all owners.', 'SchedulePage'],
    { query: ScheduleQuery, others: STORED },
  ),
  pauseSchedule: change(
    '/api/v1/titanic/schedules/{uuid}/pause',
    'Have nothing stored for a schedule when it is due',
    PAUSED,
    OF_SCHEDULE,
  ),
  resumeSchedule: change(
    '/api/v1/titanic/schedules/{uuid}/resume',
    'Have requests stored for a paused schedule again, from its next due time on',
    RESUMED,
    OF_SCHEDULE,
  ),
  fireSchedule: change(
    '/api/v1/titanic/schedules/{uuid}/fire',
    'Store a request for a schedule now, beside those of its due times',
    ['A request is stored.', 'Fired'],
    OF_SCHEDULE,
  ),
  retryMany: change('/api/v1/titanic/retry', 'Retry dead requests', MANY, {
    body: RetryBody,
    others: STORED,
  }),
  purge: change(
    '/api/v1/titanic/purge',
    'Delete durable requests; without `state`, dead and replied ones',
    MANY,
    { body: PurgeBody, others: STORED },
  ),
  cancelMany: change(
    '/api/v1/titanic/cancel',
    'Cancel durable requests without a reply; at least one filter is needed',
    MANY,
    { body: CancelBody, others: STORED },
  ),
  events: {
    method: 'GET',
    path: '/api/v1/events',
    access: 'reader',
    summary: 'Stream recent and new events as server-sent events',
    headers: {
      'Last-Event-ID': '`id` of the last event that the client has: only later ones are sent.',
    },
    answer: {
      description:
        'First the recent events, at most 1000, oldest first; then each new event as it ' +
        'happens. `data` is JSON, as `x-data` says.',
      type: 'text/event-stream',
      data: 'NodeEvent',
    },
    others: { 503: 'Too many clients read the events at the same time.' },
  },
  refusals: {
    method: 'GET',
    path: '/api/v1/acl/log',
    access: 'bearer',
    summary: 'List recent refusals and their reasons, at most 1000, newest first',
    query: RefusalQuery,
    answer: { description: 'The refusals; repeated ones are one item.', json: 'Refusals' },
  },
  openApi: read(
    '/api/v1/openapi.json',
    'Get this API description',
    ['The OpenAPI description.', 'object'],
    {},
  ),
} as const satisfies Record<string, Operation>;
