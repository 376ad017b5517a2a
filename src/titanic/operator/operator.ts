/**
 * Operators' queries and commands, as inputs of the machine. Queries read the store without going
 * through the writer; changes go through it like any other change. Each is answered once.
 */
import { escapeName } from '../../core/escape.js';
import { limitsText, type WrittenLimits } from '../../core/run-limits.js';
import { groupOf } from '../../store/own-fields.js';
import { retriesOf } from '../machine/requests/webhooks.js';
import { ownText } from './own-text.js';
import { BulkCommands, Reopening, selected } from './bulk-commands.js';
import { type Delivery, storedWorker } from '../machine/requests/dispatcher.js';
import type { OperatorHost } from '../machine/operator-host.js';
import type {
  GroupsQuery,
  ListQuery,
  OperatorRefusal,
  OperatorResult,
  ServiceCounts,
  ShownBodies,
  ShownCounts,
  ShownPage,
  ShownState,
  ShownHistory,
  ShownRequest,
  Waiting,
  SchedulePage,
  ScheduleCursor,
  ShownSchedule,
} from './operator-api.js';
import { waitingOf } from './waiting.js';
import { DELAYED, RETURNING, SETTLING } from '../machine/requests/fsm.js';
import { NO_SLOT, STATE } from '../machine/requests/open-index.js';
import type { ChangeCallback } from '../machine/requests/open-requests.js';
import type { PauseTarget } from '../machine/schedules/pauses.js';
import type { Schedule } from '../machine/schedules/schedule-table.js';
import type { GroupPage, ListedRequest, StoreQueries } from '../../store/queries.js';
import { outcomeOfNumber } from '../../store/outcomes.js';
import { isWork } from '../../store/record-kind.js';
import type { RequestUuid, StoredRequest, StoreFailure } from '../../store/store.js';

type Answer<Value> = (outcome: OperatorResult<Value>) => void;

const SERVICES_MAX = 1000;
const SHOWN_STATES: readonly ShownState[] = ['pending', 'dispatched', 'replied', 'dead'];

const UNKNOWN = {
  kind: 'unknown',
  text: 'no such durable request: closed, expired, or never stored',
} as const;
const UNKNOWN_SCHEDULE = { kind: 'unknown', text: 'no such schedule' } as const;
const NOT_DELAYED = {
  kind: 'state',
  text: 'only a request that is to run later can be run now',
} as const;
const CHANGED = { kind: 'state', text: 'the request has just changed: try again' } as const;

export class Operator {
  readonly #host: OperatorHost;
  readonly #queries: StoreQueries;
  readonly #reopening: Reopening;
  /** Commands for many requests. */
  readonly many: BulkCommands;

  constructor(host: OperatorHost, queries: StoreQueries) {
    this.#host = host;
    this.#queries = queries;
    this.#reopening = new Reopening(host);
    this.many = new BulkCommands(host, queries, this.#reopening);
  }

  // ---------------------------------------------------------------- what is there

  list(query: ListQuery, answer: Answer<ShownPage>): void {
    const { state, limit } = query;
    this.#queries.page(
      { ...selected(this.#host, query, SHOWN_STATES, 'listed'), limit },
      (page) => {
        if ('kind' in page) {
          answer(trouble(page));
          return;
        }
        const { next, scanned } = page;
        // The state may have changed meanwhile, but a list shows the moment when it was requested.
        const shown = (request: ListedRequest): ShownRequest => ({
          ...request,
          state: state ?? this.#stateOf(request),
          retries: retriesOf(request),
          group: groupOf(request),
          delivery: shownDelivery(this.#deliveryOf(request.uuid)),
        });
        const value = {
          next,
          scanned,
          // Whoever shows it does that work, in a turn of his own.
          get requests() {
            return page.requests.map(shown);
          },
        };
        answer({ kind: 'done', value });
      },
    );
  }

  groups(query: GroupsQuery, answer: Answer<GroupPage>): void {
    const { by, limit } = query;
    this.#queries.groups(
      { ...selected(this.#host, query, SHOWN_STATES, 'listed'), by, limit },
      (page) => answer('kind' in page ? trouble(page) : { kind: 'done', value: page }),
    );
  }

  history(uuid: RequestUuid, answer: Answer<ShownHistory>): void {
    this.#queries.history(uuid, (history) => {
      if (history === null) answer(UNKNOWN);
      else if ('kind' in history) answer(trouble(history));
      else {
        const now = history.request.state === 'pending' ? this.#deliveryOf(uuid) : null;
        const state: ShownState = now === null ? history.request.state : 'dispatched';
        const found = history.request;
        const request = { ...found, state, retries: retriesOf(found), group: groupOf(found) };
        const delivery = shownDelivery(now);
        const waiting = (): Waiting | null =>
          state === 'pending' ? waitingOf(this.#host, request) : null;
        const value = {
          ...history,
          request,
          delivery,
          // As in a list: it may look at thousands of requests.
          get waiting() {
            return waiting();
          },
        };
        answer({ kind: 'done', value });
      }
    });
  }

  bodies(uuid: RequestUuid, answer: Answer<ShownBodies>): void {
    this.#queries.bodies(uuid, (bodies) => {
      if (bodies === null) answer(UNKNOWN);
      else if ('kind' in bodies) answer(trouble(bodies));
      else {
        this.history(uuid, (outcome) => {
          const { kind } = outcome;
          if (kind !== 'done') answer(outcome);
          else answer({ kind, value: { ...bodies, own: ownText(outcome.value.request) } });
        });
      }
    });
  }

  counts(): ShownCounts {
    const { pending, replied, dead, bytes } = this.#host.context.counts;
    const dispatched = this.#host.requests.dispatcher.delivered;
    const states = { pending: Math.max(0, pending - dispatched), dispatched, replied, dead };
    return { ...states, bytes, services: this.#byService() };
  }

  #byService(): ServiceCounts[] {
    const { dispatcher } = this.#host.requests;
    return [...this.#host.context.services.services.values()]
      .sort((a, b) => a.service.compare(b.service))
      .slice(0, SERVICES_MAX)
      .map(({ service, pending, replied, dead }) => {
        const { out: dispatched } = dispatcher.figuresOf(service);
        return { service, pending: Math.max(0, pending - dispatched), dispatched, replied, dead };
      });
  }

  schedules(after: ScheduleCursor | null, limit: number, answer: Answer<SchedulePage>): void {
    const found = firstDue(this.#host.schedules(), after, limit + 1);
    const schedules = found.slice(0, limit).map((schedule) => this.#shown(schedule));
    const next = found.length > limit ? (schedules.at(-1) ?? null) : null;
    answer({ kind: 'done', value: { schedules, next } });
  }

  #shown({
    facts,
    uuid,
    owner,
    due,
    acceptedAt,
    attempts,
    outcomeAt,
    outcome,
    ending,
  }: Schedule): ShownSchedule {
    const { times: _times, ...shown } = facts;
    const last =
      outcomeAt === 0 ? null : { at: outcomeAt, outcome: ending ?? outcomeOfNumber(outcome) };
    const isPaused = this.#host.isPaused({ kind: 'schedule', of: uuid });
    return { ...shown, uuid, owner, due, isPaused, acceptedAt, firings: attempts, last };
  }

  setPaused(target: PauseTarget, isOn: boolean, by: string, answer: Answer<null>): void {
    const schedule = target.kind === 'schedule' ? this.#host.schedule(target.of) : null;
    const isUnknown = target.kind === 'schedule' && schedule === null;
    if (isUnknown) answer(UNKNOWN_SCHEDULE);
    if (isUnknown || this.#isRefused(answer)) return;
    this.#host.setPaused(target, isOn, (result) => {
      const { events } = this.#host.context;
      if (result === 'done' && schedule !== null) {
        const name = isOn ? 'schedule.paused' : 'schedule.resumed';
        events.emit({ name, ...schedule.named, who: by });
      } else if (result === 'done') {
        const name = isOn ? 'service.paused' : 'service.resumed';
        events.emit({ name, service: escapeName(target.of), who: by });
      }
      // It was so before: whoever repeats a command finds it done.
      answer(outcomeOf(result === 'passed' ? 'done' : result));
    });
  }

  setLimits(service: Buffer, limits: WrittenLimits | null, by: string, answer: Answer<null>): void {
    if (this.#isRefused(answer)) return;
    this.#host.setLimits(service, limits, by, (result) => {
      if (result === 'done') {
        const named = { service: escapeName(service), who: by };
        this.#host.context.events.emit(
          limits === null
            ? { name: 'service.unlimited', ...named }
            : { name: 'service.limited', ...named, limits: limitsText(limits) },
        );
      }
      answer(outcomeOf(result === 'passed' ? 'done' : result));
    });
  }

  fireSchedule(uuid: RequestUuid, by: string, answer: Answer<RequestUuid>): void {
    if (this.#isRefused(answer)) return;
    const schedule = this.#host.schedule(uuid);
    this.#host.fire(uuid, (result, stored) => {
      if (result === 'done' && schedule !== null) {
        this.#host.context.events.emit({ name: 'schedule.fired', ...schedule.named, who: by });
      }
      if (result === 'passed' || stored === null) answer(UNKNOWN_SCHEDULE);
      else answer(result === 'done' ? { kind: 'done', value: stored } : trouble(result));
    });
  }

  // ---------------------------------------------------------------- one request

  retry(uuid: RequestUuid, by: string, answer: Answer<null>): void {
    if (this.#isRefused(answer)) return;
    const slot = this.#host.requests.dispatcher.index.find(uuid);
    if (slot !== NO_SLOT) {
      const isOut = this.#host.requests.dispatcher.deliveryOf(slot) !== null;
      answer(wrongState(isOut ? 'dispatched' : 'pending', 'retried'));
      return;
    }
    this.#queries.history(uuid, (history) => {
      if (history === null) answer(UNKNOWN);
      else if ('kind' in history) answer(trouble(history));
      else if (history.request.state !== 'dead') {
        answer(wrongState(history.request.state, 'retried'));
      } else if (!isWork(history.request.kind)) {
        answer({ kind: 'state', text: 'only requests and webhooks can be retried' });
      } else if (!this.#isRefused(answer)) {
        this.#reopening.begin(history.request, by, (result) => {
          if (result === 'done') this.#emit('titanic.reopened', history.request.service, by);
          answer(result === 'passed' ? CHANGED : outcomeOf(result));
        });
      }
    });
  }

  /** A request that is to run later is due now. */
  runNow(uuid: RequestUuid, by: string, answer: Answer<null>): void {
    if (this.#isRefused(answer)) return;
    this.#queries.history(uuid, (history) => {
      if (history === null) answer(UNKNOWN);
      else if ('kind' in history) answer(trouble(history));
      else if (!this.#isDelayed(history.request)) answer(NOT_DELAYED);
      else if (!this.#isRefused(answer)) {
        this.#host.requests.runNow(history.request, by, (result) => {
          answer(result === 'passed' ? CHANGED : outcomeOf(result));
        });
      }
    });
  }

  /** Whether it waits for its time, and no attempt was made. */
  #isDelayed({ uuid, kind, state, notBefore, attempts }: ListedRequest): boolean {
    const { index } = this.#host.requests.dispatcher;
    const slot = index.find(uuid);
    const isHere = slot === NO_SLOT || index.get(slot, STATE) === DELAYED;
    const isLater = notBefore > this.#host.context.wall && attempts === 0;
    return kind === 'request' && state === 'pending' && isHere && isLater;
  }

  /**
   * Cancelling is closing (D17), of a request without a reply; a replied one is its client's to
   * close.
   */
  cancel(uuid: RequestUuid, by: string, answer: Answer<null>): void {
    if (this.#isRefused(answer)) return;
    if (this.#cancelOpen(uuid, by, answer)) return;
    this.#queries.history(uuid, (history) => {
      if (history === null) answer(UNKNOWN);
      else if ('kind' in history) answer(trouble(history));
      else if (history.request.state === 'replied') answer(wrongState('replied', 'cancelled'));
      else if (this.#isRefused(answer) || this.#cancelOpen(uuid, by, answer)) return;
      else this.#close(uuid, history.request.service, by, answer, history.request);
    });
  }

  /** @returns false if the request is not open */
  #cancelOpen(uuid: RequestUuid, by: string, answer: Answer<null>): boolean {
    const { dispatcher } = this.#host.requests;
    const slot = dispatcher.index.find(uuid);
    if (slot === NO_SLOT) return false;
    const state = dispatcher.index.get(slot, STATE);
    if (state === RETURNING || state === SETTLING) answer(CHANGED);
    else this.#close(uuid, dispatcher.serviceOf(slot).name, by, answer);
    return true;
  }

  /** @param request as the store has it; `null`: it is open here */
  #close(
    uuid: RequestUuid,
    service: Buffer,
    by: string,
    answer: Answer<null>,
    request: StoredRequest | null = null,
  ): void {
    const decided: ChangeCallback = (result) => {
      if (result === 'done') this.#emit('titanic.cancelled', service, by);
      answer(result === 'passed' ? UNKNOWN : outcomeOf(result));
    };
    this.#host.requests.close(uuid, decided, { request });
  }

  // ---------------------------------------------------------------- many requests

  // ---------------------------------------------------------------- parts

  /** @returns true if it answered that the store cannot change anything now */
  #isRefused(answer: Answer<never>): boolean {
    const text = this.#host.requests.obstacle();
    if (text !== null) answer({ kind: 'trouble', text });
    return text !== null;
  }

  #emit(name: 'titanic.cancelled' | 'titanic.reopened', service: Buffer, who: string): void {
    this.#host.context.events.emit({ name, service: escapeName(service), count: 1, who });
  }

  #stateOf({ uuid, state }: StoredRequest): ShownState {
    return state === 'pending' && this.#deliveryOf(uuid) !== null ? 'dispatched' : state;
  }

  #deliveryOf(uuid: RequestUuid): Delivery | null {
    const { dispatcher } = this.#host.requests;
    const slot = dispatcher.index.find(uuid);
    return slot === NO_SLOT ? null : dispatcher.deliveryOf(slot);
  }
}

/** The first ones after a place, by due time: of many schedules, a page costs one look at each. */
function firstDue(
  schedules: Iterable<Schedule>,
  after: ScheduleCursor | null,
  count: number,
): readonly Schedule[] {
  let first: Schedule[] = [];
  let last: Schedule | undefined;
  for (const schedule of schedules) {
    if (after !== null && byDue(schedule, after) <= 0) continue;
    if (last !== undefined && byDue(schedule, last) >= 0) continue;
    if (first.push(schedule) < 2 * count) continue;
    first = first.sort(byDue).slice(0, count);
    last = first.at(-1);
  }
  return first.sort(byDue).slice(0, count);
}

function byDue(a: ScheduleCursor, b: ScheduleCursor): number {
  return a.due - b.due || a.uuid.compare(b.uuid);
}

function trouble({ message }: StoreFailure): OperatorRefusal {
  return { kind: 'trouble', text: message };
}

function shownDelivery(delivery: Delivery | null): ShownRequest['delivery'] {
  return delivery && { worker: storedWorker(delivery.worker), startedAt: delivery.startedAt };
}

function wrongState(state: ShownState, what: 'retried' | 'cancelled'): OperatorRefusal {
  const wanted = what === 'retried' ? 'only a dead one' : 'only one without a reply';
  return { kind: 'state', text: `it is ${state}: ${wanted} can be ${what}` };
}

function outcomeOf(result: 'done' | StoreFailure): OperatorResult<null> {
  return result === 'done' ? { kind: 'done', value: null } : trouble(result);
}
