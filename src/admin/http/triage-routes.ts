/** What operators find among the stored requests, and what they do with all that they find. */
import { isWork } from '../../store/record-kind.js';
import type { z } from 'zod';

import { escapeName } from '../../core/escape.js';
import type { RequestGroup as StoredGroup } from '../../store/queries.js';
import type {
  BulkAct,
  OperatorApi,
  RequestFilter,
  RequestSelection,
  ShownState,
} from '../../titanic/operator/operator-api.js';
import type { CancelBody, StoredQuery } from '../api/filters.js';
import { OPERATIONS } from '../api/operations.js';
import { NO_CURSOR } from '../api/parameters.js';
import type { BulkResult, RequestGroup } from '../api/stored-answers.js';
import { type Answer, json } from './answer.js';
import { httpError, wrongParameter } from './errors.js';
import { wrongToken } from './guard.js';
import type { Pace } from './pace.js';
import {
  type Actor,
  actorName,
  type Caller,
  type CheckedRequest,
  type Route,
  route,
} from './route.js';
import { requireDone } from './stored-outcomes.js';
import { type Cursors, SHOWN_DIGITS, shownUuid } from './uuids.js';

/** A selection with any state: each operation has its own. */
type AnyState<Given> = Omit<Given, 'state'> & { readonly state: string | null };
type BulkOrder = AnyState<z.output<ReturnType<typeof CancelBody>>>;
type Filters = AnyState<Omit<z.output<ReturnType<typeof StoredQuery>>, 'limit'>>;

/** The states of requests that are in the store: not closed or expired. */
const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const satisfies ShownState[];

/**
 * @returns `null`: there are none in that state
 * @throws ERR_HTTP_TOKEN, ERR_HTTP_PARAMETER
 */
export function selectionOf(
  given: Filters,
  caller: Caller,
  cursors: Cursors,
): RequestSelection | null {
  const { cursor } = given;
  const after = cursor === null ? null : cursors.read(cursor, caller);
  if (cursor !== null && after === null) throw wrongParameter('cursor', NO_CURSOR);
  const filter = filterOf(given, caller);
  if (given.state === null) return { filter, state: null, after };
  const state = STATES.find((each) => each === given.state);
  return state === undefined ? null : { filter, state, after };
}

/** @throws ERR_HTTP_TOKEN if it would tell what lists do not show such a caller; ERR_HTTP_PARAMETER */
function filterOf(given: Filters, caller: Caller): RequestFilter {
  const { service, serviceMatch, kind, group, uuid, reason, pattern, code, header } = given;
  const { olderThanMs, acceptedAfter, acceptedBefore, diedAfter, diedBefore, phase, uuidEnd } =
    given;
  const secret = Object.entries({ group, reason, pattern, code, header, uuidEnd }).find(
    ([, value]) => value !== null,
  );
  if (caller === 'anyone') {
    if (secret !== undefined) throw wrongToken(`to filter by ${secret[0]}, a token is needed`);
    if (uuid !== null && uuid.length > SHOWN_DIGITS) {
      throw wrongToken(`a token is needed for more than ${SHOWN_DIGITS} characters of a uuid`);
    }
  }
  if (olderThanMs !== null && acceptedBefore !== null) {
    throw wrongParameter('olderThanMs', 'is the same as acceptedBefore: give one of them');
  }
  if (serviceMatch !== null && service === null) {
    throw wrongParameter('serviceMatch', 'needs service');
  }
  if (phase !== null && given.state !== 'pending') {
    throw wrongParameter('phase', 'needs state pending');
  }
  return {
    service,
    serviceMatch: serviceMatch ?? 'exact',
    kind,
    group,
    uuid,
    reason,
    pattern,
    code,
    header,
    acceptedAfter,
    diedAfter,
    diedBefore,
    phase,
    uuidEnd,
    acceptedBefore: olderThanMs === null ? acceptedBefore : { agoMs: olderThanMs },
  };
}

/** @param pace shared by all lists */
export function triageRoutes(
  operatorApi: () => OperatorApi,
  pace: Pace,
  cursors: Cursors,
): Route[] {
  const shown = { operatorApi, pace, cursors };
  return [
    route(OPERATIONS.groups, (request) => groups(operatorApi(), request, pace, cursors)),
    route(OPERATIONS.retryMany, (request) => bulk(shown, 'retry', request)),
    route(OPERATIONS.purge, (request) => bulk(shown, 'purge', request)),
    route(OPERATIONS.cancelMany, (request) => bulk(shown, 'cancel', request)),
  ];
}

async function groups(
  operatorApi: OperatorApi,
  { query, caller }: CheckedRequest<typeof OPERATIONS.groups>,
  pace: Pace,
  cursors: Cursors,
): Promise<Answer> {
  const { by, limit } = query;
  if (caller === 'anyone' && by !== 'service') {
    throw wrongToken(`to group by ${by}, a token is needed`);
  }
  const selection = selectionOf(query, caller, cursors);
  if (selection === null) return json({ items: [], next: null, scanned: 0 });
  return await pace.read(
    () => operatorApi.groups({ ...selection, by, limit }),
    (outcome) => {
      const page = requireDone(outcome);
      const next = page.next === null ? null : cursors.shown(page.next, caller);
      const items = page.groups.map((group) => groupOf(group, caller));
      return json({ items, next, scanned: page.scanned });
    },
  );
}

function groupOf(
  { service, code, pattern, count, example }: StoredGroup,
  caller: Caller,
): RequestGroup {
  return {
    filter: {
      ...(service === null ? {} : { service: escapeName(service), serviceMatch: 'exact' }),
      ...(code === null ? {} : { code }),
      ...(pattern === null ? {} : { pattern }),
    },
    count,
    example: {
      uuid: shownUuid(example.uuid, caller),
      service: escapeName(example.service),
      reason: caller === 'anyone' ? null : example.reason,
    },
  };
}

function isFiltered({
  limit: _limit,
  cursor: _cursor,
  kind: _kind,
  dryRun: _dryRun,
  ...filters
}: BulkOrder): boolean {
  return Object.values(filters).some((value) => value !== null);
}

async function bulk(
  { operatorApi, pace, cursors }: { operatorApi: () => OperatorApi; pace: Pace; cursors: Cursors },
  act: BulkAct,
  { body, caller, ...actor }: Actor & { readonly body: BulkOrder; readonly caller: Caller },
): Promise<Answer> {
  const selection = selectionOf(body, caller, cursors);
  if (selection === null) throw wrongParameter('state', 'there is none');
  const { kind } = selection.filter;
  if (kind !== null && !isWork(kind)) {
    throw wrongParameter('kind', 'is request or webhook: others are ended one by one');
  }
  const { limit, dryRun } = body;
  if (act === 'cancel' && !isFiltered(body)) {
    throw httpError(
      'ERR_HTTP_BODY',
      'names no filter, and would cancel all requests without a reply',
    );
  }
  const { count, next, scanned } = dryRun
    ? await pace.read(() => operatorApi().countFor(act, selection), requireDone)
    : requireDone(await operatorApi().bulk(act, selection, limit, actorName(actor)));
  const rest = next === null ? null : cursors.shown(next, caller);
  const answer = json({ count, more: next !== null, next: rest, scanned } satisfies BulkResult);
  const named = body.service !== null && (body.serviceMatch ?? 'exact') === 'exact';
  const service = named && body.service !== null ? escapeName(body.service) : null;
  return dryRun
    ? { ...answer, changesNothing: true }
    : { ...answer, did: { service, filter: inWords(body), count } };
}

/** The filter of a command for many, in words. */
function inWords({
  limit: _limit,
  cursor: _cursor,
  dryRun: _dryRun,
  ...filter
}: BulkOrder): string {
  const given = Object.entries(filter).filter(([, value]) => value !== null);
  return given.map(([name, value]) => `${name} ${worded(value)}`).join(', ');
}

function worded(value: BulkOrder[keyof BulkOrder]): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Buffer.isBuffer(value)) return escapeName(value);
  if ('at' in value) return new Date(value.at).toISOString();
  return 'agoMs' in value ? `${value.agoMs} ms ago` : `${value.name}=${value.value}`;
}
