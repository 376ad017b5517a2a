/** Writes a new store file from the records of a store. */
import type Database from 'better-sqlite3';

import { present } from '../../../core/assert.js';
import type { CopiedRecord } from '../tables/changed-records.js';
import { Tables } from '../tables/tables.js';
import { connect } from '../file/connection.js';
import { makeStore } from '../file/database.js';

const SET_KEY_EXTRA = 'UPDATE keys SET extra = ? WHERE uuid = ? AND until IS NULL';

export class StoreWriter {
  readonly #db: Database.Database;
  readonly #tables: Tables;
  #transaction: number;

  /**
   * @param path of a file that does not exist yet
   * @param sourceId the id of the store that is copied
   */
  constructor(path: string, sourceId: Buffer) {
    makeStore(path);
    this.#db = connect(path, { fileMustExist: true });
    // The file is synced once, when it is complete; until then nobody knows its name.
    this.#db.pragma('journal_mode = OFF');
    this.#db.pragma('synchronous = OFF');
    this.#db.prepare('UPDATE ledger SET store_id = ?').run(sourceId);
    this.#tables = new Tables(path, this.#db, false, null);
    this.#transaction = this.#tables.recovered.firstTransaction;
  }

  /** @param records with all bodies */
  add(records: readonly CopiedRecord[]): void {
    const of = {
      number: this.#transaction++,
      tombstones: 'none',
      holds: null,
      peerHolds: 0,
    } as const;
    present(this.#tables.merge(of, records, [], true), 'all bodies');
    for (const record of records) {
      if (record.kind === 'key' || record.keyExtra === null) continue;
      this.#db.prepare(SET_KEY_EXTRA).run(record.keyExtra, record.request.uuid);
    }
  }

  complete(): void {
    this.#tables.close();
  }

  /** At the end, or after a failure. */
  close(): void {
    this.#db.close();
  }
}
