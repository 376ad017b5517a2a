/** Answers queries for display from a store file. Each statement is a short transaction of its own. */
import type Database from 'better-sqlite3';

import { WALL_MS_MAX } from '../../../core/numbers.js';
import type {
  BodyRows,
  HistoryRows,
  ListedRow,
  PackedPage,
  PackedPageQuery,
} from '../../thread/query-messages.js';
import { QUERY_SQL } from './query-statements.js';
import { DEAD } from '../file/schema.js';

/** Maximum number of rows that one statement examines. */
const SLICE_ROWS = 2000;
/** Maximum number of rows that are examined for one page. */
const PAGE_ROWS_MAX = 100_000;

/** Above every uuid. */
const ABOVE_ALL = 'F'.repeat(34);
/** Below every uuid. */
const BELOW_ALL = '';
const TIME_DIGITS = 12;
const UUID_DIGITS = 32;

/** The rest of a request. */
interface MoreRow {
  readonly hasKey: number;
  readonly attemptsEver: number;
  readonly extra: string;
}

type Prepared = Readonly<Record<keyof typeof QUERY_SQL, Database.Statement>>;

export class QueryRunner {
  readonly #db: Database.Database;
  readonly #sql: Prepared;
  readonly #pageRowsMax: number;

  /** @param pageRowsMax maximum number of rows examined for one page */
  constructor(db: Database.Database, pageRowsMax: number = PAGE_ROWS_MAX) {
    this.#db = db;
    this.#pageRowsMax = pageRowsMax;
    const prepared = Object.entries(QUERY_SQL).map(([name, sql]) => [name, db.prepare(sql)]);
    this.#sql = Object.fromEntries(prepared) as Prepared;
    for (const name of ['slice', 'sliceOfDead', 'one'] as const) this.#sql[name].raw();
    for (const name of ['end', 'endOfDead'] as const) this.#sql[name].pluck();
  }

  page(query: PackedPageQuery): PackedPage {
    const { after, acceptedBefore, only } = query;
    const start = after ?? ABOVE_ALL;
    const bound = acceptedBefore === null ? ABOVE_ALL : firstOf(acceptedBefore);
    const from = start < bound ? start : bound;
    return only === null ? this.#walk(query, from) : this.#listed(query, from, only);
  }

  /** Reads slice by slice, newest first, until the page is full or has cost enough. */
  #walk(query: PackedPageQuery, start: string): PackedPage {
    const { limit, state } = query;
    const endOf = state === DEAD ? this.#sql.endOfDead : this.#sql.end;
    const except = new Set(uuidsOf(query.except));
    const rows: ListedRow[] = [];
    let from = start;
    for (let walked = 0; walked < this.#pageRowsMax; walked += SLICE_ROWS) {
      const end = endOf.get(bytesOf(from), SLICE_ROWS - 1) as string | undefined;
      // Rows that are left out must be read, too; one more shows whether there is another page.
      const most = limit + 1 - rows.length + except.size;
      for (const row of this.#slice(query, from, end ?? BELOW_ALL, most)) {
        if (except.has(row[0])) continue;
        if (rows.length === limit) return { rows, next: rows.at(-1)?.[0] ?? null };
        rows.push(row);
      }
      if (end === undefined) return { rows, next: null };
      from = end;
    }
    return { rows, next: from };
  }

  #slice({ service, state }: PackedPageQuery, from: string, to: string, most: number): ListedRow[] {
    const bounds = { from: bytesOf(from), to: bytesOf(to), most };
    const name = service === null ? null : bytesOf(service);
    const rows =
      state === DEAD
        ? this.#sql.sliceOfDead.all({ ...bounds, service: name })
        : this.#sql.slice.all({ ...bounds, service: name, state });
    return rows as ListedRow[];
  }

  /** The newest of these. */
  #listed({ service, state, limit }: PackedPageQuery, from: string, only: string): PackedPage {
    const rows: ListedRow[] = [];
    const uuids = uuidsOf(only).filter((uuid) => uuid < from);
    uuids.sort().reverse();
    for (const [place, uuid] of uuids.entries()) {
      if (place === this.#pageRowsMax) return { rows, next: uuids[place - 1] ?? null };
      const row = this.#sql.one.get(bytesOf(uuid)) as ListedRow | undefined;
      if (row === undefined || (state !== null && row[3] !== state - 1)) continue;
      if (service !== null && row[1] !== service) continue;
      if (rows.length === limit) return { rows, next: rows.at(-1)?.[0] ?? null };
      rows.push(row);
    }
    return { rows, next: null };
  }

  /** Everything about one request, as of one moment. */
  history(uuid: string): HistoryRows | null {
    return this.#db.transaction((): HistoryRows | null => {
      const row = this.#sql.one.get(bytesOf(uuid)) as ListedRow | undefined;
      if (row === undefined) return null;
      const [, , number] = row;
      const more = this.#sql.more.get(bytesOf(uuid)) as MoreRow;
      return {
        row,
        hasKey: more.hasKey === 1,
        attemptsEver: more.attemptsEver,
        extra: more.extra,
        attempts: this.#sql.attempts.all(number) as HistoryRows['attempts'],
        reply: (this.#sql.reply.get(number) ?? null) as HistoryRows['reply'],
        death: (this.#sql.death.get(number) ?? null) as HistoryRows['death'],
      };
    })();
  }

  bodies(uuid: string): BodyRows | null {
    return (this.#sql.bodies.get(bytesOf(uuid)) as BodyRows | undefined) ?? null;
  }
}

/** The first uuid of a millisecond, which need not exist. */
function firstOf(wallMs: number): string {
  const time = Math.min(Math.max(Math.ceil(wallMs), 0), WALL_MS_MAX);
  return time.toString(16).toUpperCase().padStart(TIME_DIGITS, '0');
}

function uuidsOf(packed: string | null): string[] {
  const uuids: string[] = [];
  for (let at = 0; at < (packed?.length ?? 0); at += UUID_DIGITS) {
    uuids.push(packed?.slice(at, at + UUID_DIGITS) ?? '');
  }
  return uuids;
}

function bytesOf(digits: string): Buffer {
  return Buffer.from(digits, 'hex');
}
