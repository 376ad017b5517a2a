/** Answers queries for display from a store file. */
import type Database from 'better-sqlite3';

import { GroupCounts } from '../../group-counts.js';
import type {
  BodyRows,
  HistoryRows,
  ListedRow,
  PackedGroupQuery,
  PackedGroups,
  PackedPage,
  PackedPageQuery,
} from '../../thread/query-messages.js';
import {
  type Grouping,
  isNarrow,
  matches,
  type ScannedRow,
  wantedBy,
} from '../../stored-filter.js';
import { QUERY_SQL } from './query-statements.js';
import { DEAD } from '../file/schema.js';

/** Maximum number of rows that one statement examines; and of those whose reasons or headers it reads. */
const SLICE_ROWS = 2000;
const NARROW_SLICE_ROWS = 500;
/** What one query examines at most. */
const SCAN_ROWS_MAX = 100_000;
const SCAN_MS_MAX = 100;

const UUID_DIGITS = 32;
const ONLY_DEAD = 1 << DEAD;

/** The rest of a request. */
interface MoreRow {
  readonly hasKey: number;
  readonly attemptsEver: number;
  readonly extra: string;
}

type Row = readonly [
  uuid: string,
  service: string,
  reason: string | null,
  extra: Buffer | null,
  diedAt: number | null,
];

type Prepared = Readonly<Record<keyof typeof QUERY_SQL, Database.Statement>>;

/** Rows of the services and states that are asked for, and where the next slice begins. */
interface Slice {
  readonly rows: readonly ScannedRow[];
  readonly next: string | null;
}

/** Takes a match. Returns null, or the uuid behind which the next query begins. */
type Visit = (row: ScannedRow) => string | null;

export class QueryRunner {
  readonly #db: Database.Database;
  readonly #sql: Prepared;
  readonly #rowsMax: number;
  readonly #msMax: number;

  /** @param rowsMax maximum number of rows examined by one query, in slices */
  constructor(
    db: Database.Database,
    { rowsMax = SCAN_ROWS_MAX, msMax = SCAN_MS_MAX }: { rowsMax?: number; msMax?: number } = {},
  ) {
    this.#db = db;
    this.#rowsMax = rowsMax;
    this.#msMax = msMax;
    const prepared = Object.entries(QUERY_SQL).map(([name, sql]) => [name, db.prepare(sql)]);
    this.#sql = Object.fromEntries(prepared) as Prepared;
    for (const name of ['slice', 'sliceOfDead', 'one'] as const) this.#sql[name].raw();
    for (const name of ['end', 'endOfDead', 'count', 'countOfDead'] as const) {
      this.#sql[name].pluck();
    }
  }

  page(query: PackedPageQuery): PackedPage {
    return this.#atOneMoment(() => {
      const { limit } = query;
      const found: string[] = [];
      // One more shows whether there is another page.
      const next = this.#scan(query, null, limit + 1, ({ uuid }) => {
        if (found.length === limit) return found[limit - 1] ?? null;
        found.push(uuid);
        return null;
      });
      const rows = found.map((uuid) => this.#sql.one.get(bytesOf(uuid)) as ListedRow);
      return { rows, next, scanned: this.#scanned(query, next) };
    });
  }

  groups(query: PackedGroupQuery): PackedGroups {
    return this.#atOneMoment(() => {
      const counts = new GroupCounts(query.by, query.limit);
      let last: string | null = null;
      const next = this.#scan(query, query.by, Infinity, (row) => {
        if (!counts.add(row)) return last;
        last = row.uuid;
        return null;
      });
      return { groups: counts.all(), next, scanned: this.#scanned(query, next) };
    });
  }

  #atOneMoment<Value>(read: () => Value): Value {
    return this.#db.transaction(read)();
  }

  /**
   * Examines rows, newest first, until a visit ends it or it has cost enough.
   * @param enough maximum number of matches
   * @returns the uuid behind which the next query begins; `null`: that was all
   */
  #scan(query: PackedPageQuery, by: Grouping | null, enough: number, visit: Visit): string | null {
    const except = new Set(uuidsOf(query.except));
    let taken = 0;
    let next: string | null = null;
    const slices =
      query.only === null
        ? // Rows that are left out must be read, too.
          this.#slices(query, by, () => enough - taken + except.size)
        : this.#listed(query, by);
    for (const slice of slices) {
      for (const row of slice.rows) {
        if (except.has(row.uuid) || !matches(query.more, row)) continue;
        taken++;
        const end = visit(row);
        if (end !== null) return end;
      }
      next = slice.next;
    }
    return next;
  }

  /** @param most how many matches are still wanted */
  *#slices(query: PackedPageQuery, by: Grouping | null, most: () => number): Generator<Slice> {
    const isNarrowed = isNarrow(query.more);
    const size = isNarrowed ? NARROW_SLICE_ROWS : SLICE_ROWS;
    const endOf = query.states === ONLY_DEAD ? this.#sql.endOfDead : this.#sql.end;
    const until = performance.now() + this.#msMax;
    let from: string | null = query.from;
    for (let examined = 0; from !== null && examined < this.#rowsMax; examined += size) {
      if (examined > 0 && performance.now() >= until) return;
      const bounds = { from: bytesOf(from), to: bytesOf(query.to) };
      const end = (endOf.get({ ...bounds, offset: size - 1 }) ?? null) as string | null;
      const within = end === null ? bounds : { ...bounds, to: bytesOf(end) };
      const rows = this.#rows(query, by, within, isNarrowed ? size : Math.min(size, most()));
      from = end;
      yield { rows, next: end };
    }
  }

  /** One slice for each of these. */
  *#listed(query: PackedPageQuery, by: Grouping | null): Generator<Slice> {
    const until = performance.now() + this.#msMax;
    const uuids = listedIn(query, query.to).sort().reverse();
    for (const [place, uuid] of uuids.entries()) {
      if (place === this.#rowsMax || (place > 0 && performance.now() >= until)) return;
      const only = { from: bytesOf(`${uuid}00`), to: bytesOf(uuid) };
      const next = place === uuids.length - 1 ? null : uuid;
      yield { rows: this.#rows(query, by, only, 1), next };
    }
  }

  #rows(
    { states, service, serviceMatch, more }: PackedPageQuery,
    by: Grouping | null,
    within: { readonly from: Buffer; readonly to: Buffer },
    most: number,
  ): ScannedRow[] {
    const { reason, extra, diedAt } = wantedBy(more, by);
    const slice = states === ONLY_DEAD ? this.#sql.sliceOfDead : this.#sql.slice;
    const rows = slice.all({
      ...within,
      ...{ reason: Number(reason), extra: Number(extra), diedAt: Number(diedAt) },
      states,
      match: service === null ? 'any' : serviceMatch,
      service: service === null ? null : bytesOf(service),
      most,
    }) as Row[];
    return rows.map(([uuid, name, why, fields, died]) => {
      return { uuid, service: name, reason: why, extra: fields, diedAt: died };
    });
  }

  /** How many rows a query has examined that ends there. */
  #scanned(query: PackedPageQuery, next: string | null): number {
    const to = next ?? query.to;
    if (query.only !== null) return listedIn(query, to).length;
    const count = query.states === ONLY_DEAD ? this.#sql.countOfDead : this.#sql.count;
    return count.get({ from: bytesOf(query.from), to: bytesOf(to) }) as number;
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

/** Those of the uuids that are listed, down to one of them. */
function listedIn({ only, from }: PackedPageQuery, to: string): string[] {
  return uuidsOf(only).filter((uuid) => uuid < from && uuid >= to);
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
