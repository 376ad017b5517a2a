/**
 * The stored requests as operators see them, and the commands that they have: the port for pages
 * and commands.
 */
import type { Outcome } from '../../store/outcomes.js';
import type { Moment } from '../../core/moment.js';
import type { WrittenLimits } from '../../core/run-limits.js';
import type { Bodies } from '../../store/bodies.js';
import type { GroupPage, ListedRequest, RequestHistory, Scan } from '../../store/queries.js';
import type { RecordKind } from '../../store/record-kind.js';
import type { Owner, RequestUuid, StoredState } from '../../store/store.js';
import type { PauseTarget } from '../machine/schedules/pauses.js';
import type { Grouping, RowFilter, StoredFilter } from '../../store/stored-filter.js';

/**
 * `dispatched`: pending, and with a worker now. (Closed and expired requests are not in the store.)
 */
export type ShownState = StoredState | 'dispatched';

export interface ShownRequest extends Omit<ListedRequest, 'state'> {
  readonly state: ShownState;
  /** How often an operator retried it. */
  readonly retries: number;
  /** Empty: none. */
  readonly group: Buffer;
  /** The attempt in progress: `workerText`; milliseconds since 1970. `null`: there is none. */
  readonly delivery: { readonly worker: string; readonly startedAt: number } | null;
}

/** The bodies of a request, and what only its kind has. */
export interface ShownBodies extends Bodies {
  readonly own: Readonly<Record<string, string>> | null;
}

type Times = 'acceptedAfter' | 'acceptedBefore' | 'diedAfter' | 'diedBefore';

/** Which requests, with times as operators give them. Null: any. */
export type RequestFilter = Omit<StoredFilter, Times | 'kind' | 'more'> &
  Omit<RowFilter, Times | 'at'> &
  Readonly<Record<Times, Moment | null>> & {
    /** Null: those that lists show; for commands, what is sent to workers. */
    readonly kind: RecordKind | null;
  };

export interface RequestSelection {
  readonly filter: RequestFilter;
  /** `null`: any; of bulk commands, those that each is for. */
  readonly state: ShownState | null;
  /** `next` of the answer before; `null`: starts with the newest. */
  readonly after: RequestUuid | null;
}

export interface ListQuery extends RequestSelection {
  readonly limit: number;
}

export interface GroupsQuery extends ListQuery {
  readonly by: Grouping;
}

export interface ShownPage extends Scan {
  /** Made when this is read: read it once. */
  readonly requests: readonly ShownRequest[];
}

/** What can be done to many requests. */
export type BulkAct = 'retry' | 'purge' | 'cancel';

type OfNode = 'not_active' | 'store' | 'not_claimed';
type OfRequest = 'commit' | 'retry' | 'delay' | 'unknown_kind';
type OfWebhook = 'request' | 'receiver';
type OfService = 'paused' | 'no_worker' | 'queue' | 'in_flight' | 'worker';
type OfGroup = 'limit' | 'group';

/** Why a pending request is not at a worker. */
export interface Waiting {
  readonly reason: OfNode | OfRequest | OfWebhook | OfService | OfGroup;
  /** The reason in words, without times. */
  readonly text: string;
  /** When a delay or the wait before a retry ends: milliseconds since 1970. */
  readonly until: number | null;
  /** Since when the service has no worker. */
  readonly since: number | null;
  /** How many requests of its service are sent before it. */
  readonly ahead: number | null;
}

export interface ShownHistory extends Omit<RequestHistory, 'request'> {
  readonly request: Omit<ShownRequest, 'delivery'>;
  readonly delivery: ShownRequest['delivery'];
  /** `null`: it is at a worker, or has ended. Made when this is read. */
  readonly waiting: Waiting | null;
}

/** Requests of one service by state. */
export interface ServiceCounts {
  readonly service: Buffer;
  readonly pending: number;
  readonly dispatched: number;
  readonly replied: number;
  readonly dead: number;
}

export interface ShownCounts {
  readonly pending: number;
  readonly dispatched: number;
  readonly replied: number;
  readonly dead: number;
  /** Size of the store. */
  readonly bytes: number;
  /** The first thousand services, in order of their names. */
  readonly services: readonly ServiceCounts[];
}

/**
 * How many were changed, or would be. It stopped at the limit or after its time, unless `next` is null: then
 * these were all.
 */
export interface BulkResult extends Scan {
  readonly count: number;
}

/** Why it was not done; `text` is for display. */
export type OperatorRefusal =
  /** No such request. */
  | { readonly kind: 'unknown'; readonly text: string }
  /** The state of the request does not allow this. */
  | { readonly kind: 'state'; readonly text: string }
  /** The store cannot read or write now. */
  | { readonly kind: 'trouble'; readonly text: string };

export type OperatorResult<Value> =
  { readonly kind: 'done'; readonly value: Value } | OperatorRefusal;

/** A schedule. Times in milliseconds since 1970. */
export interface ShownSchedule {
  /** The uuid of its record, by which it can be cancelled. */
  readonly uuid: RequestUuid;
  readonly owner: Owner;
  readonly name: string;
  readonly service: Buffer;
  readonly cron: string;
  readonly timeZone: string;
  readonly due: number;
  /** Nothing is stored for it when it is due. */
  readonly isPaused: boolean;
  readonly acceptedAt: number;
  /** How often it was due. */
  readonly firings: number;
  /** The last time it was due, and what came of it; `null`: it was not due yet. */
  readonly last: { readonly at: number; readonly outcome: Outcome } | null;
}

/** A place in the list of schedules: that of the last one of a page. */
export interface ScheduleCursor {
  readonly due: number;
  readonly uuid: RequestUuid;
}

export interface SchedulePage {
  readonly schedules: readonly ShownSchedule[];
  /** Where the next page begins; `null`: this is the last one. */
  readonly next: ScheduleCursor | null;
}

/** Changes are on disk when they are answered. */
export interface OperatorApi {
  list(query: ListQuery): Promise<OperatorResult<ShownPage>>;
  /** How many there are of each kind. */
  groups(query: GroupsQuery): Promise<OperatorResult<GroupPage>>;
  history(uuid: RequestUuid): Promise<OperatorResult<ShownHistory>>;
  /** The beginnings of the request body and of the reply. */
  bodies(uuid: RequestUuid): Promise<OperatorResult<ShownBodies>>;
  counts(): ShownCounts;
  /** Lists schedules by due time; none on a node that is not active. @param limit maximum number */
  schedules(after: ScheduleCursor | null, limit: number): Promise<OperatorResult<SchedulePage>>;
  /** Counts those that a command for many would change, and changes nothing. */
  countFor(act: BulkAct, selection: RequestSelection): Promise<OperatorResult<BulkResult>>;

  // Commands. `by`: who gives it, for events and histories.

  /**
   * Requests for a service wait, or go to its workers again; those that workers have go on. It need not be
   * known yet. Nothing is stored for a schedule when it is due, or again.
   */
  setPaused(target: PauseTarget, isOn: boolean, by: string): Promise<OperatorResult<null>>;
  /** Sets the limits of a service and its groups in place of others, of operators or the configuration; `null`: ends that. */
  setLimits(
    service: Buffer,
    limits: WrittenLimits | null,
    by: string,
  ): Promise<OperatorResult<null>>;
  /** Stores its request now, beside those of its due times, also if it is paused; answers with its uuid. */
  fireSchedule(uuid: RequestUuid, by: string): Promise<OperatorResult<RequestUuid>>;
  /** Makes a dead request pending again and resets its attempts. */
  retry(uuid: RequestUuid, by: string): Promise<OperatorResult<null>>;
  /** Makes a request due that is to run later. */
  runNow(uuid: RequestUuid, by: string): Promise<OperatorResult<null>>;
  /** Closes a request that is pending, dispatched or dead. */
  cancel(uuid: RequestUuid, by: string): Promise<OperatorResult<null>>;
  /** Retries requests, or closes them (purge, cancel). @param limit maximum number */
  bulk(
    act: BulkAct,
    selection: RequestSelection,
    limit: number,
    by: string,
  ): Promise<OperatorResult<BulkResult>>;
}
