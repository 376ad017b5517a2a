/** Moves the requests of a store file into a database, for good. */
import { MajordomoError } from '../../core/errors.js';
import { SourceFile } from '../../store/sqlite/file/source-file.js';
import { contentOfDatabase, contentOfFile, differenceOf } from './compared.js';
import { connect, type Connection, type Login } from './connection.js';
import { putKeys, putRequests } from './copied-rows.js';
import { migrate } from './migrate.js';
import { moveError, mustBeWhole } from './move-errors.js';
import {
  begin,
  type Begun,
  confirm,
  CONTENT,
  finish,
  passKeys,
  passRequests,
  type Place,
} from './origin.js';
import { SCHEMA } from './schema.js';

const CONNECT_MS = 10_000;
/** Requests, or keys, of one transaction. */
const TRANSACTION_ROWS = 2000;
const ANALYZE = `ANALYZE ${CONTENT.map((table) => `${SCHEMA}.${table}`).join(', ')}`;

export interface MoveOrder {
  /** The path of the store file, which nobody has open. */
  readonly file: string;
  /** The same for people, with its machine. */
  readonly shownFile: string;
  readonly login: Login;
  /** The database for people, without user and password. */
  readonly name: string;
  /** Keys of the map may stay behind. */
  readonly mayLeaveMap: boolean;
  readonly onProgress: (step: 'check' | 'copy' | 'compare', done: number, all: number) => void;
  /** Called when everything is there, before the file is marked. @param storeId in the database */
  readonly onCompared: (storeId: string) => void;
}

export interface MovedStore {
  /** Schedules are not in `pending`. */
  readonly pending: number;
  readonly replied: number;
  readonly dead: number;
  readonly schedules: number;
  readonly keys: number;
  /** `already`: an earlier run had finished it. */
  readonly how: 'first' | 'resumed' | 'anew' | 'already';
  /** Requests that this run copied. */
  readonly copied: number;
  /** That this run took to copy. */
  readonly copyMs: number;
}

/**
 * Checks the file, copies everything, compares it, marks the file so that no broker serves it any more, and opens
 * the database to brokers. If it ends in between, the next call continues.
 * @throws ERR_TITANIC_MIGRATE (keys of the map), ERR_TITANIC_MOVED (the file was moved elsewhere),
 * ERR_TITANIC_STORE (the database holds other receipts), ERR_TITANIC_BUSY (a broker uses it),
 * ERR_TITANIC_DISK (the file is damaged, or the copy differs), and as opening a file and connecting do
 */
export async function moveStore(order: MoveOrder): Promise<MovedStore> {
  const { login } = order;
  const { connection } = await connect(login, { place: 0 }, CONNECT_MS);
  try {
    const file = SourceFile.open(order.file);
    try {
      refuseMap(order, file.mapKeys);
      if (file.moved === null) {
        mustBeWhole(order.file, (_what, done, all) => {
          order.onProgress('check', done, all);
        });
      }
      const { storeId } = await migrate(connection, login.place);
      return await new Move(order, file, connection, storeId).run();
    } finally {
      file.close();
    }
  } catch (error) {
    throw moveError(order, connection.isOpen, error);
  } finally {
    await connection.close();
  }
}

class Move {
  readonly #order: MoveOrder;
  readonly #file: SourceFile;
  readonly #connection: Connection;
  /** Of the store in the database. */
  readonly #storeId: Buffer;
  #copied = 0;

  constructor(order: MoveOrder, file: SourceFile, connection: Connection, storeId: Buffer) {
    this.#order = order;
    this.#file = file;
    this.#connection = connection;
    this.#storeId = storeId;
  }

  async run(): Promise<MovedStore> {
    const { shownFile } = this.#order;
    const { storeId, openings, moved } = this.#file;
    if (moved !== null && !moved.storeId.equals(this.#storeId)) {
      const text = `${shownFile} was moved to the database ${moved.place} already`;
      throw new MajordomoError('ERR_TITANIC_MOVED', text);
    }
    const source = { file: shownFile, storeId, openings };
    const begun = await begin(this.#connection, source);
    const started = performance.now();
    if (begun.kind === 'copy') await this.#copy(begun);
    const copyMs = performance.now() - started;
    const { schedules, pending, ...content } = await this.#compared(begun);
    if (begun.kind === 'copy') await this.#end();
    return {
      ...{ pending: pending - schedules, replied: content.replied, dead: content.dead, schedules },
      keys: content.keys,
      how: begun.kind === 'finished' ? 'already' : begun.how,
      ...{ copied: this.#copied, copyMs },
    };
  }

  async #copy({ from }: Extract<Begun, { kind: 'copy' }>): Promise<void> {
    let { id } = from;
    let { key } = from;
    const connection = this.#connection;
    const { storeId } = this.#file;
    await this.#inTransactions(
      this.#file.pieces(id, TRANSACTION_ROWS),
      (rows) => putRequests(connection, rows),
      async ({ id: next }) => {
        await passRequests(connection, storeId, id, next);
        id = next;
      },
      (count) => {
        this.#copied += count;
        this.#order.onProgress('copy', this.#copied, this.#file.requests);
      },
    );
    const [service, name, owner] = key;
    await this.#inTransactions(
      this.#file.keyPieces([service, name, String(owner)], TRANSACTION_ROWS),
      (rows) => putKeys(connection, rows),
      async (last) => {
        const next: Place['key'] = [last.service, last.key, Buffer.from(last.owner)];
        await passKeys(connection, storeId, key, next);
        key = next;
      },
      () => undefined,
    );
  }

  /** The file is read while the database works on the piece before. */
  async #inTransactions<Row>(
    pieces: Iterable<{ readonly rows: readonly Row[]; readonly isLast: boolean }>,
    put: (rows: readonly Row[]) => Promise<void>,
    pass: (last: Row) => Promise<void>,
    done: (count: number) => void,
  ): Promise<void> {
    let isOpen = false;
    const send = async (rows: readonly Row[], isLast: boolean): Promise<void> => {
      const last = rows.at(-1);
      if (last === undefined) return;
      const begun = isOpen ? null : this.#connection.ask('BEGIN');
      isOpen = true;
      await Promise.all([begun, put(rows)]);
      if (!isLast) return;
      await pass(last);
      await this.#connection.ask('COMMIT');
      isOpen = false;
    };
    let sent: Promise<void> = Promise.resolve();
    for (const { rows, isLast } of pieces) {
      await sent;
      sent = send(rows, isLast).then(() => {
        done(rows.length);
      });
      // Awaited in the next round, or below.
      sent.catch(() => undefined);
    }
    await sent;
  }

  async #compared(begun: Begun): Promise<Awaited<ReturnType<typeof contentOfDatabase>>> {
    const { onProgress } = this.#order;
    const { requests } = this.#file;
    const inDatabase = await contentOfDatabase(this.#connection, (done) => {
      onProgress('compare', done, 2 * requests);
    });
    // Brokers may have used it since.
    if (begun.kind === 'finished') return inDatabase;
    const inFile = contentOfFile(this.#file, (done) => {
      onProgress('compare', requests + done, 2 * requests);
    });
    const difference = differenceOf(inFile, inDatabase);
    if (difference === null) return inDatabase;
    const text = `the copy of ${this.#order.shownFile} differs from the file (${difference}), so the file was not marked: look with \`majordomo verify\`, then drop the schema majordomo and migrate again`;
    throw new MajordomoError('ERR_TITANIC_DISK', text);
  }

  /** The file first: if this ends in between, nobody serves either, until it is called again. */
  async #end(): Promise<void> {
    const connection = this.#connection;
    // Plans made from the statistics of empty tables would be bad ones.
    await connection.ask(ANALYZE);
    await confirm(connection);
    this.#order.onCompared(this.#storeId.toString('hex'));
    if (this.#file.moved === null) {
      this.#file.mark({ place: this.#order.name, storeId: this.#storeId, at: Date.now() });
    }
    await finish(connection, this.#file.storeId);
  }
}

function refuseMap({ shownFile, mayLeaveMap }: MoveOrder, keys: number): void {
  if (keys === 0 || mayLeaveMap) return;
  const text = `${shownFile} also holds ${keys} ${keys === 1 ? 'key' : 'keys'} of the map, which a database does not keep: brokers with a database have no map (map.listen). Copy what you need elsewhere (majordomo map ls), then leave the keys behind in the file with --without-map`;
  throw new MajordomoError('ERR_TITANIC_MIGRATE', text);
}
