/** Operators' commands for many requests: which are meant, how many there are, and what is done to each. */
import { isWork } from '../../store/record-kind.js';
import { escapeName } from '../../core/escape.js';
import type { Moment } from '../../core/moment.js';
import type { ListedRequest, Selection, StoreQueries } from '../../store/queries.js';
import {
  type RequestUuid,
  STATES,
  type StoredRequest,
  type StoredState,
} from '../../store/store.js';
import { isBeingDecided } from '../machine/requests/fsm.js';
import { NO_SLOT, STATE } from '../machine/requests/open-index.js';
import type { ChangeCallback } from '../machine/requests/open-requests.js';
import type { OperatorHost } from '../machine/operator-host.js';
import { BulkRun } from './bulk.js';
import type {
  BulkAct,
  BulkResult,
  OperatorResult,
  RequestSelection,
  ShownState,
} from './operator-api.js';

type Answer = (outcome: OperatorResult<BulkResult>) => void;

/** Which states are meant if none is named. */
const USUAL_STATES: Readonly<Record<BulkAct, readonly ShownState[]>> = {
  retry: ['dead'],
  purge: ['dead', 'replied'],
  cancel: ['pending', 'dispatched', 'dead'],
};
/** How many services are told apart in one answer: the next one counts the rest. */
const GROUPS_MAX = 10_000;

/**
 * @param usual the states if none is named
 * @param kinds what is meant if no kind is named
 */
export function selected(
  { context, requests }: OperatorHost,
  { filter, state, after }: RequestSelection,
  usual: readonly ShownState[],
  kinds: 'listed' | 'work',
): Selection {
  const { acceptedAfter, acceptedBefore, diedAfter, diedBefore, ...others } = filter;
  const { service, serviceMatch, uuid, kind, group, ...row } = others;
  const states = new Set((state === null ? usual : [state]).map(storedState));
  const timeOf = (moment: Moment | null): number | null => {
    if (moment === null) return null;
    return 'at' in moment ? moment.at : context.wall - moment.agoMs;
  };
  // What is with a worker is pending in the store.
  const leavesOut = state === 'pending' || !usual.includes('dispatched');
  return {
    filter: {
      service,
      serviceMatch,
      uuid,
      group,
      kind: kind ?? kinds,
      acceptedAfter: timeOf(acceptedAfter),
      acceptedBefore: timeOf(acceptedBefore),
      more: {
        ...row,
        diedAfter: timeOf(diedAfter),
        diedBefore: timeOf(diedBefore),
        at: row.phase === null ? null : context.wall,
      },
    },
    states: STATES.filter((each) => states.has(each)),
    after,
    only: state === 'dispatched' ? requests.dispatcher.out : null,
    except: leavesOut && states.has('pending') ? requests.dispatcher.out : null,
  };
}

function storedState(state: ShownState): StoredState {
  return state === 'dispatched' ? 'pending' : state;
}

/** Dead requests whose retry is being committed. */
export class Reopening {
  readonly #host: OperatorHost;
  readonly #uuids = new Set<string>();

  constructor(host: OperatorHost) {
    this.#host = host;
  }

  has(uuid: RequestUuid): boolean {
    return this.#uuids.has(keyOf(uuid));
  }

  begin(request: ListedRequest, by: string, decided: ChangeCallback): void {
    const key = keyOf(request.uuid);
    this.#uuids.add(key);
    this.#host.requests.reopen(request, by, (result) => {
      this.#uuids.delete(key);
      decided(result);
    });
  }
}

function keyOf(uuid: RequestUuid): string {
  return uuid.toString('latin1');
}

export class BulkCommands {
  readonly #host: OperatorHost;
  readonly #queries: StoreQueries;
  readonly #reopening: Reopening;
  readonly #runs = new Set<BulkRun>();

  constructor(host: OperatorHost, queries: StoreQueries, reopening: Reopening) {
    this.#host = host;
    this.#queries = queries;
    this.#reopening = reopening;
  }

  stop(): void {
    for (const run of this.#runs) run.stop('the broker is shutting down');
  }

  count(act: BulkAct, selection: RequestSelection, answer: Answer): void {
    const chosen = selected(this.#host, selection, USUAL_STATES[act], 'work');
    this.#queries.groups({ ...chosen, by: 'service', limit: GROUPS_MAX }, (page) => {
      if ('kind' in page) {
        answer({ kind: 'trouble', text: page.message });
        return;
      }
      const { groups, next, scanned } = page;
      const count = groups.reduce((sum, { count: of }) => sum + of, 0);
      answer({ kind: 'done', value: { count, next, scanned } });
    });
  }

  run(act: BulkAct, selection: RequestSelection, limit: number, by: string, answer: Answer): void {
    const run: BulkRun = new BulkRun(
      {
        selection: selected(this.#host, selection, USUAL_STATES[act], 'work'),
        limit,
        obstacle: () => this.#host.requests.obstacle(),
        now: () => this.#host.context.now,
        begin: (request, decided) => {
          if (act !== 'retry') return this.#close(act, selection.state, request, decided);
          this.#reopening.begin(request, by, decided);
          return true;
        },
        end: (outcome, count) => {
          this.#runs.delete(run);
          if (count > 0) this.#report(act, selection, count, by);
          answer(outcome);
        },
      },
      this.#queries,
    );
    this.#runs.add(run);
    run.run();
  }

  /** @returns false if the request is not one that this is for any more */
  #close(
    act: 'purge' | 'cancel',
    state: ShownState | null,
    request: StoredRequest,
    decided: ChangeCallback,
  ): boolean {
    if (!this.#mayClose(request, act === 'purge' ? 'pending' : state)) return false;
    // Another broker's request is cancelled like this one's, unless only those that wait are meant.
    const onlyUnclaimed = state === 'pending' && this.#isUnclaimed(request);
    this.#host.requests.close(request.uuid, decided, { request, onlyUnclaimed });
    return true;
  }

  #report(act: BulkAct, { filter, state }: RequestSelection, count: number, who: string): void {
    const { events } = this.#host.context;
    const { service: name, serviceMatch } = filter;
    const service = name === null || serviceMatch !== 'exact' ? null : escapeName(name);
    if (act === 'retry') events.emit({ name: 'titanic.reopened', service, count, who });
    else if (act === 'cancel') events.emit({ name: 'titanic.cancelled', service, count, who });
    else {
      const stored = state === null ? null : storedState(state);
      events.emit({ name: 'titanic.purged', service, state: stored, count, who });
    }
  }

  /**
   * Checks again, because the request was read a while ago.
   * @param wanted `null`: whether a worker has it or not
   */
  #mayClose({ uuid, kind, state }: StoredRequest, wanted: ShownState | null): boolean {
    // Schedules and pauses are ended one by one.
    if (!isWork(kind)) return false;
    const { dispatcher } = this.#host.requests;
    const slot = dispatcher.index.find(uuid);
    if (state !== 'pending') return slot === NO_SLOT && !this.#reopening.has(uuid);
    if (slot === NO_SLOT) return this.#host.context.claims !== null;
    const isOut = dispatcher.deliveryOf(slot) !== null;
    if (wanted !== null && isOut !== (wanted === 'dispatched')) return false;
    return !isBeingDecided(dispatcher.index.get(slot, STATE));
  }

  /** Pending in a shared store, and not claimed by this broker. */
  #isUnclaimed({ uuid, state }: StoredRequest): boolean {
    return state === 'pending' && this.#host.requests.dispatcher.index.find(uuid) === NO_SLOT;
  }
}
