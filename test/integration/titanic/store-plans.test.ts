import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type Database from 'better-sqlite3';

import { openForService } from '../../../src/titanic/io/database.js';
import { SQL } from '../../../src/titanic/io/statements.js';
import { StoreDirectory } from '../../support/store-directory.js';

/** Every index that the schema makes, and a statement that needs it. */
const INDEXES = {
  requests_by_uuid: SQL.standing,
  requests_pending: SQL.pending,
  requests_settled: SQL.over,
  keys_remembered: SQL.forgettable,
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

  for (const [name, sql] of Object.entries(SQL)) {
    if (!/^(SELECT|INSERT|UPDATE|DELETE)/.test(sql)) continue;
    it(`${name} reads what it needs and no more`, () => {
      const plan = planOf(sql).join('\n');
      expect(plan).not.toMatch(/SCAN|TEMP B-TREE/);
      if (!sql.startsWith('INSERT')) expect(plan).toContain('SEARCH');
    });
  }

  it('there is no index that no statement needs', () => {
    const indexes = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
      .pluck()
      .all();
    expect(indexes.sort()).toEqual(Object.keys(INDEXES).sort());
    for (const [index, sql] of Object.entries(INDEXES)) {
      expect(planOf(sql).join('\n')).toMatch(new RegExp(`USING (COVERING )?INDEX ${index} `));
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
