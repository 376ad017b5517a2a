/** Checks whether a store file is intact, and whether its contents can be true. */
import { STATE_NAMES } from '../tables/statements.js';
import { kindInvariants } from '../../kind-invariants.js';
import type { StoredCounts } from '../../database-tools.js';
import { countOf, kindOfNumber, noCounts } from '../../record-kind.js';
import type Database from 'better-sqlite3';

import { codeOf, MajordomoError, messageOf } from '../../../core/errors.js';
import type { RequestRecord } from '../../record-codec.js';
import { ATTEMPTS_RETAINED } from '../../store.js';
import { setAsideText } from '../../unusable.js';
import { isOwner } from '../../request.js';
import { recordsIn } from '../tables/changed-records.js';
import type { PartCount } from '../../ranked.js';
import { partCounts } from '../tables/ranked-rows.js';
import { openForReading } from '../file/database.js';
import { formatOf } from '../file/connection.js';
import { hasLog } from '../file/header.js';
import { lacksLog } from '../file/log-mark.js';
import { movedTo } from '../file/moved.js';
import { rowsSetAside, UNUSABLE } from '../file/set-aside.js';
import { openError } from '../file/sqlite-errors.js';
import { DEAD, REPLIED } from '../file/schema.js';

export interface StoreReport extends StoredCounts {
  readonly format: number;
  /** Size of the file in bytes, and how much of it waits to be reused. */
  readonly bytes: number;
  readonly freeBytes: number;
  /** What extensions keep, without deleted records that are still remembered. */
  readonly parts: readonly PartCount[];
  /** Where its requests are now, and since when (ISO 8601); `null`: it was not moved. */
  readonly moved: { readonly place: string; readonly at: string } | null;
  /**
   * A log that the file needs, by its path: a broker had the file in service when it was copied. `null`: it is there, or
   * none is needed.
   */
  readonly missing: string | null;
  /** The problems, in words; empty if there are none. */
  readonly problems: readonly string[];
}

/** Maximum number of reports from SQLite's own check that are shown. */
const REPORTS_MAX = 100;

const COUNTS = 'SELECT kind, state, count(*) AS count FROM requests GROUP BY kind, state';

/** Inconsistencies within one request: a text, and whether it has it. */
const FAULTS: readonly (readonly [problem: string, has: (record: RequestRecord) => boolean])[] = [
  [
    'requests without a body, or with one of another size',
    ({ request, body }) => (body?.length ?? -1) + request.own.length !== request.bodyBytes,
  ],
  [
    'requests replied, but without a reply',
    ({ request, reply }) => request.state === 'replied' && reply === null,
  ],
  [
    'requests dead, but without a reason',
    ({ request, death }) => request.state === 'dead' && death === null,
  ],
  ['requests with an invalid owner', ({ request }) => !isOwner(request.owner)],
];

/** Inconsistencies between tables: a text, and the requests (`number`) that have it. */
const INVARIANTS: readonly (readonly [problem: string, query: string])[] = [
  [
    'requests with a number that is not assigned yet',
    'SELECT number FROM requests WHERE number >= (SELECT next_number FROM ledger)',
  ],
  ['bodies of no request', orphans('bodies')],
  ['requests not replied, but with a reply', orphans('replies', REPLIED)],
  [
    'requests with a reply of another size',
    `SELECT number FROM requests LEFT JOIN replies USING (number)
      WHERE reply_bytes <> coalesce(length(reply), 0)`,
  ],
  ['requests not dead, but with a reason', orphans('deaths', DEAD)],
  ['attempts of no request', orphans('attempts')],
  [
    'requests with a wrong number of attempts',
    `SELECT number FROM (SELECT number, attempts_ever, count(ordinal) AS stored, max(ordinal) AS last
      FROM requests LEFT JOIN attempts USING (number) GROUP BY number)
      WHERE stored <> min(attempts_ever, ${ATTEMPTS_RETAINED}) OR (stored > 0 AND last <> attempts_ever)`,
  ],
  [
    'requests whose key belongs to another request',
    `SELECT number FROM requests LEFT JOIN keys USING (service, key, owner)
      WHERE key IS NOT NULL AND (keys.uuid IS NOT requests.uuid OR until IS NOT NULL)`,
  ],
  ['requests neither shared nor not', 'SELECT number FROM requests WHERE shared NOT IN (0, 1)'],
  [
    'requests changed by a future transaction, or before their body was stored',
    `SELECT number FROM requests, ledger WHERE changed >= (openings + 1) << 32 OR born > changed`,
  ],
  [
    'requests that are closed but still stored',
    'SELECT number FROM requests WHERE uuid IN (SELECT uuid FROM tombstones)',
  ],
  ...kindInvariants({
    table: 'requests',
    none: "x''",
    isPartner: 'p.uuid = r.partner',
    namesBack: 'p.partner = r.uuid',
  }).map(([problem, where]) => [problem, `SELECT number FROM requests r WHERE ${where}`] as const),
];

/** Inconsistencies of what extensions keep: a text, and the records (`id`) that have it. */
const RANKED_INVARIANTS: typeof INVARIANTS = [
  [
    'records of extensions changed by a future transaction',
    'SELECT ranked.id FROM ranked, ledger WHERE changed >= (openings + 1) << 32',
  ],
];

/**
 * Reads all of a store, whether the broker runs or not, and changes nothing.
 * @param onProgress called before each step: what is checked, and how many steps are done, of how
 * many
 * @returns the contents and the problems
 * @throws the errors of opening a store
 */
export function verifyStore(
  path: string,
  onProgress: (what: string, done: number, all: number) => void,
): StoreReport {
  try {
    // SQLite makes an empty one when it opens the file.
    const log = hasLog(path) ? null : `${path}-wal`;
    const db = openForReading(path);
    try {
      return verify(db, log, onProgress);
    } finally {
      db.close();
    }
  } catch (error) {
    throw openError(path, error);
  }
}

/** @param log where it would be; `null`: it is there */
function verify(
  db: Database.Database,
  log: string | null,
  onProgress: (what: string, done: number, all: number) => void,
): StoreReport {
  const problems: string[] = [];
  const facts = { ...noCounts(), keys: 0 };
  let parts: readonly PartCount[] = [];
  const all = UNUSABLE.length + INVARIANTS.length + RANKED_INVARIANTS.length + 8;
  let done = 0;
  let moved: StoreReport['moved'] = null;
  let missing: string | null = null;
  const step = (what: string, look: () => void): void => {
    onProgress(what, done++, all);
    try {
      look();
    } catch (error) {
      // A damaged page ends one query, not the others.
      if (!(codeOf(error) ?? '').startsWith('SQLITE_')) throw error;
      problems.push(`${what}: ${messageOf(error)}`);
    }
  };
  step('the trees of pages', () => refuseEndless(db));
  step('pages and indexes', () => {
    const reports = db.pragma(`integrity_check(${REPORTS_MAX})`) as { integrity_check: string }[];
    const texts = reports.map(({ integrity_check: text }) => text);
    if (texts.join() !== 'ok') problems.push(...texts);
  });
  // Everything that follows concerns one moment.
  db.exec('BEGIN');
  step('the store', () => {
    moved = movedOf(db);
    checkStoreId(db, problems);
    if (log !== null && lacksLog(db)) missing = log;
  });
  step('counts', () => {
    const rows = db.prepare<[], { kind: number; state: number; count: number }>(COUNTS).all();
    for (const { kind, state: number, count } of rows) {
      const state = STATE_NAMES[number];
      if (state !== undefined) facts[countOf({ kind: kindOfNumber(kind), state })] += count;
    }
  });
  step('requests', () => checkRequests(db, problems));
  step('keys', () => {
    facts.keys = scalar(db, 'SELECT count(*) FROM keys');
    const lost = scalar(
      db,
      `SELECT count(*) FROM keys WHERE until IS NULL
        AND uuid NOT IN (SELECT uuid FROM requests WHERE key IS NOT NULL)`,
    );
    if (lost > 0) problems.push(`${lost} keys belong to missing requests`);
  });
  step('records of extensions', () => {
    parts = partCounts(db);
  });
  step('rows set aside', () => {
    const rows = rowsSetAside(db);
    if (rows.length > 0) problems.push(setAsideText(rows));
  });
  for (const { table, problem, where } of UNUSABLE) {
    step(problem, () => {
      const found = scalar(db, `SELECT count(*) FROM ${table} WHERE ${where}`);
      if (found > 0) problems.push(`${problem}: ${found}; the next start sets them aside`);
    });
  }
  const look = (problem: string, query: string, column: 'number' | 'id'): void => {
    step(problem, () => {
      const found = scalar(db, `SELECT count(DISTINCT ${column}) FROM (${query})`);
      if (found === 0) return;
      const first = scalar(db, `SELECT min(${column}) FROM (${query})`);
      problems.push(numbered(problem, found, first));
    });
  };
  for (const [problem, query] of INVARIANTS) look(problem, query, 'number');
  for (const [problem, query] of RANKED_INVARIANTS) look(problem, query, 'id');
  const pageBytes = pragma(db, 'page_size');
  return {
    format: formatOf(db),
    bytes: pragma(db, 'page_count') * pageBytes,
    freeBytes: pragma(db, 'freelist_count') * pageBytes,
    ...facts,
    parts,
    moved,
    missing,
    problems,
  };
}

/** In trees that have a page more than once, a table of a few pages can have more rows than anybody can read. */
function refuseEndless(db: Database.Database): void {
  // One moment for both: a broker that serves may shrink the file meanwhile.
  const isEndless = db.transaction(() => {
    const pages = pragma(db, 'page_count');
    const found = scalar(db, `SELECT count(*) FROM (SELECT 1 FROM dbstat LIMIT ${pages} + 1)`);
    return found > pages;
  });
  if (!isEndless()) return;
  const text = `store ${db.name} is damaged: pages are in its tables more than once, so that reading all of it might not end. Nothing else was checked: restore a backup`;
  throw new MajordomoError('ERR_TITANIC_DISK', text);
}

function checkRequests(db: Database.Database, problems: string[]): void {
  const found = new Map<string, { count: number; first: number }>();
  try {
    for (const record of recordsIn(db, Buffer.alloc(0))) {
      if (record.kind === 'key') break;
      const { number } = record.request;
      for (const [problem, has] of FAULTS) {
        if (!has(record)) continue;
        const { count = 0, first = number } = found.get(problem) ?? {};
        found.set(problem, { count: count + 1, first: Math.min(first, number) });
      }
    }
  } finally {
    // A damaged page ends the reading: what was found before it is told.
    for (const [problem, { count, first }] of found) {
      problems.push(numbered(problem, count, first));
    }
  }
}

function movedOf(db: Database.Database): StoreReport['moved'] {
  const moved = movedTo(db);
  return moved === null ? null : { place: moved.place, at: new Date(moved.at).toISOString() };
}

function numbered(problem: string, count: number, first: number): string {
  return `${problem}: ${count}; the first is number ${first}`;
}

function checkStoreId(db: Database.Database, problems: string[]): void {
  const ids = scalar(db, 'SELECT count(*) FROM ledger WHERE length(store_id) = 16');
  if (ids !== 1) problems.push('the ledger has no id of the store');
}

function orphans(table: string, state?: number): string {
  const which = state === undefined ? '' : ` WHERE state = ${state}`;
  return `SELECT number FROM ${table} WHERE number NOT IN (SELECT number FROM requests${which})`;
}

function scalar(db: Database.Database, sql: string): number {
  return Number(db.prepare(sql).pluck().get());
}

function pragma(db: Database.Database, name: string): number {
  return Number(db.pragma(name, { simple: true }));
}
