/** The thread in which SQLite runs: carries out orders in sequence, and answers them. */
import { existsSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { assert, present } from '../../core/assert.js';
import { unpackChunk } from '../chunk-codec.js';
import { unpackChanges } from '../batch-codec.js';
import { PackReader } from '../../core/packing.js';
import { unpackRecords } from '../record-codec.js';
import { setAsideText } from '../unusable.js';
import type { ChangeResult, MergeFailure, StoreFailure, Transaction } from '../store.js';
import { assertDurable, openForService, openWithoutFile } from './file/database.js';
import { failureOf, openError } from './file/sqlite-errors.js';
import { FileIdentity } from './file/file-identity.js';
import { KnownStore } from './file/known-store.js';
import { LogWatch, LOOK_MS } from './file/log-watch.js';
import { fitPairIndex } from './file/pair-index.js';
import { rowsSetAside, setAside } from './file/set-aside.js';
import {
  type AsideNews,
  BATCH_FAILED,
  CLOSED,
  COMMITTED,
  DO_CLOSE,
  DO_COMMIT,
  DO_COMMIT_MAP,
  DO_LOAD,
  DO_LIST,
  DO_LIST_MAP,
  DO_LOOK_UP,
  DO_MERGE,
  DO_READ,
  FOUND,
  LIST_FAILED,
  LISTED,
  LOAD_FAILED,
  LOADED,
  LOOK_FAILED,
  MAP_LIST_FAILED,
  MAP_LISTED,
  MAP_MERGED,
  MAP_TOMBSTONES,
  MERGE_FAILED,
  MERGED,
  type OpenFailure,
  type OpenOrder,
  OPENED,
  packBodies,
  packChunk,
  packCounts,
  packFound,
  packMapMerged,
  packMapRecords,
  packMerged,
  packRecovered,
  packResults,
  READ,
  READ_FAILED,
  unpackMapRecords,
  unpackPlace,
  unpackTransaction,
  unpackUuids,
} from '../thread/messages.js';
import { packPending } from '../thread/request-messages.js';
import { Tables } from './tables/tables.js';
import { ThreadAnswers } from '../thread/thread-answers.js';

/** Number of pending requests reported at once. */
const LISTED_REQUESTS = 4096;
/** After this time without orders, the file is maintained. */
const IDLE_MS = 50;

const MALFORMED: MergeFailure = {
  kind: 'malformed',
  message: 'these records are not in the format that a store of this version sends',
};

interface Connection {
  readonly db: ReturnType<typeof openForService>;
  readonly tables: Tables;
  /** `null`: the disk has no room for one yet, and nothing can be written. */
  readonly file: FileIdentity | null;
  /** Opened on a full disk. */
  readonly isExclusive: boolean;
  /** It was seen to write through to the disk. */
  isDurable: boolean;
}

/**
 * @param known what the directory remembers of it
 * @param earlier the tables of the same opening, over another connection
 */
function connect(order: OpenOrder, known: KnownStore, earlier: Tables | null): Connection {
  const { path } = order;
  try {
    return connectFile(order, known, earlier, false);
  } catch (error) {
    if (failureOf(path, error).kind !== 'full') throw error;
    // The contents of the store can still be read.
    return existsSync(path) ? connectFile(order, known, earlier, true) : connectWithoutFile(path);
  }
}

function connectWithoutFile(path: string): Connection {
  const db = openWithoutFile();
  const tables = new Tables(path, db, null);
  return { db, tables, file: null, isExclusive: false, isDurable: false };
}

function connectFile(
  { path, isPaired }: OpenOrder,
  known: KnownStore,
  earlier: Tables | null,
  isExclusive: boolean,
): Connection {
  const db = openForService(path, earlier === null ? known : null, isExclusive);
  try {
    fitPairIndex(db, path, isPaired);
    // A full disk has no room for that: the next start does it.
    if (earlier === null && !isExclusive) setAside(db);
    const tables = new Tables(path, db, earlier);
    // On a full disk, this also waits for the first commit.
    if (!isExclusive) known.remember(tables.recovered.storeId);
    return { db, tables, file: new FileIdentity(path), isExclusive, isDurable: false };
  } catch (error) {
    db.close();
    throw error;
  }
}

class StoreThread {
  readonly #order: OpenOrder;
  readonly #path: string;
  readonly #port: MessagePort;
  readonly #known: KnownStore;
  #connection: Connection;
  readonly #idle: NodeJS.Timeout;
  readonly #logWatch: LogWatch;
  /** While the log is held: nobody may write, and its reader may end. */
  #logTimer: NodeJS.Timeout | null = null;
  readonly #answers: ThreadAnswers;
  /** What was last reported of the map's tombstones. */
  #tombstoneBytes: number;
  #isClosed = false;
  /** What was written can no longer be trusted: nothing more is done. */
  #fatal: StoreFailure | null = null;

  constructor(order: OpenOrder, port: MessagePort) {
    const { path, isNewStore } = order;
    this.#order = order;
    this.#path = path;
    this.#port = port;
    this.#answers = new ThreadAnswers(port);
    this.#known = new KnownStore(path, isNewStore, (news) => {
      port.postMessage(news);
    });
    this.#connection = connect(order, this.#known, null);
    this.#logWatch = new LogWatch(path, (report) => {
      port.postMessage(report);
    });
    this.#watchLog();
    this.#idle = setTimeout(() => {
      this.#maintain();
    }, IDLE_MS).unref();
    port.on('message', (message: Uint8Array) => {
      this.#receive(new PackReader(message));
    });
    const { db, file, tables } = this.#connection;
    const aside = rowsSetAside(db);
    if (aside.length > 0) {
      port.postMessage({ how: 'set-aside', text: setAsideText(aside) } satisfies AsideNews);
    }
    const { isNumbered, ...recovered } = tables.recovered;
    this.#tombstoneBytes = recovered.mapTombstoneBytes;
    packRecovered(this.#answers.begin(OPENED, 0), {
      ...recovered,
      isNumbered: isNumbered && file !== null,
    });
    this.#answers.send();
  }

  #receive(message: PackReader): void {
    while (!message.isAtEnd) {
      const order = message.byte();
      const id = message.number();
      switch (order) {
        case DO_COMMIT:
          this.#commit(unpackTransaction(id, message), message);
          break;
        case DO_LOAD:
          this.#load(id, message);
          break;
        case DO_LOOK_UP:
          this.#lookUp(id, message);
          break;
        case DO_LIST:
          this.#list(id, message.number());
          break;
        case DO_COMMIT_MAP:
          this.#commitMap(unpackTransaction(id, message), message);
          break;
        case DO_LIST_MAP:
          this.#listMap(id, message);
          break;
        case DO_MERGE:
          this.#merge(unpackTransaction(id, message), message);
          break;
        case DO_READ:
          this.#read(id, message);
          break;
        default:
          assert(order === DO_CLOSE, 'an order of a known kind');
          this.#close();
          return;
      }
    }
    this.#answers.send();
    this.#idle.refresh();
  }

  #commit(transaction: Transaction, message: PackReader): void {
    const changes = present(unpackChanges(message), 'changes of this program');
    this.#transact(transaction, (tables) => tables.commit(transaction, changes));
  }

  #commitMap(transaction: Transaction, message: PackReader): void {
    const changes = unpackMapRecords(message);
    this.#transact(transaction, (tables) => {
      tables.commitMap(transaction, changes);
      return [];
    });
  }

  #transact(transaction: Transaction, commit: (tables: Tables) => readonly ChangeResult[]): void {
    const failure = this.#try(() => {
      const connection = this.#writable();
      const results = commit(connection.tables);
      this.#assertWritten(connection);
      this.#answerTombstones(transaction.number, connection.tables);
      const answer = this.#answers.begin(COMMITTED, transaction.number);
      packResults(answer, results);
      packCounts(answer, connection.tables.counts);
    });
    if (failure !== null) this.#answers.fail(BATCH_FAILED, transaction.number, failure);
    this.#afterTransaction(failure);
  }

  #merge(transaction: Transaction, message: PackReader): void {
    const isFromActive = message.byte() !== 0;
    const mapEpochMax = message.number();
    const parts = unpackChunk(message.bytes(), mapEpochMax);
    const requests = parts === null ? null : unpackRecords(parts.requests);
    const failure = this.#try(() => {
      const connection = this.#writable();
      const both =
        parts === null || requests === null
          ? null
          : connection.tables.merge(transaction, requests, parts.map, isFromActive);
      if (both === null) {
        this.#answers.fail(MERGE_FAILED, transaction.number, MALFORMED);
        return;
      }
      this.#assertWritten(connection);
      this.#answerTombstones(transaction.number, connection.tables);
      const { merged, map } = both;
      if (map.changed.length > 0 || map.conflicts.length > 0) {
        packMapMerged(this.#answers.begin(MAP_MERGED, transaction.number), map);
      }
      const answer = this.#answers.begin(MERGED, transaction.number);
      packMerged(answer, merged);
      packCounts(answer, connection.tables.counts);
    });
    if (failure !== null) this.#answers.fail(MERGE_FAILED, transaction.number, failure);
    this.#afterTransaction(failure);
  }

  #answerTombstones(transaction: number, { mapTombstoneBytes }: Tables): void {
    if (mapTombstoneBytes === this.#tombstoneBytes) return;
    this.#tombstoneBytes = mapTombstoneBytes;
    this.#answers.begin(MAP_TOMBSTONES, transaction).number(mapTombstoneBytes);
  }

  #assertWritten(connection: Connection): void {
    if (!connection.isDurable) assertDurable(connection.db);
    connection.isDurable = true;
    // If the file was taken away, what is committed is lost with it.
    connection.file?.check();
  }

  /** Creates the file if there was no room for it before. @throws while there still is none */
  #writable(): Connection {
    const before = this.#connection;
    if (before.file !== null) {
      if (before.isExclusive) this.#known.remember(before.tables.recovered.storeId);
      return before;
    }
    // It starts with the same numbers as the store that it replaces.
    this.#connection = connectFile(this.#order, this.#known, null, false);
    before.db.close();
    return this.#connection;
  }

  #afterTransaction(failure: StoreFailure | null): void {
    // What it waits for comes first.
    this.#answers.send();
    // Emptying the log may free all the room that is missing.
    const frames = failure?.kind === 'full' ? 1 : undefined;
    this.#upkeep(() => this.#connection.tables.checkpoint(frames));
    this.#watchLog();
    if (failure === null && this.#connection.isExclusive) this.#upkeep(() => this.#reconnect());
  }

  /** The disk was full when the store was opened, and has room now. */
  #reconnect(): void {
    this.#connection.db.close();
    this.#connection = connect(this.#order, this.#known, this.#connection.tables);
  }

  #load(load: number, message: PackReader): void {
    const uuids = unpackUuids(message);
    const failure = this.#try(() => {
      const bodies = uuids.map((uuid) => this.#connection.tables.body(uuid));
      packBodies(this.#answers.begin(LOADED, load), bodies);
    });
    if (failure !== null) this.#answers.fail(LOAD_FAILED, load, failure);
  }

  #lookUp(look: number, message: PackReader): void {
    const uuid = message.bytes();
    const replyBytesMax = message.number();
    const failure = this.#try(() => {
      const found = this.#connection.tables.lookUp(uuid, replyBytesMax);
      packFound(this.#answers.begin(FOUND, look), found);
    });
    if (failure !== null) this.#answers.fail(LOOK_FAILED, look, failure);
  }

  /** Orders that arrive meanwhile are carried out before it reads on. */
  #list(list: number, after: number): void {
    const failure = this.#try(() => {
      const { requests, next } = this.#connection.tables.pending(after, LISTED_REQUESTS);
      if (next !== null) {
        setImmediate(() => {
          this.#listOn(list, next);
        });
        return;
      }
      packPending(this.#answers.begin(LISTED, list), requests);
    });
    if (failure !== null) this.#answers.fail(LIST_FAILED, list, failure);
  }

  #listOn(list: number, after: number): void {
    if (this.#isClosed) return;
    this.#list(list, after);
    this.#answers.send();
  }

  #listMap(list: number, message: PackReader): void {
    const after = message.bytes().toString('latin1');
    const failure = this.#try(() => {
      const records = this.#connection.tables.listMap(after);
      packMapRecords(this.#answers.begin(MAP_LISTED, list), records);
    });
    if (failure !== null) this.#answers.fail(MAP_LIST_FAILED, list, failure);
  }

  #read(read: number, message: PackReader): void {
    const place = unpackPlace(message);
    const requestsMax = message.number();
    const bytesMax = message.number();
    const failure = this.#try(() => {
      const chunk = this.#connection.tables.read(place, requestsMax, bytesMax);
      packChunk(this.#answers.begin(READ, read), chunk);
    });
    if (failure !== null) this.#answers.fail(READ_FAILED, read, failure);
  }

  /** Runs while there are no orders. */
  #maintain(): void {
    this.#upkeep(() => {
      const { tables } = this.#connection;
      const hasDropped = tables.dropTombstones();
      this.#answerTombstones(0, tables);
      if (tables.shrink() || hasDropped) this.#idle.refresh();
      tables.checkpoint();
    });
    this.#answers.send();
    this.#watchLog();
  }

  #watchLog(): void {
    this.#upkeep(() => {
      const { bytes, copied } = this.#connection.tables.log;
      this.#logWatch.look(performance.now(), bytes, copied);
    });
    if (!this.#logWatch.isLong || this.#isClosed) return;
    this.#logTimer ??= setTimeout(() => {
      this.#logTimer = null;
      this.#upkeep(() => this.#connection.tables.checkpoint());
      this.#watchLog();
    }, LOOK_MS).unref();
  }

  /** Maintenance that nobody waits for: it may fail as long as the disk can be trusted. */
  #upkeep(work: () => void): void {
    this.#try(work);
  }

  #try(work: () => void): StoreFailure | null {
    if (this.#fatal !== null) return this.#fatal;
    try {
      work();
      return null;
    } catch (error) {
      const failure = failureOf(this.#path, error);
      if (failure.kind === 'fatal') this.#fatal = failure;
      return failure;
    }
  }

  #close(): void {
    clearTimeout(this.#idle);
    if (this.#logTimer !== null) clearTimeout(this.#logTimer);
    this.#isClosed = true;
    // The last connection to close empties the log; what cannot be copied now is copied at the next
    // start.
    this.#upkeep(() => this.#connection.tables.close());
    this.#upkeep(() => this.#connection.db.close());
    this.#answers.begin(CLOSED, 0);
    this.#answers.send();
    this.#port.close();
  }
}

function postOpenFailure(port: MessagePort, path: string, error: unknown): void {
  const { code, message, details } = openError(path, error);
  port.postMessage({ code, message, details } satisfies OpenFailure);
}

function start(): void {
  const port = present(parentPort, 'this runs in a thread');
  const order = workerData as OpenOrder;
  try {
    new StoreThread(order, port);
  } catch (error) {
    postOpenFailure(port, order.path, error);
  }
}

start();
