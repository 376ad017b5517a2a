import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type Database from 'better-sqlite3';

import { openForService } from '../../../src/titanic/io/database.js';
import { prepareStatements } from '../../../src/titanic/io/statements.js';
import { StoreDirectory } from '../../support/store-directory.js';

/** Every index that the schema makes, and a statement that needs it. */
const INDEXES = {
  requests_by_uuid: 'standing',
  requests_pending: 'pending',
  requests_settled: 'over',
  requests_by_change: 'changedRequests',
  keys_by_change: 'changedKeys',
  tombstones_by_change: 'changedTombstones',
  keys_remembered: 'forgettable',
} as const;

describe('how SQLite carries out the statements of a store', () => {
  const directory = new StoreDirectory();
  let db: Database.Database;

  beforeAll(() => {
    db = openForService(directory.file, false);
  });
  afterAll(async () => {
    db.close();
    await directory.remove();
  });

  const planOf = (sql: string): string[] =>
    db
      .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...Array.from({ length: sql.split('?').length - 1 }, () => 1))
      .map(({ detail }) => detail);

  it('each reads what it needs and no more', () => {
    let count = 0;
    for (const [name, { source }] of Object.entries(prepareStatements(db))) {
      if (!/^(SELECT|INSERT|UPDATE|DELETE)/.test(source)) continue;
      const plan = planOf(source).join('\n');
      expect({ name, plan }).not.toEqual({ name, plan: expect.stringMatching(/SCAN|TEMP B-TREE/) });
      if (!source.startsWith('INSERT')) expect(plan).toContain('SEARCH');
      count++;
    }
    expect(count).toBeGreaterThan(25);
  });

  it('there is no index that no statement needs', () => {
    const indexes = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
      .pluck()
      .all();
    expect(indexes.sort()).toEqual(Object.keys(INDEXES).sort());
    const statements = prepareStatements(db);
    for (const [index, name] of Object.entries(INDEXES)) {
      expect(planOf(statements[name].source).join('\n')).toMatch(
        new RegExp(`USING (COVERING )?INDEX ${index} `),
      );
    }
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
