/** better-sqlite3 by itself: the store's schema, batches and settings, and nothing else. */
import { performance } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

import { REQUEST_ROWS } from '../../src/store/request.js';
import { cellsOf } from '../../src/store/rows.js';
import { readMigrations } from '../../src/store/sqlite/file/schema.js';
import { acceptOf } from './requests.js';

const { path, outstanding, seconds } = workerData as {
  readonly path: string;
  readonly outstanding: number;
  readonly seconds: number;
};

const db = new Database(path);
db.pragma('auto_vacuum = INCREMENTAL');
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.pragma('wal_autocheckpoint = 200');
for (const { sql } of readMigrations()) db.exec(sql);

const columns = REQUEST_ROWS.map(({ column }) => column).join(', ');
const values = REQUEST_ROWS.map(({ kind }) => (kind === 'state' ? '? + 1' : '?')).join(', ');
const insertRequest = db.prepare(
  `INSERT INTO requests (${columns}, key, attempts_ever, changed, born, reply_bytes)
    VALUES (${values}, NULL, 0, ?, ?, 0)`,
);
const insertBody = db.prepare('INSERT INTO bodies (number, body) VALUES (?, ?)');

let number = 0;
let transaction = 2 ** 32;
const batch = db.transaction(() => {
  transaction++;
  for (let at = 0; at < outstanding; at++) {
    const { request, body } = acceptOf(++number);
    insertRequest.run(...cellsOf(request), transaction, transaction);
    insertBody.run(request.number, body);
  }
});

const began = performance.now();
while (performance.now() - began < seconds * 1000) batch.immediate();
parentPort?.postMessage(number / ((performance.now() - began) / 1000));
db.close();
