import Database from 'better-sqlite3';

import { readMigrations } from '../../../src/store/sqlite/file/schema.js';

// check:extensions runs this without any extension.
it('a new store has tables of requests, and one for all extensions, which is empty (D115)', () => {
  const db = new Database(':memory:');
  for (const { sql } of readMigrations()) db.exec(sql);
  const tables = db
    .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .pluck()
    .all();
  expect(tables.join(' ')).toBe(
    'attempts bodies deaths keys ledger moved peer ranked replies requests tombstones',
  );
  expect(db.prepare('SELECT count(*) FROM ranked').pluck().get()).toBe(0);
  db.close();
});
