/** What people see of stored requests, and what operators do to them: the port for pages and commands. */
import type { Bodies } from './bodies.js';
import type { ReadPage, RequestHistory, ListedRequest } from './reading.js';
import type { RequestUuid, StoredState } from './store.js';

/** `dispatched`: pending, and with a worker now. (Closed and expired ones are not in the store.) */
export type ShownState = StoredState | 'dispatched';

export interface ShownRequest extends Omit<ListedRequest, 'state'> {
  readonly state: ShownState;
}

/** Which requests. */
export interface BulkFilter {
  readonly service: Buffer | null;
  /** Accepted longer ago. */
  readonly olderThanMs: number | null;
}

/** What is with a worker is not purged: it may be cancelled. */
export interface PurgeFilter extends BulkFilter {
  /** `null`: the dead, and those that have a reply. */
  readonly state: StoredState | null;
}

export interface ListQuery extends BulkFilter {
  readonly state: ShownState | null;
  /** `next` of the page before; `null`: from the newest on. */
  readonly after: RequestUuid | null;
  readonly limit: number;
}

/** It may hold fewer than the limit, even none, although there are more: the end is `next` null. */
export interface ShownPage extends Omit<ReadPage, 'requests'> {
  readonly requests: readonly ShownRequest[];
}

export interface ShownHistory extends Omit<RequestHistory, 'request'> {
  readonly request: ShownRequest;
  /** The one under way: the worker's number, as in the log; milliseconds since 1970. */
  readonly delivery: { readonly worker: number; readonly startedAt: number } | null;
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
  /** In the order of their names, the first thousand. */
  readonly services: readonly ServiceCounts[];
}

/** How many were changed; `more`: it stopped at the limit or after 20 s, and there may be others. */
export interface BulkResult {
  readonly count: number;
  readonly more: boolean;
}

/** Why it was not done; `text` for people. */
export type OperatorRefusal =
  /** No such request. */
  | { readonly kind: 'unknown'; readonly text: string }
  /** It is not in a state in which that can be done. */
  | { readonly kind: 'state'; readonly text: string }
  /** The store cannot read or write now. */
  | { readonly kind: 'trouble'; readonly text: string };

export type OperatorResult<Value> =
  { readonly kind: 'done'; readonly value: Value } | OperatorRefusal;

/** Changes are on the disk when they are answered. */
export interface OperatorApi {
  list(query: ListQuery): Promise<OperatorResult<ShownPage>>;
  history(uuid: RequestUuid): Promise<OperatorResult<ShownHistory>>;
  /** The beginnings of what was sent and what was answered. */
  bodies(uuid: RequestUuid): Promise<OperatorResult<Bodies>>;
  counts(): ShownCounts;
  /** A dead one becomes pending again, its attempts counted anew. */
  retry(uuid: RequestUuid): Promise<OperatorResult<null>>;
  /** Closes one that is pending, dispatched or dead. */
  cancel(uuid: RequestUuid): Promise<OperatorResult<null>>;
  /** Retries the dead. @param limit at most so many */
  retryDead(filter: BulkFilter, limit: number): Promise<OperatorResult<BulkResult>>;
  /** Closes requests of one state; `null`: replied and dead ones. @param limit at most so many */
  purge(filter: PurgeFilter, limit: number): Promise<OperatorResult<BulkResult>>;
}
