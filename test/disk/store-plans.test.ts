import type Database from 'better-sqlite3';

import { openForService } from '../../src/store/sqlite/file/database.js';
import { KnownStore } from '../../src/store/sqlite/file/known-store.js';
import { fitPairIndex } from '../../src/store/sqlite/file/pair-index.js';
import { QUERY_SQL } from '../../src/store/sqlite/queries/query-statements.js';
import { countContent } from '../../src/store/sqlite/tables/content-counts.js';
import { prepareRankedStatements } from '../../src/store/sqlite/tables/ranked-rows.js';
import { prepareStatements } from '../../src/store/sqlite/tables/statements.js';
import { StoreDirectory } from '../support/store-directory.js';

/** Every index of a store on a node of a pair, and a statement that needs it. */
const INDEXES = {
  requests_by_uuid: 'existing',
  requests_expiry: 'over',
  requests_by_change: 'changedRequests',
  keys_by_change: 'changedKeys',
  tombstones_by_change: 'changedTombstones',
  keys_remembered: 'forgettable',
  requests_dead: 'sliceOfDead',
  ranked_by_key: 'rankedExisting',
  ranked_by_change: 'rankedChanged',
  ranked_tombstones: 'rankedDropTombstones',
} as const;

/** Of both ports, those of ranked records by names that begin with `ranked`. */
function statementsOf(db: Database.Database): Record<string, { readonly source: string }> {
  const ofParts = Object.entries(prepareRankedStatements(db)).map(
    ([name, statement]) => [`ranked${name[0]?.toUpperCase()}${name.slice(1)}`, statement] as const,
  );
  return { ...prepareStatements(db), ...Object.fromEntries(ofParts) };
}

/** Statements that run when a store is opened, or when all of it is copied. */
const ONCE = ['apart', 'services', 'rankedTombstones', 'rankedEpochMax', 'rememberedKeys'];

const NAMED = {
  kind: -1,
  ...{ from: '', to: '', states: 14, match: 'any', service: null, most: 1, offset: 1 },
  ...{ reason: 1, extra: 1, diedAt: 1, key: '', owner: 0, own: '' },
};

describe('how SQLite carries out the statements of a store', () => {
  const directory = new StoreDirectory();
  let db: Database.Database;

  beforeAll(() => {
    db = openForService(directory.file, new KnownStore(directory.file, false, () => {}), false);
    fitPairIndex(db, directory.file, true);
    countContent(db);
  });
  afterAll(async () => {
    db.close();
    await directory.remove();
  });

  const planOf = (sql: string): string[] =>
    db
      .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...Array.from({ length: sql.split('?').length - 1 }, () => 1), NAMED)
      .map(({ detail }) => detail);

  it('each reads what it needs and no more', () => {
    let count = 0;
    for (const [name, { source }] of Object.entries(statementsOf(db))) {
      if (ONCE.includes(name)) continue;
      if (!/^(SELECT|INSERT|UPDATE|DELETE)/.test(source)) continue;
      const plan = planOf(source).join('\n');
      expect({ name, plan }).not.toEqual({ name, plan: expect.stringMatching(/SCAN|TEMP B-TREE/) });
      if (!source.startsWith('INSERT')) expect(plan).toContain('SEARCH');
      count++;
    }
    expect(count).toBeGreaterThan(25);
  });

  it('each list for operators reads one slice of an index, and sorts nothing', () => {
    for (const [name, sql] of Object.entries(QUERY_SQL)) {
      const plan = planOf(sql).join('\n');
      expect({ name, plan }).toEqual({ name, plan: expect.stringMatching(/SEARCH/) });
      expect({ name, plan }).not.toEqual({ name, plan: expect.stringMatching(/SCAN|TEMP B-TREE/) });
    }
    expect(planOf(QUERY_SQL.end)).toEqual([
      'SEARCH requests USING COVERING INDEX requests_by_uuid (uuid>? AND uuid<?)',
    ]);
    expect(planOf(QUERY_SQL.endOfDead)).toEqual([
      'SEARCH requests USING COVERING INDEX requests_dead (uuid>? AND uuid<?)',
    ]);
    expect(planOf(QUERY_SQL.slice)).toEqual([
      'SEARCH requests USING INDEX requests_by_uuid (uuid>? AND uuid<?)',
      // The reason and the time of death, if the filter asks for them.
      'CORRELATED SCALAR SUBQUERY 1',
      'SEARCH deaths USING INTEGER PRIMARY KEY (rowid=?)',
      'CORRELATED SCALAR SUBQUERY 2',
      'SEARCH attempts USING PRIMARY KEY (number=?)',
      'CORRELATED SCALAR SUBQUERY 3',
      'SEARCH deaths USING INTEGER PRIMARY KEY (rowid=?)',
    ]);
  });

  it('there is no index that no statement needs', () => {
    const indexes = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
      .pluck()
      .all();
    expect(indexes.sort()).toEqual(Object.keys(INDEXES).sort());
    const statements = statementsOf(db);
    for (const [index, name] of Object.entries(INDEXES)) {
      const sql =
        name in QUERY_SQL ? QUERY_SQL[name as 'sliceOfDead'] : (statements[name]?.source ?? '');
      expect(planOf(sql).join('\n')).toMatch(new RegExp(`USING (COVERING )?INDEX ${index} `));
    }
  });

  it.each([
    ['synchronous', 2],
    // On macOS, the drive would keep it in its cache.
    ['fullfsync', 1],
    ['checkpoint_fullfsync', 1],
  ])('what is committed and copied is on the disk: %s is %i', (name, value) => {
    expect(db.pragma(name, { simple: true })).toBe(value);
  });

  it('every table is STRICT', () => {
    const tables = db
      .prepare<[], { name: string; strict: number }>(
        "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'",
      )
      .all();
    expect(tables.length).toBeGreaterThan(5);
    expect(tables.filter(({ strict }) => strict !== 1)).toEqual([]);
  });
});
