/**
 * The query port: lists and histories for display, read in parallel with the store's own work and
 * without delaying it. They show what is committed; only the machine knows which requests are with
 * a worker.
 */
import type { Failure } from '../wire/failure.js';
import type { KeptOptions } from '../wire/job-option-table.js';
import type { Bodies } from './bodies.js';
import type {
  Attempt,
  Owner,
  RequestUuid,
  StoredRequest,
  StoredState,
  StoreFailure,
} from './store.js';
import type { Grouping, StoredFilter } from './stored-filter.js';

/** Which requests, the newest first. */
export interface Selection {
  readonly filter: StoredFilter;
  readonly states: readonly StoredState[];
  /** Only requests older than this one, which need not exist any more. */
  readonly after: RequestUuid | null;
  /** Concatenated uuids: only these. */
  readonly only: Buffer | null;
  /** Concatenated uuids: all except these. */
  readonly except: Buffer | null;
}

export interface PageQuery extends Selection {
  readonly limit: number;
}

export interface GroupQuery extends Selection {
  readonly by: Grouping;
  /** Maximum number of groups, at least 1. */
  readonly limit: number;
}

/**
 * How far a query has come. It ends after so many rows, or so much time, whatever it has found by then: only a
 * `next` of null marks the end.
 */
export interface Scan {
  /** `after` of the next query. */
  readonly next: RequestUuid | null;
  /** How many rows were examined: of dead requests, if only those were asked for, otherwise of all. */
  readonly scanned: number;
}

/** How much of a reason is shown in lists. */
export const REASON_CHARACTERS_MAX = 256;

/** A stored request as shown in lists. */
export interface ListedRequest extends StoredRequest {
  /**
   * The beginning of the reason why it is dead, or otherwise why the last failed attempt that is
   * kept failed; `null`: none failed, or it has a reply.
   */
  readonly reason: string | null;
  /** When it died, or that attempt ended: wall milliseconds; `null`: there is no reason. */
  readonly reasonAt: number | null;
}

/** A page, which may hold fewer requests than the limit, even none, although there are more. */
export interface RequestPage extends Scan {
  /** The requests of the page, which may be unpacked when this is read: read it once. */
  readonly requests: readonly ListedRequest[];
}

/** Requests that have something in common: what is not null. */
export interface RequestGroup {
  readonly service: Buffer | null;
  readonly code: string | null;
  readonly pattern: string | null;
  readonly count: number;
  /** The newest of them, with the beginning of its reason. */
  readonly example: Pick<ListedRequest, 'uuid' | 'service' | 'reason'>;
}

/** A page of groups. A group may be in several pages: its counts are added. */
export interface GroupPage extends Scan {
  readonly groups: readonly RequestGroup[];
}

/** An attempt as shown in a history. */
interface HistoryAttempt extends Pick<Attempt, 'worker' | 'startedAt' | 'endedAt' | 'reason'> {
  /** What its worker reported; `null`: nothing. */
  readonly failure: Failure | null;
}

/** All that is stored about one request, except its body, its reply and its key. */
export interface RequestHistory extends KeptOptions {
  readonly request: ListedRequest;
  readonly hasKey: boolean;
  /** Including those before a retry, and those that are no longer kept. */
  readonly attemptsEver: number;
  /** The last attempts, oldest first. */
  readonly attempts: readonly HistoryAttempt[];
  readonly reply: { readonly bytes: number; readonly worker: string; readonly at: number } | null;
  readonly death: { readonly reason: string; readonly at: number } | null;
}

/** An idempotency key of an owner for a service. */
export interface OwnedKey {
  readonly service: Buffer;
  readonly key: Buffer;
  readonly owner: Owner;
}

/** Each query is answered once, never within the call. */
export interface StoreQueries {
  page(query: PageQuery, answer: (page: RequestPage | StoreFailure) => void): void;
  groups(query: GroupQuery, answer: (page: GroupPage | StoreFailure) => void): void;
  /** `null`: not in the store. */
  history(uuid: RequestUuid, answer: (history: RequestHistory | null | StoreFailure) => void): void;
  /** The beginnings of body and reply. `null`: not in the store. */
  bodies(uuid: RequestUuid, answer: (bodies: Bodies | null | StoreFailure) => void): void;
  /** Whether the store has each key, even if it need not remember it any more. */
  hasKeys(
    keys: readonly OwnedKey[],
    answer: (known: readonly boolean[] | StoreFailure) => void,
  ): void;
}
