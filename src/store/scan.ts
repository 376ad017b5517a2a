/**
 * A bounded look through stored requests, newest first: what both engines do with the slices of rows that
 * they read for a page or for groups.
 */
import { GroupCounts } from './group-counts.js';
import { ownOfGroup } from './own-fields.js';
import type { PageQuery, Scan } from './queries.js';
import type { StoredState } from './record-kind.js';
import { STATES } from './request.js';
import {
  boundsOf,
  bytesOf,
  digitsOf,
  isNarrow,
  matches,
  numberOfFilter,
  type Grouping,
  type ScannedRow,
  type StoredFilter,
} from './stored-filter.js';

/** Maximum number of rows that one statement examines; and of those whose reasons or headers it reads. */
const SLICE_ROWS = 2000;
const NARROW_SLICE_ROWS = 500;
/** What one query examines at most. */
export const SCAN_ROWS_MAX = 100_000;
export const SCAN_MS_MAX = 100;

const UUID_DIGITS = 32;

/** A `PageQuery` as the statements of an engine need it: uuids between `from`, which is left out, and `to`. */
export interface ScanQuery
  extends
    Pick<StoredFilter, 'service' | 'serviceMatch' | 'more'>,
    Pick<PageQuery, 'only' | 'except' | 'limit'> {
  /** Hexadecimal digits, in upper case. */
  readonly from: string;
  readonly to: string;
  /** See `numberOfFilter`. */
  readonly kind: number;
  /** What requests of the group have of their own; empty: of any. */
  readonly own: Buffer;
  /** A bit for each, by its number in the columns of both engines: see `bitOf`. */
  readonly states: number;
}

export function scanQueryOf({ filter, states, after, ...query }: PageQuery): ScanQuery {
  const { group, ...others } = filter;
  return {
    ...query,
    ...others,
    own: ownOfGroup(group),
    ...boundsOf(filter, after),
    kind: numberOfFilter(filter.kind),
    states: states.reduce((bits, state) => bits | bitOf(state), 0),
  };
}

export function bitOf(state: StoredState): number {
  return 2 << STATES.indexOf(state);
}

/** Rows of the services and states that are asked for, and where the next slice begins. */
export interface Slice {
  readonly rows: readonly ScannedRow[];
  readonly next: string | null;
}

/** Maximum number of rows in a slice of this query. */
export function sliceRows({ more }: ScanQuery): number {
  return isNarrow(more) ? NARROW_SLICE_ROWS : SLICE_ROWS;
}

/** The digits of each of these uuids. */
export function uuidsOf(concatenated: Buffer | null): string[] {
  const digits = concatenated === null ? '' : digitsOf(concatenated);
  return Array.from({ length: digits.length / UUID_DIGITS }, (_, at) =>
    digits.slice(at * UUID_DIGITS, (at + 1) * UUID_DIGITS),
  );
}

/** The uuids of `only` that lie below `from`, down to `to`. */
export function listedIn({ only, from }: ScanQuery, to: string): string[] {
  return uuidsOf(only).filter((uuid) => uuid < from && uuid >= to);
}

/** Takes the matches of a query, slice by slice. */
export abstract class RowScan {
  readonly #query: ScanQuery;
  readonly #except: ReadonlySet<string>;
  readonly #enough: number;
  #taken = 0;
  /** The uuid behind which the next query begins; `null`: that was all. */
  next: string | null = null;

  /** @param enough maximum number of matches */
  constructor(query: ScanQuery, enough: number) {
    this.#query = query;
    this.#except = new Set(uuidsOf(query.except));
    this.#enough = enough;
  }

  /** How many rows of a slice are worth reading. */
  get most(): number {
    const size = sliceRows(this.#query);
    if (isNarrow(this.#query.more)) return size;
    // Rows that are left out must be read, too.
    return Math.min(size, this.#enough - this.#taken + this.#except.size);
  }

  /** @returns true: no more slices are needed */
  take({ rows, next }: Slice): boolean {
    for (const row of rows) {
      if (this.#except.has(row.uuid) || !matches(this.#query.more, row)) continue;
      this.#taken++;
      const end = this.visit(row);
      if (end === null) continue;
      this.next = end;
      return true;
    }
    this.next = next;
    return false;
  }

  /** @param scanned how many rows it examined */
  reached(scanned: number): Scan {
    return { next: this.next === null ? null : bytesOf(this.next), scanned };
  }

  /** Takes a match. Returns null, or the uuid behind which the next query begins. */
  protected abstract visit(row: ScannedRow): string | null;
}

/** The uuids of one page. */
export class PageScan extends RowScan {
  readonly found: string[] = [];
  readonly #limit: number;

  constructor(query: ScanQuery) {
    // One more shows whether there is another page.
    super(query, query.limit + 1);
    this.#limit = query.limit;
  }

  protected override visit({ uuid }: ScannedRow): string | null {
    if (this.found.length === this.#limit) return this.found.at(-1) ?? null;
    this.found.push(uuid);
    return null;
  }
}

/** How many requests have what in common. */
export class GroupScan extends RowScan {
  readonly counts: GroupCounts;
  #last: string | null = null;

  constructor(query: ScanQuery, by: Grouping) {
    super(query, Infinity);
    this.counts = new GroupCounts(by, query.limit);
  }

  protected override visit(row: ScannedRow): string | null {
    if (!this.counts.add(row)) return this.#last;
    this.#last = row.uuid;
    return null;
  }
}
