/** Answers queries for display from a store file. */
import type Database from 'better-sqlite3';

import type { GroupPage, OwnedKey } from '../../queries.js';
import {
  bitOf,
  GroupScan,
  listedIn,
  PageScan,
  type RowScan,
  SCAN_MS_MAX,
  SCAN_ROWS_MAX,
  type ScanQuery,
  type Slice,
  sliceRows,
} from '../../scan.js';
import type { RequestUuid } from '../../store.js';
import { bytesOf, type Grouping, type ScannedRow, wantedBy } from '../../stored-filter.js';
import type { ResultOf } from '../../thread/operations.js';
import { type ListedRow, packListed } from '../../thread/request-messages.js';
import { QUERY_SQL } from './query-statements.js';

const ONLY_DEAD = bitOf('dead');

type History = NonNullable<ResultOf<'history'>>;
type Row = readonly [
  uuid: string,
  service: string,
  reason: string | null,
  extra: Buffer | null,
  diedAt: number | null,
  notBefore: number,
  attempts: number,
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

  page(query: ScanQuery): ResultOf<'page'> {
    return this.#atOneMoment(() => {
      const scan = new PageScan(query);
      this.#scan(query, null, scan);
      const rows = scan.found.map((uuid) => this.#sql.one.get(bytesOf(uuid)) as ListedRow);
      return { listed: packListed(rows), ...scan.reached(this.#scanned(query, scan.next)) };
    });
  }

  groups(query: ScanQuery, by: Grouping): GroupPage {
    return this.#atOneMoment(() => {
      const scan = new GroupScan(query, by);
      this.#scan(query, by, scan);
      return { groups: scan.counts.all(), ...scan.reached(this.#scanned(query, scan.next)) };
    });
  }

  #atOneMoment<Value>(read: () => Value): Value {
    return this.#db.transaction(read)();
  }

  /** Examines rows, newest first, until the scan needs no more or has cost enough. */
  #scan(query: ScanQuery, by: Grouping | null, scan: RowScan): void {
    const slices = query.only === null ? this.#slices(query, by, scan) : this.#listed(query, by);
    for (const slice of slices) if (scan.take(slice)) return;
  }

  *#slices(query: ScanQuery, by: Grouping | null, scan: RowScan): Generator<Slice> {
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
  *#listed(query: ScanQuery, by: Grouping | null): Generator<Slice> {
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
    { states, service, serviceMatch, kind, own, more }: ScanQuery,
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
      own,
      match: service === null ? 'any' : serviceMatch,
      service,
      most,
    }) as Row[];
    return rows.map(([uuid, name, why, fields, died, notBefore, attempts]) => {
      const row = { uuid, service: name, reason: why, extra: fields, diedAt: died };
      return { ...row, notBefore, attempts };
    });
  }

  /** How many rows a query has examined that ends there. */
  #scanned(query: ScanQuery, next: string | null): number {
    const to = next ?? query.to;
    if (query.only !== null) return listedIn(query, to).length;
    const count = query.states === ONLY_DEAD ? this.#sql.countOfDead : this.#sql.count;
    return count.get({ from: bytesOf(query.from), to: bytesOf(to) }) as number;
  }

  /** Everything about one request, as of one moment. */
  history(uuid: RequestUuid): History | null {
    return this.#atOneMoment(() => {
      const row = this.#sql.one.get(uuid) as ListedRow | undefined;
      if (row === undefined) return null;
      const [, , number] = row;
      const more = this.#sql.more.get(uuid) as {
        readonly hasKey: number;
        readonly attemptsEver: number;
        readonly extra: Buffer | null;
      };
      return {
        ...more,
        listed: packListed([row]),
        hasKey: more.hasKey === 1,
        attempts: this.#sql.attempts.all(number) as History['attempts'],
        reply: (this.#sql.reply.get(number) ?? null) as History['reply'],
        death: (this.#sql.death.get(number) ?? null) as History['death'],
      };
    });
  }

  bodies(uuid: RequestUuid): ResultOf<'bodies'> {
    return (this.#sql.bodies.get(uuid) ?? null) as ResultOf<'bodies'>;
  }

  hasKeys(keys: readonly OwnedKey[]): boolean[] {
    return keys.map((key) => this.#sql.hasKey.get(key) !== undefined);
  }
}
