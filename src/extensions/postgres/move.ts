/** Moves the requests of a store file into a database, for good. */
import { countOf, noCounts } from '../../store/record-kind.js';
import { createHash, type Hash } from 'node:crypto';

import { present } from '../../core/assert.js';
import { causeOf, codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import type { StoredCounts } from '../../store/database-tools.js';
import type { PartCount } from '../../store/ranked.js';
import { RecordWriter } from '../../store/record-codec.js';
import { openError } from '../../store/sqlite/file/sqlite-errors.js';
import { SourceFile } from '../../store/sqlite/records/source-file.js';
import { verifyStore } from '../../store/sqlite/records/verify.js';
import type { CopiedRecord } from '../../store/sqlite/tables/changed-records.js';
import type { RequestUuid } from '../../store/store.js';
import type { Connection } from './connection.js';
import { connect, type Login } from './connect.js';
import { recordsIn } from './database-records.js';
import { countIn } from './examine.js';
import { commandError, isOfRow, storeText, textOf } from './failures.js';
import { migrate } from './migrate.js';
import { begin, type Begun, confirm, CONTENT, finish, pass } from './move-progress.js';
import { putRecords } from './record-rows.js';
import { SCHEMA } from './schema.js';
import { setWholeTables } from './server.js';

const CONNECT_MS = 10_000;
/** Records of one transaction, and bytes of their content; one of any size. */
const TRANSACTION_RECORDS = 2000;
const TRANSACTION_BYTES = 8 * 1024 * 1024;
/** Bytes of records that are hashed at once. */
const PIECE_BYTES = 1024 * 1024;
/** Records of the file between two reports of how far the comparison is. */
const COMPARED_RECORDS = 5000;
const DAMAGED = /^SQLITE_(CORRUPT|NOTADB)/;
const ANALYZE = `ANALYZE ${CONTENT.map((table) => `${SCHEMA}.${table}`).join(', ')}`;

export interface MoveOrder {
  /** The path of the store file, which nobody has open. */
  readonly file: string;
  /** The path for people, with its machine. */
  readonly shownFile: string;
  readonly login: Login;
  /** The database for people, without user and password. */
  readonly name: string;
  /** What extensions keep may stay behind. */
  readonly mayLeaveParts: boolean;
  /** Records of parts, in words: of each part that has any. */
  readonly shownParts: (parts: readonly PartCount[]) => Promise<string>;
  readonly onProgress: (step: 'check' | 'copy' | 'compare', done: number, all: number) => void;
  /** Called when everything is there, before the file is marked. @param storeId in the database */
  readonly onCompared: (storeId: string) => void;
}

/** What was moved. */
export interface MovedStore extends StoredCounts {
  /** `already`: an earlier run had finished it. */
  readonly how: 'first' | 'resumed' | 'anew' | 'already';
  /** Requests that this run copied. */
  readonly copied: number;
  /** Milliseconds that this run took to copy. */
  readonly copyMs: number;
}

/**
 * Checks the file, copies everything, compares it, marks the file so that no broker serves it any more, and opens
 * the database to brokers. If it ends in between, the next call continues.
 * @throws ERR_TITANIC_MIGRATE (records of extensions), ERR_TITANIC_MOVED (the file was moved elsewhere),
 * ERR_TITANIC_STORE (the database holds other receipts), ERR_TITANIC_BUSY (a broker uses it),
 * ERR_TITANIC_DISK (the file is damaged, or the copy differs), and as opening a file and connecting do
 */
export async function moveStore(order: MoveOrder): Promise<MovedStore> {
  const { login } = order;
  const { connection } = await connect(login, { hostIndex: 0 }, CONNECT_MS);
  try {
    const file = SourceFile.open(order.file);
    try {
      await refuseParts(order, file.facts.parts);
      if (file.moved === null) {
        mustBeWhole(order.file, (_what, done, all) => order.onProgress('check', done, all));
      }
      const { storeId } = await migrate(connection, login.address);
      return await new Move(order, file, connection, storeId).run();
    } finally {
      file.db.close();
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
  /** The id of the store in the database. */
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
    const { facts, moved } = this.#file;
    if (moved !== null && !moved.storeId.equals(this.#storeId)) {
      const text = `${shownFile} was moved to the database ${moved.place} already`;
      throw new MajordomoError('ERR_TITANIC_MOVED', text);
    }
    const begun = await begin(this.#connection, { file: shownFile, ...facts });
    if (begun.kind === 'finished') {
      // The mark is set before the move is finished: this is a copy from before, or a backup of the database.
      if (moved === null) {
        const text = `${shownFile} was moved here before, but has no mark of that: it is a copy from before, or a backup of the database, which a broker may have served. What that accepted is not in the database. Move it into an empty database, or put it away`;
        throw new MajordomoError('ERR_TITANIC_STORE', text);
      }
      return { ...(await this.#counted()), how: 'already', copied: 0, copyMs: 0 };
    }
    const started = performance.now();
    const copied = await this.#copy(begun);
    const copyMs = performance.now() - started;
    const counts = await this.#compare(copied);
    await this.#end();
    return { ...counts, how: begun.how, copied: this.#copied, copyMs };
  }

  /** What the database holds now: after an earlier run finished, brokers may have used it. */
  async #counted(): Promise<StoredCounts> {
    const connection = this.#connection;
    await connection.ask('BEGIN');
    await setWholeTables(connection, 'on');
    const { bytes: _bytes, ...counts } = await countIn(connection);
    await connection.ask('COMMIT');
    return counts;
  }

  /**
   * The file is read while the database works on the transaction before.
   * @returns all that the file holds; `null`: an earlier run copied a part of it
   */
  async #copy({ after, how }: Extract<Begun, { kind: 'copy' }>): Promise<Content | null> {
    const copied = how === 'resumed' ? null : new Content();
    let place = after;
    let sent: Promise<void> = Promise.resolve();
    for (const records of transactionsOf(this.#file.records(after))) {
      for (const record of records) copied?.add(record);
      await sent;
      const requests = records.filter((record) => record.kind === 'request');
      const next = requests.at(-1)?.request.uuid ?? place;
      sent = this.#put(records, place, next).then(() => {
        this.#copied += requests.length;
        this.#order.onProgress('copy', this.#copied, this.#file.facts.requests);
      });
      // Awaited in the next round, or below.
      sent.catch(() => undefined);
      place = next;
    }
    await sent;
    return copied;
  }

  async #put(
    records: readonly CopiedRecord[],
    before: RequestUuid,
    after: RequestUuid,
  ): Promise<void> {
    const connection = this.#connection;
    await Promise.all([connection.ask('BEGIN'), putRecords(connection, records)]);
    await pass(connection, this.#file.facts.storeId, before, after);
    await connection.ask('COMMIT');
  }

  /** @param copied what the file holds; `null`: it is read again */
  async #compare(copied: Content | null): Promise<StoredCounts> {
    const { onProgress, shownFile } = this.#order;
    const { requests } = this.#file.facts;
    const all = copied === null ? 2 * requests : requests;
    const inFile = copied ?? this.#content(all);
    const before = all - requests;
    const inDatabase = new Content();
    await this.#connection.ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    for await (const records of recordsIn(this.#connection, 'r.id')) {
      for (const record of records) inDatabase.add(record);
      onProgress('compare', before + inDatabase.requests, all);
    }
    await this.#connection.ask('COMMIT');
    const difference = inFile.differenceFrom(inDatabase);
    const { attempts: _attempts, ...counts } = inFile.counts;
    if (difference === null) return counts;
    const text = `the copy of ${shownFile} differs from the file (${difference}), so the file was not marked: look with \`majordomo verify\`, then drop the schema majordomo and migrate again`;
    throw new MajordomoError('ERR_TITANIC_DISK', text);
  }

  /** Sums up the content of the file. @param all requests that are compared */
  #content(all: number): Content {
    const content = new Content();
    let read = 0;
    for (const record of this.#file.records(Buffer.alloc(0))) {
      content.add(record);
      if (++read % COMPARED_RECORDS === 0) this.#order.onProgress('compare', content.requests, all);
    }
    return content;
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
    await finish(connection, this.#file.facts.storeId);
  }
}

/** Records in one order, requests before keys. */
class Content {
  readonly counts = { ...noCounts(), keys: 0, attempts: 0 };
  readonly #hash: Hash = createHash('sha256');
  #piece = new RecordWriter();
  requests = 0;

  add(record: CopiedRecord): void {
    if (record.kind === 'request') this.#count(record);
    else this.counts.keys++;
    this.#piece.add(record);
    if (record.kind === 'request' && record.keyExtra !== null) {
      const { key, keyExtra: extra, request } = record;
      this.#piece.add({ ...request, kind: 'key', key: present(key, 'a key'), until: 0, extra });
    }
    if (this.#piece.bytes < PIECE_BYTES) return;
    this.#hash.update(this.#piece.to.takeBuffer());
    this.#piece = new RecordWriter();
  }

  #count({ request, key, attempts }: Extract<CopiedRecord, { kind: 'request' }>): void {
    this.counts[countOf(request)]++;
    this.counts.attempts += attempts.length;
    if (key !== null) this.counts.keys++;
    this.requests++;
  }

  /** What differs from the copy in a database, in words; `null`: nothing. It ends both. */
  differenceFrom(copy: Content): string | null {
    const differing = (Object.keys(this.counts) as (keyof Content['counts'])[])
      .filter((name) => this.counts[name] !== copy.counts[name])
      .map(
        (name) => `${name}: ${this.counts[name]} in the file, ${copy.counts[name]} in the database`,
      );
    if (differing.length > 0) return differing.join('; ');
    return this.#digest() === copy.#digest() ? null : 'the counts agree, what is stored does not';
  }

  #digest(): string {
    return this.#hash.update(this.#piece.to.takeBuffer()).digest('hex');
  }
}

function* transactionsOf(records: Iterable<CopiedRecord>): Generator<CopiedRecord[]> {
  let transaction: CopiedRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const more = bytesOf(record);
    const isFull = transaction.length === TRANSACTION_RECORDS || bytes + more > TRANSACTION_BYTES;
    if (isFull && transaction.length > 0) {
      yield transaction;
      transaction = [];
      bytes = 0;
    }
    transaction.push(record);
    bytes += more;
  }
  if (transaction.length > 0) yield transaction;
}

function bytesOf(record: CopiedRecord): number {
  const extra = record.extra?.length ?? 0;
  if (record.kind === 'key') return extra;
  return extra + record.request.bodyBytes + (record.reply?.reply.length ?? 0);
}

async function refuseParts(
  { shownFile, mayLeaveParts, shownParts }: MoveOrder,
  parts: readonly PartCount[],
): Promise<void> {
  if (parts.length === 0 || mayLeaveParts) return;
  const text = `${shownFile} also holds ${await shownParts(parts)}; a database does not keep that, so brokers with a database have no map (map.listen). Copy what you need elsewhere (majordomo map ls), then leave it behind in the file with --without-map`;
  throw new MajordomoError('ERR_TITANIC_MIGRATE', text);
}

// ---------------------------------------------------------------- errors

type MoveEnds = Pick<MoveOrder, 'file' | 'name'>;

/**
 * A damaged file may look whole to who copies it: pages have no checksums, and a damaged index leaves
 * out requests, or has other ids for them.
 * @throws ERR_TITANIC_DISK
 */
function mustBeWhole(
  file: string,
  onProgress: (what: string, done: number, all: number) => void,
): void {
  const [problem] = verifyStore(file, onProgress).problems;
  if (problem !== undefined) throw damaged(file, problem);
}

/** @param isConnected the connection did not break */
function moveError({ name, file }: MoveEnds, isConnected: boolean, error: unknown): unknown {
  if (isOfFile(error)) return sourceError(file, error);
  const known = commandError(error, isConnected);
  if (isOfRow(error)) return rowError({ name, file }, error);
  const code = codeOf(known) ?? '';
  if (code === 'ERR_TITANIC_STORE' || code === 'ERR_TITANIC_BUSY') {
    return new MajordomoError(code, storeText(name, known), { cause: error });
  }
  if (code !== 'ERR_TITANIC_STORE_AWAY') return known;
  const text = `${storeText(name, known)}; run the same command again: it continues where it stopped`;
  return new MajordomoError(code, text, { cause: error });
}

/** Explains an error of opening or reading the file. */
export function sourceError(file: string, error: unknown): MajordomoError {
  const found = [error, causeOf(error)].find((each) => DAMAGED.test(codeOf(each) ?? ''));
  if (found !== undefined) return damaged(file, messageOf(found), error);
  const known = openError(file, error);
  // What is a configuration error at a start is damage here, as for `verify`: its first page is wrong.
  if (known.code !== 'ERR_TITANIC_FILE') return known;
  return new MajordomoError('ERR_TITANIC_DISK', known.message, { cause: error });
}

function isOfFile(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return (
    code.startsWith('SQLITE_') ||
    codeOf(causeOf(error))?.startsWith('SQLITE_') === true ||
    code === 'ERR_TITANIC_FILE'
  );
}

/** The database does not take a row. */
function rowError({ name, file }: MoveEnds, error: unknown): MajordomoError {
  const text = `the database ${name} does not take a row of ${file}: ${textOf(error)}; it was not moved`;
  return new MajordomoError('ERR_TITANIC_DISK', text, { cause: error });
}

function damaged(file: string, what: string, cause?: unknown): MajordomoError {
  // SQLite reports a damaged page in several lines.
  const where = what.replaceAll(/\s+/g, ' ');
  const text = `store ${file} is damaged: ${where}; it was not moved: look with \`majordomo verify\`, then migrate a backup from before the damage`;
  return new MajordomoError('ERR_TITANIC_DISK', text, { cause });
}
