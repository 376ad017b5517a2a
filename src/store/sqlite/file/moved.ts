/**
 * The mark of a store whose requests were moved to a database: from then on their receipts are
 * honoured there, and nobody may serve the file.
 */
import type Database from 'better-sqlite3';

import { MajordomoError } from '../../../core/errors.js';
import { escapedLine } from '../../../core/escape.js';
import { WALL_MS_MAX } from '../../../core/numbers.js';

export interface Moved {
  /** The database, without user and password, on one line. */
  readonly place: string;
  /** The id of the store there. */
  readonly storeId: Buffer;
  /** Wall time in milliseconds. */
  readonly at: number;
}

const MOVED = `SELECT place, store_id AS storeId, min(max(moved_at, 0), ${WALL_MS_MAX}) AS at
  FROM moved WHERE id = 1`;

/** `null`: it was not moved. */
export function movedTo(db: Database.Database): Moved | null {
  const moved = db.prepare<[], Moved>(MOVED).get();
  return moved === undefined ? null : { ...moved, place: escapedLine(moved.place) };
}

/** On disk when this returns. */
export function markMoved(db: Database.Database, { place, storeId, at }: Moved): void {
  db.prepare('INSERT OR REPLACE INTO moved VALUES (1, ?, ?, ?)').run(place, storeId, at);
  // Into the file itself: its log may be left behind when it is copied.
  db.pragma('wal_checkpoint(TRUNCATE)');
}

/** Clears the mark of a copy: it is the store as it was when it was moved. */
export function unmarkMoved(db: Database.Database): void {
  db.exec('DELETE FROM moved');
}

/** @throws ERR_TITANIC_MOVED */
export function refuseMoved(db: Database.Database, path: string): void {
  const moved = movedTo(db);
  if (moved === null) return;
  const text =
    `store ${path} was moved to the database ${moved.place} at ${new Date(moved.at).toISOString()}, ` +
    `which has all of its receipts since: set titanic.store to that database. To go back to a file, ` +
    'copy the database with `majordomo backup`';
  throw new MajordomoError('ERR_TITANIC_MOVED', text, { details: { place: moved.place } });
}
