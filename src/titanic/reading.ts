/**
 * The reading port: lists and histories for people, read beside the store's own work and without
 * holding it up. They tell what is committed; what is with a worker only the machine knows.
 */
import type { Failure } from '../wire/failure.js';
import type { Bodies } from './bodies.js';
import type { Attempt, RequestUuid, StoredRequest, StoredState, StoreFailure } from './store.js';

/** A page of a list, the newest first. */
export interface PageQuestion {
  readonly service: Buffer | null;
  readonly state: StoredState | null;
  /** Milliseconds since 1970. */
  readonly acceptedBefore: number | null;
  /** Only what is older than this one, which need not be there any more. */
  readonly after: RequestUuid | null;
  readonly limit: number;
  /** Uuids one after the other: nothing but these. */
  readonly only: Buffer | null;
  /** Uuids one after the other: none of these. */
  readonly except: Buffer | null;
}

/** Of a reason so much is told in lists. */
export const REASON_CHARACTERS_MAX = 256;

/** A stored request as it is told. */
export interface ListedRequest extends StoredRequest {
  /**
   * The beginning of why it is dead, or else of why its last attempt that is kept failed; `null`:
   * none failed, or it has a reply.
   */
  readonly reason: string | null;
}

/** It may hold fewer than the limit, even none, although there are more: the end is `next` null. */
export interface ReadPage {
  readonly requests: readonly ListedRequest[];
  /** `after` of the page that follows. */
  readonly next: RequestUuid | null;
}

/** What is told of an attempt. */
export interface HistoryAttempt extends Pick<
  Attempt,
  'worker' | 'startedAt' | 'endedAt' | 'reason'
> {
  /** What its worker said; `null`: nothing. */
  readonly failure: Failure | null;
}

/** All that is stored of one request, but for its body, its reply and its key. */
export interface RequestHistory {
  readonly request: ListedRequest;
  readonly hasKey: boolean;
  /** Also those before a retry, and those that are no longer kept. */
  readonly attemptsEver: number;
  /** The last ones, the oldest first. */
  readonly attempts: readonly HistoryAttempt[];
  readonly reply: { readonly bytes: number; readonly worker: string; readonly at: number } | null;
  readonly death: { readonly reason: string; readonly at: number } | null;
}

/** Each is answered once, never within the call. */
export interface Reading {
  page(question: PageQuestion, answer: (page: ReadPage | StoreFailure) => void): void;
  /** `null`: not in the store. */
  history(uuid: RequestUuid, answer: (history: RequestHistory | null | StoreFailure) => void): void;
  /** Their beginnings. `null`: not in the store. */
  bodies(uuid: RequestUuid, answer: (bodies: Bodies | null | StoreFailure) => void): void;
}
