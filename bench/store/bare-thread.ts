/** better-sqlite3 by itself: the store's schema, batches and settings, and nothing else. */
import { performance } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

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

const insertRequest = db.prepare(
  `INSERT INTO requests (number, uuid, service, key, state, generation, priority, accepted_at,
    not_before, expires_at, max_attempts, attempts, attempts_ever, body_bytes, changed, born)
    VALUES (?, ?, ?, NULL, 1, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
);
const insertBody = db.prepare('INSERT INTO bodies (number, body) VALUES (?, ?)');

let number = 0;
let transaction = 2 ** 32;
const batch = db.transaction(() => {
  transaction++;
  for (let at = 0; at < outstanding; at++) {
    const { request, body } = acceptOf(++number);
    insertRequest.run(
      request.number,
      request.uuid,
      request.service,
      request.generation,
      request.priority,
      request.acceptedAt,
      request.notBefore,
      request.expiresAt,
      request.maxAttempts,
      request.attempts,
      request.bodyBytes,
      transaction,
      transaction,
    );
    insertBody.run(request.number, body);
  }
});

const began = performance.now();
while (performance.now() - began < seconds * 1000) batch.immediate();
parentPort?.postMessage(number / ((performance.now() - began) / 1000));
db.close();
