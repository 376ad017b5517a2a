/** Store files of earlier versions, made with their own SQL statements. */
import Database from 'better-sqlite3';

import {
  addStepFunctions,
  APPLICATION_ID,
  readMigrations,
} from '../../src/titanic/io/file/schema.js';
import { NOON, uuidOf } from './store-changes.js';
import { packed } from './store-pair.js';

/**
 * A store as the first version left it: one pending, one replied, one dead, one closed with a key;
 * and the same store after the migrations to a later version.
 */
export function makeOlderStore(path: string, to: number): void {
  const db = new Database(path);
  db.pragma('auto_vacuum = INCREMENTAL');
  db.pragma(`application_id = ${APPLICATION_ID}`);
  addStepFunctions(db);
  const [first, ...steps] = readMigrations();
  db.exec(first?.sql ?? '');
  db.pragma('user_version = 1');
  const request = db.prepare(
    `INSERT INTO requests VALUES (?, ?, CAST('echo' AS BLOB), ?, ?, 0, 0, ${NOON}, ${NOON},
      ${NOON + 1000}, 10, ?, ?, 3)`,
  );
  const body = db.prepare('INSERT INTO bodies VALUES (?, ?)');
  for (const [number, key, state, attempts] of [
    [1, 'k', 1, 1],
    [2, null, 2, 0],
    [7, null, 3, 0],
  ] as const) {
    const keyBytes = key === null ? null : Buffer.from(key);
    request.run(number, uuidOf(number), keyBytes, state, attempts, attempts);
    body.run(number, packed('x'));
  }
  db.exec(`INSERT INTO attempts VALUES (1, 1, 'w', ${NOON}, ${NOON}, 'lost')`);
  db.prepare(`INSERT INTO replies VALUES (2, ?, 'w', ${NOON})`).run(packed('y'));
  db.exec(`INSERT INTO deaths VALUES (7, 'worn out', ${NOON})`);
  const key = db.prepare("INSERT INTO keys VALUES (CAST('echo' AS BLOB), ?, ?, ?)");
  key.run(Buffer.from('k'), uuidOf(1), null);
  key.run(Buffer.from('old'), uuidOf(6), NOON + 5000);
  db.exec('UPDATE ledger SET next_number = 9, pending = 1, replied = 1, dead = 1');
  for (const { version, sql } of steps) {
    if (version > to) continue;
    db.exec(sql);
    db.pragma(`user_version = ${version}`);
  }
  db.pragma('journal_mode = WAL');
  db.close();
}
