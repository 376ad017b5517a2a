/**
 * The messages between the main thread and the query thread: plain values, bytes as hexadecimal
 * digits.
 */
import type { PackedGroup } from '../group-counts.js';
import type { StoreFailure } from '../store.js';
import type { PackedGroupQuery, PackedPageQuery } from '../scan.js';
import type { RequestHistory, HistoryAttempt } from '../queries.js';

/** The columns of a stored request (request.ts), bytes as hexadecimal digits, its reason and when. */
export type ListedRow = readonly [
  uuid: string,
  service: string,
  number: number,
  state: number,
  ...rest: (number | string)[],
  reason: string | null,
  reasonAt: number | null,
];

export interface PackedScan {
  readonly next: string | null;
  readonly scanned: number;
}

export interface PackedPage extends PackedScan {
  readonly rows: readonly ListedRow[];
}

export interface PackedGroups extends PackedScan {
  readonly groups: readonly PackedGroup[];
}

/** The fields of one attempt. */
export type AttemptRow = Omit<HistoryAttempt, 'failure'> & {
  /** Empty: its worker reported nothing. */
  readonly failure: string;
};

export interface HistoryRows {
  readonly row: ListedRow;
  readonly hasKey: boolean;
  readonly attemptsEver: number;
  /** Empty: it has none. */
  readonly extra: string;
  readonly attempts: readonly AttemptRow[];
  readonly reply: RequestHistory['reply'];
  readonly death: RequestHistory['death'];
}

/** Beginnings of bodies as hexadecimal digits; the total size is `null` if there is none. */
export interface BodyRows {
  readonly body: string;
  readonly bodyBytes: number | null;
  readonly reply: string;
  readonly replyBytes: number | null;
  /** Empty: it has none. */
  readonly extra: string;
}

export type QueryOrder =
  | { readonly id: number; readonly kind: 'page'; readonly query: PackedPageQuery }
  | { readonly id: number; readonly kind: 'groups'; readonly query: PackedGroupQuery }
  | { readonly id: number; readonly kind: 'history' | 'bodies'; readonly uuid: string }
  | { readonly id: number; readonly kind: 'close' };

export interface QueryAnswer {
  readonly id: number;
  readonly failure: StoreFailure | null;
  /** A result, whose type depends on the kind of the order. */
  readonly value: unknown;
}
