/** A store file that is moved elsewhere. */
import type Database from 'better-sqlite3';

import type { RequestUuid } from '../../store.js';
import { type CopiedRecord, recordsIn } from '../tables/changed-records.js';
import type { PartCount } from '../../ranked.js';
import { partCounts } from '../tables/ranked-rows.js';
import { closingOnError } from '../file/connection.js';
import { openForReading, openMoving } from '../file/database.js';
import { markMoved, type Moved, movedTo } from '../file/moved.js';
import { openError } from '../file/sqlite-errors.js';

interface Facts {
  readonly storeId: Buffer;
  /** How often it was opened for service: it changes only while it is. */
  readonly openings: number;
  readonly requests: number;
  /** What extensions keep, which a database does not. */
  readonly parts: readonly PartCount[];
}

const FACTS = `SELECT store_id AS storeId, openings, (SELECT count(*) FROM requests) AS requests
  FROM ledger WHERE id = 1`;

export class SourceFile {
  readonly #path: string;
  readonly db: Database.Database;
  readonly facts: Facts;
  /** `null`: it was not moved. */
  readonly moved: Moved | null;

  /**
   * Opens the file, and brings its tables to this version. Nobody may have it open for service.
   * @throws as opening a store does
   */
  static open(path: string): SourceFile {
    try {
      // Reads its head first: what is not a store stays as it is.
      openForReading(path).close();
      const db = openMoving(path);
      return closingOnError(db, () => new SourceFile(path, db));
    } catch (error) {
      throw openError(path, error);
    }
  }

  private constructor(path: string, db: Database.Database) {
    this.#path = path;
    this.db = db;
    const facts = db.prepare<[], Omit<Facts, 'parts'>>(FACTS).get();
    if (facts === undefined) throw new Error('the ledger is empty');
    this.facts = { ...facts, parts: partCounts(db) };
    this.moved = movedTo(db);
  }

  /** See `recordsIn`. */
  records(after: RequestUuid): Iterable<CopiedRecord> {
    return recordsIn(this.db, after);
  }

  /** Marks the file, so that nobody serves it. On disk when this returns. */
  mark(moved: Moved): void {
    try {
      markMoved(this.db, moved);
    } catch (error) {
      throw openError(this.#path, error);
    }
  }
}
