/**
 * The operations of the API: docs/openapi.json is made from this table, and every route is the
 * operation of its path with a handler (`jsonRoute`, `route`).
 */
import { z } from 'zod';

import * as node from './node-answers.js';
import { CancelBody, GroupsQuery, PurgeBody, RetryBody, StoredQuery } from './filters.js';
import type { Operation } from './operation.js';
import {
  HistoryQuery,
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
import * as stored from './stored-answers.js';
import { pageOf } from './words.js';

const UNKNOWN = 'There is no such request: closed, expired, or never stored.';
const NO_SCHEDULE = 'There is no such schedule.';
const TROUBLE = 'The store cannot be read or written; the message says why.';
const CHANGED = 'How many requests were changed, or with `dryRun` would be.';
const PAIR_STATE = 'Not possible in the current state of the pair; the message says why.';
const REQUEST_STATE = 'Not possible in the current state of the request; the message says why.';

/** Not described here: it follows OpenAPI's own schema. */
const AnyObject = z.looseObject({});
const ServicePage = pageOf(node.Service);
const WorkerPage = pageOf(node.Worker);
const MapPage = pageOf(node.MapEntry);
const StoredRequestPage = pageOf(stored.StoredRequest).extend({ scanned: stored.scanned });
const RequestGroupPage = pageOf(stored.RequestGroup).extend({ scanned: stored.scanned });
const SchedulePage = pageOf(stored.Schedule);

/** The schemas that the document has by name. */
export const SCHEMAS = {
  Error: node.Failure,
  Reason: node.Reason,
  Ready: node.Ready,
  NotReady: node.NotReady,
  Refusals: node.Refusals,
  Health: node.Health,
  Status: node.Status,
  Service: node.Service,
  ServicePage,
  Worker: node.Worker,
  WorkerPage,
  MapEntry: node.MapEntry,
  MapPage,
  HaChange: node.HaChange,
  Ha: node.HaStatus,
  Overview: node.Overview,
  ServiceHistory: node.ServiceHistory,
  NodeEvent: node.NodeEvent,
  StoredRequest: stored.StoredRequest,
  StoredRequestPage,
  RequestGroup: stored.RequestGroup,
  RequestGroupPage,
  SchedulePage,
  RequestHistory: stored.RequestHistory,
  Accepted: stored.Accepted,
  ServiceFailure: node.ServiceFailure,
  Bodies: stored.Bodies,
  StoredCounts: stored.StoredCounts,
  Changed: stored.Changed,
  Paused: stored.Paused,
  Fired: stored.Fired,
  BulkResult: stored.BulkResult,
};

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
      json: node.Ready,
    },
    others: {
      503: {
        description: 'The node does not serve clients; `reason` says why.',
        json: node.NotReady,
      },
    },
  },
  healthz: {
    method: 'GET',
    path: '/healthz',
    access: 'reader',
    summary: 'Show the health of the node',
    answer: { description: 'Health and state of the node.', json: node.Health },
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    access: 'reader',
    summary: 'Get the metrics',
    answer: { description: 'Metrics in the Prometheus text format.', type: 'text/plain' },
  },
  status: {
    method: 'GET',
    path: '/api/v1/status',
    access: 'reader',
    summary: 'Show the state and limits of the broker',
    answer: { description: 'The state of the broker.', json: node.Status },
  },
  services: {
    method: 'GET',
    path: '/api/v1/services',
    access: 'reader',
    summary: 'List services that have workers or requests, or were active in the last ten minutes',
    query: ServiceQuery,
    answer: { description: 'A page of services.', json: ServicePage },
  },
  pauseService: {
    method: 'POST',
    path: '/api/v1/services/{service}/pause',
    access: 'changer',
    summary: 'Have the requests for a service wait; those that its workers have go on',
    parts: ServicePart,
    answer: { description: 'The service is paused; the change is on disk.', json: stored.Paused },
    others: { 503: TROUBLE },
  },
  resumeService: {
    method: 'POST',
    path: '/api/v1/services/{service}/resume',
    access: 'changer',
    summary: 'Let the requests for a paused service go to its workers again',
    parts: ServicePart,
    answer: { description: 'It is not paused; the change is on disk.', json: stored.Paused },
    others: { 503: TROUBLE },
  },
  workers: {
    method: 'GET',
    path: '/api/v1/workers',
    access: 'reader',
    summary: 'List registered workers',
    query: WorkerQuery,
    answer: { description: 'A page of workers.', json: WorkerPage },
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
      json: MapPage,
    },
    others: { 404: 'This node has no map: `map.listen` is off.' },
  },
  overview: {
    method: 'GET',
    path: '/api/v1/overview',
    access: 'reader',
    summary: 'Show what the page shows: the node now, and its last ten minutes second by second',
    query: SinceQuery,
    answer: {
      description: 'The state of the node, and the requested samples that are kept.',
      json: node.Overview,
    },
  },
  serviceHistory: {
    method: 'GET',
    path: '/api/v1/services/history',
    access: 'reader',
    summary: 'Show the last ten minutes of one service, a sample every four seconds',
    query: HistoryQuery,
    answer: {
      description:
        'The requested samples that are kept. Empty if the service was not ' +
        'active yet, or `kept` is false.',
      json: node.ServiceHistory,
    },
  },
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
        '`partial`, `reply` and `error`; `multipart/mixed`: its frames as parts.',
      Prefer: '`respond-async`: store the request and answer 202.',
      'Idempotency-Key': 'For a durable request: the same key stores nothing twice.',
      'Majordomo-Header-NAME': 'Header NAME of the request, for the worker.',
    },
    bytes: 'The body of the request: one frame.',
    answer: { description: 'The reply, its frames joined.', type: '*/*' },
    others: {
      202: {
        description: 'The request is stored; `Location` has its result.',
        json: stored.Accepted,
      },
      404: 'No worker serves the service, or durable requests are off.',
      408: 'The request did not arrive in time.',
      422: { description: 'The worker reports a failure.', json: node.ServiceFailure },
      429: 'A limit or a quota is used up; the message names it.',
      502: 'The broker gave the request up, or the answer of the worker was not usable.',
      503: 'This node does not serve clients now, or the store cannot be written.',
      504: 'There was no reply in time.',
    },
  },
  ha: {
    method: 'GET',
    path: '/api/v1/ha',
    access: 'reader',
    summary: 'Show the pair',
    answer: { description: 'The pair, as this node sees it.', json: node.HaStatus },
  },
  switchover: {
    method: 'POST',
    path: '/api/v1/ha/switchover',
    access: 'changer',
    summary: 'Hand over from the active node to its peer, which must be in sync',
    answer: { description: 'Done; the new state of the pair.', json: node.HaStatus },
    others: { 409: PAIR_STATE },
  },
  promote: {
    method: 'POST',
    path: '/api/v1/ha/promote',
    access: 'changer',
    summary: 'Make a node active whose peer is dead',
    answer: { description: 'Done; the new state of the pair.', json: node.HaStatus },
    others: { 409: PAIR_STATE },
  },
  storedRequests: {
    method: 'GET',
    path: '/api/v1/titanic/requests',
    access: 'reader',
    summary: 'List stored requests, newest first',
    query: StoredQuery,
    answer: { description: 'A page of stored requests.', json: StoredRequestPage },
    others: { 503: TROUBLE },
  },
  groups: {
    method: 'GET',
    path: '/api/v1/titanic/groups',
    access: 'reader',
    summary: 'Count stored requests by reason, code or service',
    query: GroupsQuery,
    answer: {
      description:
        'Groups, those with the most requests first. The next answer may have more of a group.',
      json: RequestGroupPage,
    },
    others: { 503: TROUBLE },
  },
  requestHistory: {
    method: 'GET',
    path: '/api/v1/titanic/requests/{uuid}',
    access: 'reader',
    summary: 'Show the history of one stored request',
    parts: UuidPart,
    answer: { description: 'The request and its history.', json: stored.RequestHistory },
    others: { 404: UNKNOWN, 503: TROUBLE },
  },
  bodies: {
    method: 'GET',
    path: '/api/v1/titanic/requests/{uuid}/bodies',
    access: 'changer',
    summary: 'Show the body and the reply of one stored request, the first 64 KiB of each',
    parts: UuidPart,
    answer: { description: 'The bodies; null: there is none.', json: stored.Bodies },
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
      202: { description: 'There is no reply yet.', json: stored.Accepted },
      404: UNKNOWN,
      422: { description: 'It is dead: what the worker reported.', json: node.ServiceFailure },
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
    answer: { description: 'Done; the change is on disk.', json: stored.Changed },
    others: { 404: UNKNOWN, 429: 'A quota is used up; the message names it.', 503: TROUBLE },
  },
  retry: {
    method: 'POST',
    path: '/api/v1/titanic/requests/{uuid}/retry',
    access: 'changer',
    summary: 'Retry a dead request',
    parts: UuidPart,
    answer: { description: 'Done; the change is on disk.', json: stored.Changed },
    others: { 404: UNKNOWN, 409: REQUEST_STATE, 503: TROUBLE },
  },
  cancel: {
    method: 'POST',
    path: '/api/v1/titanic/requests/{uuid}/cancel',
    access: 'changer',
    summary: 'Cancel a request that has no reply',
    parts: UuidPart,
    answer: { description: 'Done; the change is on disk.', json: stored.Changed },
    others: { 404: UNKNOWN, 409: REQUEST_STATE, 503: TROUBLE },
  },
  storedCounts: {
    method: 'GET',
    path: '/api/v1/titanic/counts',
    access: 'reader',
    summary: 'Count stored requests by state and service',
    answer: { description: 'The current counts.', json: stored.StoredCounts },
    others: { 503: TROUBLE },
  },
  schedules: {
    method: 'GET',
    path: '/api/v1/titanic/schedules',
    access: 'reader',
    summary: 'List schedules, by due time. Cancel the request of that uuid to end one',
    query: ScheduleQuery,
    answer: { description: 'A page of the schedules of all owners.', json: SchedulePage },
    others: { 503: TROUBLE },
  },
  pauseSchedule: {
    method: 'POST',
    path: '/api/v1/titanic/schedules/{uuid}/pause',
    access: 'changer',
    summary: 'Have nothing stored for a schedule when it is due',
    parts: UuidPart,
    answer: { description: 'It is paused; the change is on disk.', json: stored.Paused },
    others: { 404: NO_SCHEDULE, 503: TROUBLE },
  },
  resumeSchedule: {
    method: 'POST',
    path: '/api/v1/titanic/schedules/{uuid}/resume',
    access: 'changer',
    summary: 'Have requests stored for a paused schedule again, from its next due time on',
    parts: UuidPart,
    answer: { description: 'It is not paused; the change is on disk.', json: stored.Paused },
    others: { 404: NO_SCHEDULE, 503: TROUBLE },
  },
  fireSchedule: {
    method: 'POST',
    path: '/api/v1/titanic/schedules/{uuid}/fire',
    access: 'changer',
    summary: 'Store a request for a schedule now, beside those of its due times',
    parts: UuidPart,
    answer: { description: 'A request is stored.', json: stored.Fired },
    others: { 404: NO_SCHEDULE, 503: TROUBLE },
  },
  retryMany: {
    method: 'POST',
    path: '/api/v1/titanic/retry',
    access: 'changer',
    summary: 'Retry dead requests',
    body: RetryBody,
    answer: { description: CHANGED, json: stored.BulkResult },
    others: { 503: TROUBLE },
  },
  purge: {
    method: 'POST',
    path: '/api/v1/titanic/purge',
    access: 'changer',
    summary: 'Delete stored requests; without `state`, dead and replied ones',
    body: PurgeBody,
    answer: { description: CHANGED, json: stored.BulkResult },
    others: { 503: TROUBLE },
  },
  cancelMany: {
    method: 'POST',
    path: '/api/v1/titanic/cancel',
    access: 'changer',
    summary: 'Cancel stored requests without a reply; at least one filter is needed',
    body: CancelBody,
    answer: { description: CHANGED, json: stored.BulkResult },
    others: { 503: TROUBLE },
  },
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
      data: node.NodeEvent,
    },
    others: { 503: 'Too many clients read the events at the same time.' },
  },
  refusals: {
    method: 'GET',
    path: '/api/v1/acl/log',
    access: 'bearer',
    summary: 'List recent refusals and their reasons, at most 1000, newest first',
    query: RefusalQuery,
    answer: { description: 'The refusals; repeated ones are one item.', json: node.Refusals },
  },
  openApi: {
    method: 'GET',
    path: '/api/v1/openapi.json',
    access: 'reader',
    summary: 'Get this API description',
    answer: { description: 'The OpenAPI description.', json: AnyObject },
  },
} as const satisfies Record<string, Operation>;
