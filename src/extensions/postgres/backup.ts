/** Copies a store in a database, as of one moment, into a store file. */
import { codeOf } from '../../core/errors.js';
import { isSequence } from '../../core/numbers.js';
import { makeCopy } from '../../store/sqlite/file/copies.js';
import { openError } from '../../store/sqlite/file/sqlite-errors.js';
import { StoreWriter } from '../../store/sqlite/records/store-writer.js';
import type { CopiedRecord } from '../../store/sqlite/tables/changed-records.js';
import type { Connection } from './connection.js';
import { connect } from './connect.js';
import { recordsIn } from './database-records.js';
import { type Examined, refuseOther } from './examine.js';
import { refuseNewer } from './migrate.js';
import { refuseUnfinished } from './move-progress.js';
import { failedCommand } from './rights.js';
import { SCHEMA } from './schema.js';
import { setWholeTables } from './server.js';

const CONNECT_MS = 10_000;
const FACTS = `SELECT (SELECT count(*) FROM ${SCHEMA}.request),
  (SELECT coalesce(max(seq), 0) FROM ${SCHEMA}.request), format, store_id
  FROM ${SCHEMA}.meta`;

/**
 * Writes a store file (mode 0600) that must not exist. It is complete and on disk when the promise
 * resolves; a copy that failed leaves nothing behind.
 * @param onProgress requests copied, of how many
 * @throws ERR_TITANIC_TARGET if `target` exists, ERR_TITANIC_LOST if it is another store, otherwise as
 * `connect`, or the errors of a file
 */
export async function backupDatabase(
  examined: Examined,
  target: string,
  onProgress: (done: number, all: number) => void,
): Promise<void> {
  const { login } = examined;
  try {
    await makeCopy(target, async (making) => {
      const { connection } = await connect(login, { hostIndex: 0 }, CONNECT_MS);
      try {
        await copy(connection, examined, making, onProgress);
      } catch (error) {
        if (isOfFile(error) && connection.isOpen) throw error;
        throw await failedCommand(connection, error, login.address);
      } finally {
        await connection.close();
      }
    });
  } catch (error) {
    throw isOfFile(error) ? openError(target, error) : error;
  }
}

function isOfFile(error: unknown): boolean {
  return /^(SQLITE_|E[A-Z]+$)/.test(codeOf(error) ?? '');
}

async function copy(
  connection: Connection,
  { name, storeId }: Examined,
  making: string,
  onProgress: (done: number, all: number) => void,
): Promise<void> {
  await connection.ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await refuseUnfinished(connection);
  await setWholeTables(connection, 'on');
  const [facts = []] = await connection.ask(FACTS);
  const [all = 0, highest = 0, format = 0] = facts as number[];
  refuseNewer(format);
  refuseOther(name, facts[3] as Buffer, storeId);
  const numbers = new Numbers(highest);
  const file = new StoreWriter(making, facts[3] as Buffer);
  try {
    let done = 0;
    // Acceptance may have other numbers than a file: two brokers may give the same one.
    for await (const records of recordsIn(connection, 'r.seq, r.id')) {
      file.add(records.map((record) => numbers.numbered(record)));
      done += records.filter(({ kind }) => kind === 'request').length;
      onProgress(done, all);
    }
    await connection.ask('COMMIT');
    file.complete();
  } finally {
    file.close();
  }
}

/**
 * Numbers of requests in a file: those of the database, if each is above the one before and small
 * enough for a file; otherwise the order stays.
 */
class Numbers {
  readonly #keepsNumbers: boolean;
  #last = 0;

  constructor(highest: number) {
    this.#keepsNumbers = isSequence(highest);
  }

  numbered(record: CopiedRecord): CopiedRecord {
    if (record.kind === 'key') return record;
    const { request } = record;
    this.#last = this.#keepsNumbers ? Math.max(this.#last + 1, request.number) : this.#last + 1;
    return { ...record, request: { ...request, number: this.#last } };
  }
}
