/** Answers queries for display from a store file. */
import type Database from 'better-sqlite3';

import {
  GroupScan,
  type PackedGroupQuery,
  type PackedPageQuery,
  PageScan,
  type Scan,
  SCAN_MS_MAX,
  SCAN_ROWS_MAX,
  type Slice,
  sliceRows,
  uuidsOf,
} from '../../scan.js';
import type {
  BodyRows,
  HistoryRows,
  ListedRow,
  PackedGroups,
  PackedPage,
} from '../../thread/query-messages.js';
import { type Grouping, type ScannedRow, wantedBy } from '../../stored-filter.js';
import { QUERY_SQL } from './query-statements.js';
import { DEAD } from '../file/schema.js';

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
      const scan = new PageScan(query);
      this.#scan(query, null, scan);
      const rows = scan.found.map((uuid) => this.#sql.one.get(bytesOf(uuid)) as ListedRow);
      return { rows, next: scan.next, scanned: this.#scanned(query, scan.next) };
    });
  }

  groups(query: PackedGroupQuery): PackedGroups {
    return this.#atOneMoment(() => {
      const scan = new GroupScan(query);
      this.#scan(query, query.by, scan);
      return { groups: scan.all(), next: scan.next, scanned: this.#scanned(query, scan.next) };
    });
  }

  #atOneMoment<Value>(read: () => Value): Value {
    return this.#db.transaction(read)();
  }

  /** Examines rows, newest first, until the scan needs no more or has cost enough. */
  #scan(query: PackedPageQuery, by: Grouping | null, scan: Scan): void {
    const slices = query.only === null ? this.#slices(query, by, scan) : this.#listed(query, by);
    for (const slice of slices) if (scan.take(slice)) return;
  }

  *#slices(query: PackedPageQuery, by: Grouping | null, scan: Scan): Generator<Slice> {
    const size = sliceRows(query);
    const endOf = query.states === ONLY_DEAD ? this.#sql.endOfDead : this.#sql.end;
    const until = performance.now() + this.#msMax;
    let from: string | null = query.from;
    for (let examined = 0; from !== null && examined < this.#rowsMax; examined += size) {
      if (examined > 0 && performance.now() >= until) return;
      const bounds = { from: bytesOf(from), to: bytesOf(query.to) };
      const end = (endOf.get({ ...bounds, offset: size - 1 }) ?? null) as string | null;
      const within = end === null ? bounds : { ...bounds, to: bytesOf(end) };
      const rows = this.#rows(query, by, within, scan.most);
      from = end;
      yield { rows, next: end };
    }
  }

  /** Yields a slice for each of the uuids that the query is limited to. */
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
    { states, service, serviceMatch, kind, more }: PackedPageQuery,
    by: Grouping | null,
    within: { readonly from: Buffer; readonly to: Buffer },
    most: number,
  ): ScannedRow[] {
    const { reason, extra, diedAt } = wantedBy(more, by);
    const slice = states === ONLY_DEAD ? this.#sql.sliceOfDead : this.#sql.slice;
    const rows = slice.all({
      ...within,
      reason: Number(reason),
      extra: Number(extra),
      diedAt: Number(diedAt),
      states,
      kind,
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

/** The uuids of `only` that lie below `from`, down to `to`. */
function listedIn({ only, from }: PackedPageQuery, to: string): string[] {
  return uuidsOf(only).filter((uuid) => uuid < from && uuid >= to);
}

function bytesOf(digits: string): Buffer {
  return Buffer.from(digits, 'hex');
}
