import { escapeName } from '../../core/escape.js';
import { frameJson } from '../../core/frame-json.js';
import { WALL_MS_MAX } from '../../core/numbers.js';
import { type FlatLimits, type WrittenLimits, writtenLimits } from '../../core/run-limits.js';
import { readWorkerText } from '../../store/attempt.js';
import type { ShownBody } from '../../store/bodies.js';
import type {
  OperatorApi,
  ScheduleCursor,
  ShownHistory,
  ShownRequest,
  ShownSchedule,
} from '../../titanic/operator/operator-api.js';
import type { PauseTarget } from '../../titanic/machine/schedules/pauses.js';
import { SHOWN_ROWS } from '../../store/request.js';
import type { Owner } from '../../store/store.js';
import { KEPT_ROWS, type KeptOptions } from '../../wire/job-option-table.js';
import { type Answer, json } from './answer.js';
import type { BodyOf } from '../api/operation.js';
import { OPERATIONS } from '../api/operations.js';
import { NO_CURSOR } from '../api/parameters.js';
import type {
  RequestHistory,
  Schedule,
  ShownFacts,
  StoredBody,
  StoredRequest,
} from '../api/stored-answers.js';
import type { Page } from '../api/words.js';
import { httpError, wrongParameter } from './errors.js';
import type { Pace } from './pace.js';
import type { Ports } from '../ports.js';
import {
  type Actor,
  actorName,
  type CheckedRequest,
  jsonRoute,
  pacedRoute,
  readingRoute,
  route,
  type Route,
  type Caller,
} from './route.js';
import { requireDone, requireOperatorApi } from './stored-outcomes.js';
import { selectionOf, triageRoutes } from './triage-routes.js';
import { type Cursors, shownUuid } from './uuids.js';

const HIDDEN = 'bodies cannot be read: titanic.showBodies is false';
const NOT_KEPT =
  'limits of operators are kept with durable requests, and titanic.enabled is false: set them in broker.services';
/** A place in the list of schedules: its due time, and its uuid. */
const DUE_BYTES = 8;
const SCHEDULE_CURSOR_BYTES = DUE_BYTES + 16;

/**
 * Stored requests (Titanic), and operator commands for them.
 * @param pace shared by all lists
 */
export function storedRoutes(ports: Ports, pace: Pace, cursors: Cursors): Route[] {
  const { showsBodies } = ports;
  const operatorApi = (): OperatorApi => requireOperatorApi(ports.operatorApi());
  const pause = async (
    target: PauseTarget,
    paused: boolean,
    actor: Actor,
  ): Promise<{ paused: boolean }> => {
    requireDone(await operatorApi().setPaused(target, paused, actorName(actor)));
    return { paused };
  };
  const setLimits = async (
    service: Buffer,
    limits: WrittenLimits | null,
    actor: Actor,
  ): Promise<void> => {
    if (ports.operatorApi() === 'off') throw httpError('ERR_HTTP_NOT_FOUND', NOT_KEPT);
    requireDone(await operatorApi().setLimits(service, limits, actorName(actor)));
  };
  return [
    route(OPERATIONS.storedRequests, (request) => listed(operatorApi(), request, pace, cursors)),
    readingRoute(
      OPERATIONS.requestHistory,
      pace,
      ({ parts: { uuid } }) => operatorApi().history(uuid),
      (history, { caller }) => ({ ...historyOf(requireDone(history), caller), showsBodies }),
    ),
    readingRoute(
      OPERATIONS.bodies,
      pace,
      ({ parts: { uuid } }) => {
        if (!showsBodies) throw httpError('ERR_HTTP_NOT_FOUND', HIDDEN);
        return operatorApi().bodies(uuid);
      },
      (bodies, { parts: { uuid }, caller }) => {
        const { headers, body, reply, own } = requireDone(bodies);
        return {
          uuid: shownUuid(uuid, caller),
          headers,
          body: body === null ? null : bodyOf(body),
          reply: reply === null ? null : bodyOf(reply),
          own,
        };
      },
    ),
    pacedRoute(OPERATIONS.storedCounts, pace, () => {
      const { services, ...counts } = operatorApi().counts();
      const shown = services.map((each) => ({ ...each, service: escapeName(each.service) }));
      return { ...counts, services: shown };
    }),
    jsonRoute(OPERATIONS.pauseService, ({ parts: { service }, ...actor }) => {
      if (/^(mmi|titanic)\.(?!webhook$)/.test(service.toString('latin1'))) {
        throw wrongParameter(
          'service',
          'the broker serves it itself: only services of workers wait',
        );
      }
      return pause({ kind: 'service', of: service }, true, actor);
    }),
    jsonRoute(OPERATIONS.resumeService, ({ parts: { service }, ...actor }) =>
      pause({ kind: 'service', of: service }, false, actor),
    ),
    jsonRoute(OPERATIONS.limitService, async ({ parts: { service }, body, ...actor }) => {
      if (/^(mmi|titanic)\./.test(service.toString('latin1'))) {
        throw wrongParameter(
          'service',
          'the broker serves it itself: only services of workers have limits',
        );
      }
      await setLimits(service, writtenIn(body), actor);
      return { limited: true };
    }),
    jsonRoute(OPERATIONS.unlimitService, async ({ parts: { service }, ...actor }) => {
      await setLimits(service, null, actor);
      return { limited: false };
    }),
    jsonRoute(OPERATIONS.pauseSchedule, ({ parts: { uuid }, ...actor }) =>
      pause({ kind: 'schedule', of: uuid }, true, actor),
    ),
    jsonRoute(OPERATIONS.resumeSchedule, ({ parts: { uuid }, ...actor }) =>
      pause({ kind: 'schedule', of: uuid }, false, actor),
    ),
    jsonRoute(OPERATIONS.fireSchedule, async ({ parts: { uuid }, caller, ...actor }) => {
      const stored = requireDone(await operatorApi().fireSchedule(uuid, actorName(actor)));
      return { fired: true, uuid: shownUuid(stored, caller) };
    }),
    route(OPERATIONS.schedules, (request) => scheduled(operatorApi(), request, pace, cursors)),
    jsonRoute(OPERATIONS.retry, async ({ parts: { uuid }, caller, ...actor }) => {
      requireDone(await operatorApi().retry(uuid, actorName(actor)));
      return { uuid: shownUuid(uuid, caller), state: 'pending' as const };
    }),
    jsonRoute(OPERATIONS.runNow, async ({ parts: { uuid }, caller, ...actor }) => {
      requireDone(await operatorApi().runNow(uuid, actorName(actor)));
      return { uuid: shownUuid(uuid, caller), state: 'pending' as const };
    }),
    jsonRoute(OPERATIONS.cancel, async ({ parts: { uuid }, caller, ...actor }) => {
      requireDone(await operatorApi().cancel(uuid, actorName(actor)));
      return { uuid: shownUuid(uuid, caller), state: 'closed' as const };
    }),
    ...triageRoutes(operatorApi, pace, cursors),
  ];
}

/** @throws ERR_HTTP_PARAMETER */
function writtenIn(body: BodyOf<typeof OPERATIONS.limitService>): WrittenLimits {
  const given = Object.entries(body).filter(([, value]) => value !== undefined);
  const flat = Object.fromEntries(given) as FlatLimits;
  if (given.length === 0) throw wrongParameter('running', 'give at least one limit');
  for (const [burst, rate] of [
    ['burst', 'perSecond'],
    ['groupBurst', 'groupPerSecond'],
  ] as const) {
    if (flat[burst] === undefined || flat[rate] !== undefined) continue;
    throw wrongParameter(burst, `is of use only with ${rate}`);
  }
  return writtenLimits(flat);
}

async function listed(
  operatorApi: OperatorApi,
  { query, caller }: CheckedRequest<typeof OPERATIONS.storedRequests>,
  pace: Pace,
  cursors: Cursors,
): Promise<Answer> {
  const selection = selectionOf(query, caller, cursors);
  if (selection === null) return json({ items: [], next: null, scanned: 0 });
  return await pace.read(
    () => operatorApi.list({ ...selection, limit: query.limit }),
    (outcome) => {
      const { requests, next, scanned } = requireDone(outcome);
      const shown: Page<StoredRequest> = {
        items: requests.map((request) => itemOf(request, caller)),
        next: next === null ? null : cursors.shown(next, caller),
      };
      return json({ ...shown, scanned });
    },
  );
}

async function scheduled(
  operatorApi: OperatorApi,
  { query: { cursor, limit }, caller }: CheckedRequest<typeof OPERATIONS.schedules>,
  pace: Pace,
  cursors: Cursors,
): Promise<Answer> {
  const place = cursor === null ? null : cursors.read(cursor, caller, SCHEDULE_CURSOR_BYTES);
  if (cursor !== null && place === null) throw wrongParameter('cursor', NO_CURSOR);
  const after = place === null ? null : cursorIn(place);
  return await pace.read(
    () => operatorApi.schedules(after, limit),
    (outcome) => {
      const { schedules, next } = requireDone(outcome);
      const shown: Page<Schedule> = {
        items: schedules.map((schedule) => scheduleOf(schedule, caller)),
        next: next === null ? null : cursors.shown(packedCursor(next), caller),
      };
      return json(shown);
    },
  );
}

function packedCursor({ due, uuid }: ScheduleCursor): Buffer {
  const packed = Buffer.alloc(DUE_BYTES);
  packed.writeDoubleBE(due);
  return Buffer.concat([packed, uuid]);
}

function cursorIn(packed: Buffer): ScheduleCursor {
  return { due: packed.readDoubleBE(), uuid: packed.subarray(DUE_BYTES) };
}

// ---------------------------------------------------------------- answers

function itemOf(request: ShownRequest, caller: Caller): StoredRequest {
  const { uuid, service, state, group, reason, reasonAt, isShared, partner, delivery } = request;
  return {
    uuid: shownUuid(uuid, caller),
    service: escapeName(service),
    state,
    ...(shownOf(SHOWN_ROWS, { ...request, generation: request.retries }, caller) as ShownFacts),
    group: group.length === 0 || caller === 'anyone' ? null : escapeName(group),
    reason: caller === 'anyone' ? null : reason,
    reasonAt: reasonAt === null ? null : timeOf(reasonAt),
    shared: isShared,
    partner: partner.length === 0 ? null : shownUuid(partner, caller),
    delivery:
      delivery === null
        ? null
        : { ...workerOf(delivery.worker, caller), startedAt: timeOf(delivery.startedAt) },
  };
}

/** What is shown of the fields in one of the tables. */
function shownOf(
  rows: readonly { readonly name: string; readonly kind?: string; readonly needsToken?: true }[],
  values: object,
  caller: Caller,
): Readonly<Record<string, unknown>> {
  const all: Readonly<Record<string, unknown>> = { ...values };
  const facts = rows.map(({ name, kind, needsToken }) => {
    const value = all[name];
    if (needsToken === true && caller === 'anyone') return [name, null];
    if (kind === 'owner') return [name, keyNameOf(value as Owner)];
    return [name, kind === 'wallTime' ? timeOf(Number(value)) : value];
  });
  return Object.fromEntries(facts) as Readonly<Record<string, unknown>>;
}

/** The name of the key that stored it. */
function keyNameOf(owner: Owner): string | null {
  return owner.startsWith('key:') ? owner.slice('key:'.length) : null;
}

function historyOf(
  { request, attempts, reply, death, delivery, waiting, ...facts }: ShownHistory,
  caller: Caller,
): Omit<RequestHistory, 'showsBodies'> {
  const isStranger = caller === 'anyone';
  return {
    ...itemOf({ ...request, delivery }, caller),
    hasKey: facts.hasKey,
    ...(shownOf(KEPT_ROWS, facts, caller) as KeptOptions),
    // Each retry has an entry of its own.
    attemptsEver: Math.max(request.attempts, facts.attemptsEver - request.retries),
    deliveries: attempts.map(({ worker, startedAt, endedAt, reason, failure }) => ({
      ...workerOf(worker, caller),
      startedAt: timeOf(startedAt),
      endedAt: timeOf(endedAt),
      reason: isStranger ? null : reason,
      failure:
        failure === null || isStranger
          ? null
          : { ...failure, detail: failure.detail.map(frameJson) },
    })),
    waiting: waiting && {
      ...waiting,
      text:
        waiting.reason === 'retry' && !isStranger
          ? `${waiting.text}: ${request.reason ?? ''}`
          : waiting.text,
      until: waiting.until === null ? null : timeOf(waiting.until),
      since: waiting.since === null ? null : timeOf(waiting.since),
    },
    reply:
      reply === null
        ? null
        : {
            bytes: reply.bytes,
            ...workerOf(reply.worker, caller),
            repliedAt: timeOf(reply.at),
          },
    death:
      death === null
        ? null
        : { reason: isStranger ? null : death.reason, diedAt: timeOf(death.at) },
  };
}

function workerOf(text: string, caller: Caller): ReturnType<typeof readWorkerText> {
  const read = readWorkerText(text);
  // What workers call themselves is no secret: `mmi.workers` and the events tell it, too.
  return caller === 'anyone' ? { ...read, workerAddress: null } : read;
}

function scheduleOf(
  { uuid, owner, name, service, cron, timeZone, due, isPaused, last, ...facts }: ShownSchedule,
  caller: Caller,
): Schedule {
  const isStranger = caller === 'anyone';
  return {
    uuid: shownUuid(uuid, caller),
    name: isStranger ? null : name,
    service: escapeName(service),
    cron,
    timeZone,
    owner: isStranger ? null : keyNameOf(owner),
    next: timeOf(due),
    paused: isPaused,
    since: timeOf(facts.acceptedAt),
    firings: facts.firings,
    last: last === null ? null : { at: timeOf(last.at), outcome: last.outcome },
  };
}

function bodyOf({ bytes, isCut, frames }: ShownBody): StoredBody {
  return {
    bytes,
    cut: isCut,
    frames: frames.map((frame) => ({ bytes: frame.bytes, ...frameJson(frame.data) })),
  };
}

/** ISO 8601. A damaged reply may have any number. */
function timeOf(wallMs: number): string {
  return new Date(Math.max(0, Math.min(wallMs, WALL_MS_MAX))).toISOString();
}
