/**
 * A bounded look through stored requests, newest first: what both engines do with the slices of rows that
 * they read for a page or for groups.
 */
import { GroupCounts, type PackedGroup } from './group-counts.js';
import {
  isNarrow,
  matches,
  type Grouping,
  type RowFilter,
  type ScannedRow,
  type ServiceMatch,
} from './stored-filter.js';

/** Maximum number of rows that one statement examines; and of those whose reasons or headers it reads. */
const SLICE_ROWS = 2000;
const NARROW_SLICE_ROWS = 500;
/** What one query examines at most. */
export const SCAN_ROWS_MAX = 100_000;
export const SCAN_MS_MAX = 100;

const UUID_DIGITS = 32;

/**
 * A `PageQuery` as the query thread gets it: uuids as hexadecimal digits, those between `from`, which is
 * left out, and `to`.
 */
export interface PackedPageQuery {
  readonly from: string;
  readonly to: string;
  readonly service: string | null;
  readonly serviceMatch: ServiceMatch;
  /** See `numberOfFilter`. */
  readonly kind: number;
  readonly more: RowFilter;
  /** A bit for each, by its number in the schema. */
  readonly states: number;
  readonly only: string | null;
  readonly except: string | null;
  readonly limit: number;
}

export interface PackedGroupQuery extends PackedPageQuery {
  readonly by: Grouping;
}

/** Rows of the services and states that are asked for, and where the next slice begins. */
export interface Slice {
  readonly rows: readonly ScannedRow[];
  readonly next: string | null;
}

/** Maximum number of rows in a slice of this query. */
export function sliceRows({ more }: PackedPageQuery): number {
  return isNarrow(more) ? NARROW_SLICE_ROWS : SLICE_ROWS;
}

export function uuidsOf(packed: string | null): string[] {
  const uuids: string[] = [];
  for (let at = 0; at < (packed?.length ?? 0); at += UUID_DIGITS) {
    uuids.push(packed?.slice(at, at + UUID_DIGITS) ?? '');
  }
  return uuids;
}

/** Takes the matches of a query, slice by slice. */
export abstract class Scan {
  readonly #query: PackedPageQuery;
  readonly #except: ReadonlySet<string>;
  readonly #enough: number;
  #taken = 0;
  /** The uuid behind which the next query begins; `null`: that was all. */
  next: string | null = null;

  /** @param enough maximum number of matches */
  constructor(query: PackedPageQuery, enough: number) {
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

  /** Takes a match. Returns null, or the uuid behind which the next query begins. */
  protected abstract visit(row: ScannedRow): string | null;
}

/** The uuids of one page. */
export class PageScan extends Scan {
  readonly found: string[] = [];
  readonly #limit: number;

  constructor(query: PackedPageQuery) {
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
export class GroupScan extends Scan {
  readonly #counts: GroupCounts;
  #last: string | null = null;

  constructor(query: PackedGroupQuery) {
    super(query, Infinity);
    this.#counts = new GroupCounts(query.by, query.limit);
  }

  protected override visit(row: ScannedRow): string | null {
    if (!this.#counts.add(row)) return this.#last;
    this.#last = row.uuid;
    return null;
  }

  all(): PackedGroup[] {
    return this.#counts.all();
  }
}
