import { escapeName } from '../core/escape.js';
import { frameJson } from '../core/frame-json.js';
import type {
  OperatorResult,
  PurgeFilter,
  ShownRequest,
  ShownState,
  ShownHistory,
  OperatorApi,
} from '../titanic/operator/operator-api.js';
import type { ShownBody } from '../titanic/operator/bodies.js';
import type { Owner } from '../titanic/store/store.js';
import { type Answer, json } from './answer.js';
import { type HttpErrorCode, httpError, wrongParameter } from './errors.js';
import { Fields } from './fields.js';
import type { Pace } from './pace.js';
import type { Ports } from './ports.js';
import { LIST_PARAMETERS } from './query.js';
import type { HttpRequest, Route, Standing } from './route.js';
import { type Cursors, shownUuid, uuidBytes } from './uuids.js';

/** The states that the store has; what is closed or expired is not there any more. */
const STATES = ['pending', 'dispatched', 'replied', 'dead'] as const satisfies ShownState[];
const GONE = ['closed', 'expired'] as const;
const PURGED_STATES = ['dead', 'replied', 'pending'] as const;
const AGE_MS_MAX = 1e14;
const BULK_MAX = 1e9;
const HIDDEN = 'bodies cannot be read: titanic.showBodies is false';
/** What a `Date` can be. */
const TIME_MS_MAX = 8.64e15;

/**
 * Stored requests (Titanic): what there is, and operators' orders about it.
 * @param pace of all lists
 */
export function storedRoutes(
  { operatorApi, showsBodies }: Ports,
  pace: Pace,
  cursors: Cursors,
): Route[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/titanic/requests',
      access: 'reader',
      parameters: [...LIST_PARAMETERS, 'olderThanMs'],
      handle: async (request) => await listed(there(operatorApi()), request, pace, cursors),
    },
    {
      method: 'GET',
      path: '/api/v1/titanic/requests/{uuid}',
      access: 'reader',
      parameters: [],
      handle: async ({ parts, standing }) => {
        const uuid = uuidOf(parts);
        const history = done(await there(operatorApi()).history(uuid));
        return json({ ...historyOf(history, standing), showsBodies });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/titanic/requests/{uuid}/bodies',
      access: 'changer',
      parameters: [],
      handle: async ({ parts, standing }) => {
        const uuid = uuidOf(parts);
        if (!showsBodies) throw httpError('ERR_HTTP_NOT_FOUND', HIDDEN);
        const { body, reply } = done(await there(operatorApi()).bodies(uuid));
        return json({
          uuid: shownUuid(uuid, standing),
          body: body === null ? null : bodyOf(body),
          reply: reply === null ? null : bodyOf(reply),
        });
      },
    },
    {
      method: 'GET',
      path: '/api/v1/titanic/counts',
      access: 'reader',
      parameters: [],
      handle: () => {
        const { services, ...states } = there(operatorApi()).counts();
        const shown = services.map(({ service, ...counts }) => ({
          service: escapeName(service),
          ...counts,
        }));
        return json({ ...states, services: shown });
      },
    },
    order(operatorApi, 'retry', 'pending', (api, uuid) => api.retry(uuid)),
    order(operatorApi, 'cancel', 'closed', (api, uuid) => api.cancel(uuid)),
    {
      method: 'POST',
      path: '/api/v1/titanic/retry',
      access: 'changer',
      parameters: [],
      handle: async ({ body }) => {
        const { filter, limit } = bulkOf(body, ['dead']);
        return json(done(await there(operatorApi()).retryDead(filter, limit)));
      },
    },
    {
      method: 'POST',
      path: '/api/v1/titanic/purge',
      access: 'changer',
      parameters: [],
      handle: async ({ body }) => {
        const { filter, limit } = bulkOf(body, PURGED_STATES);
        return json(done(await there(operatorApi()).purge(filter, limit)));
      },
    },
  ];
}

/** An order about one request. @param state what it is in when that is done */
function order(
  operatorApi: Ports['operatorApi'],
  what: string,
  state: string,
  give: (api: OperatorApi, uuid: Buffer) => Promise<OperatorResult<null>>,
): Route {
  return {
    method: 'POST',
    path: `/api/v1/titanic/requests/{uuid}/${what}`,
    access: 'changer',
    parameters: [],
    handle: async ({ parts, body, standing }): Promise<Answer> => {
      new Fields(body, []);
      const uuid = uuidOf(parts);
      done(await give(there(operatorApi()), uuid));
      return json({ uuid: shownUuid(uuid, standing), state });
    },
  };
}

async function listed(
  operatorApi: OperatorApi,
  { query, standing }: HttpRequest,
  pace: Pace,
  cursors: Cursors,
): Promise<Answer> {
  const { cursor, limit, service, state } = query.list([...STATES, ...GONE]);
  const after = cursor === null ? null : cursors.read(cursor, standing);
  if (cursor !== null && after === null) throw wrongParameter('cursor', 'not a cursor from a list');
  const olderThanMs = query.integer('olderThanMs', 0, AGE_MS_MAX);
  const known = STATES.find((each) => each === state) ?? null;
  if (state !== null && known === null) return json({ items: [], next: null });
  const filter = { service, state: known, olderThanMs };
  const page = done(await operatorApi.list({ ...filter, after, limit }));
  return await pace.run(() => {
    const items = page.requests.map((request) => itemOf(request, standing));
    const next = page.next === null ? null : cursors.shown(page.next, standing);
    return json({ items, next });
  });
}

// ---------------------------------------------------------------- what is shown

function itemOf(request: ShownRequest, standing: Standing): object {
  const { uuid, service, state, priority, attempts, maxAttempts, generation } = request;
  return {
    uuid: shownUuid(uuid, standing),
    service: escapeName(service),
    state,
    priority,
    attempts,
    maxAttempts,
    generation,
    acceptedAt: timeOf(request.acceptedAt),
    notBefore: timeOf(request.notBefore),
    expiresAt: timeOf(request.expiresAt),
    reason: request.reason,
    bodyBytes: request.bodyBytes,
    owner: standing === 'anyone' ? null : keyNameOf(request.owner),
    shared: request.isShared,
  };
}

/** The name of the key that stored it. */
function keyNameOf(owner: Owner): string | null {
  return owner.startsWith('key:') ? owner.slice('key:'.length) : null;
}

function historyOf(
  { request, attempts, reply, death, delivery, ...facts }: ShownHistory,
  standing: Standing,
): object {
  return {
    ...itemOf(request, standing),
    hasKey: facts.hasKey,
    attemptsEver: facts.attemptsEver,
    deliveries: attempts.map(({ worker, startedAt, endedAt, reason, failure }) => ({
      worker,
      startedAt: timeOf(startedAt),
      endedAt: timeOf(endedAt),
      reason,
      failure: failure === null ? null : { ...failure, detail: failure.detail.map(frameJson) },
    })),
    delivery:
      delivery === null
        ? null
        : { worker: String(delivery.worker), startedAt: timeOf(delivery.startedAt) },
    reply:
      reply === null
        ? null
        : { bytes: reply.bytes, worker: reply.worker, repliedAt: timeOf(reply.at) },
    death: death === null ? null : { reason: death.reason, diedAt: timeOf(death.at) },
  };
}

function bodyOf({ bytes, isCut, frames }: ShownBody): object {
  return {
    bytes,
    cut: isCut,
    frames: frames.map((frame) => ({ bytes: frame.bytes, ...frameJson(frame.data) })),
  };
}

/** ISO 8601; `null` for what is none. */
function timeOf(wallMs: number): string | null {
  return Math.abs(wallMs) <= TIME_MS_MAX ? new Date(wallMs).toISOString() : null;
}

// ---------------------------------------------------------------- what is asked

function uuidOf({ uuid = '' }: HttpRequest['parts']): Buffer {
  const bytes = uuidBytes(uuid);
  if (bytes !== null) return bytes;
  const why = 'must be 32 hexadecimal characters (lists show full uuids only with a token)';
  throw wrongParameter('uuid', why);
}

function bulkOf<State extends string>(
  body: HttpRequest['body'],
  states: readonly State[],
): {
  filter: Omit<PurgeFilter, 'state'> & { readonly state: State | null };
  limit: number;
} {
  const fields = new Fields(body, ['service', 'state', 'olderThanMs', 'limit']);
  return {
    filter: {
      service: fields.service(),
      state: fields.choice('state', states),
      olderThanMs: fields.integer('olderThanMs', 0, AGE_MS_MAX),
    },
    limit: fields.integer('limit', 1, BULK_MAX) ?? BULK_MAX,
  };
}

// ---------------------------------------------------------------- what comes of it

/** @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_NOT_READY */
function there(operatorApi: ReturnType<Ports['operatorApi']>): OperatorApi {
  switch (operatorApi) {
    case 'off':
      throw httpError(
        'ERR_HTTP_NOT_FOUND',
        'stored requests are switched off: titanic.enabled is false',
      );
    case 'not_ready':
      throw httpError(
        'ERR_HTTP_NOT_READY',
        'the store is not open: the node is starting or stopping',
      );
    default:
      return operatorApi;
  }
}

const CODES = {
  unknown: 'ERR_HTTP_NOT_FOUND',
  state: 'ERR_HTTP_STATE',
  trouble: 'ERR_HTTP_STORE',
} as const satisfies Record<string, HttpErrorCode>;

/** @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_STATE, ERR_HTTP_STORE */
function done<Value>(outcome: OperatorResult<Value>): Value {
  if (outcome.kind === 'done') return outcome.value;
  throw httpError(CODES[outcome.kind], outcome.text);
}
