/** The thread in which SQLite runs: carries out orders in sequence, and answers them. */
import { existsSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { present } from '../../core/assert.js';
import { unpackChunk } from '../chunk-codec.js';
import { PackReader } from '../../core/value-bytes.js';
import { unpackRecords } from '../record-codec.js';
import { setAsideText } from '../unusable.js';
import type { MergeFailure, StoreFailure } from '../store.js';
import { assertDurable, openForService, openWithoutFile } from './file/database.js';
import { failureOf, openError } from './file/sqlite-errors.js';
import { FileIdentity } from './file/file-identity.js';
import { KnownStore } from './file/known-store.js';
import { LogWatch, LOOK_MS } from './file/log-watch.js';
import { fitPairIndex } from './file/pair-index.js';
import { rowsSetAside, setAside } from './file/set-aside.js';
import type { AsideNews, OpenFailure, OpenOrder } from '../thread/opening.js';
import {
  type OperationName,
  type Order,
  type OrderOf,
  type ResultOf,
  takeOrders,
} from '../thread/operations.js';
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
  /** Whether it was seen to write through to the disk. */
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
    return existsSync(path) ? connectFile(order, known, earlier, true) : connectWithoutFile(order);
  }
}

function connectWithoutFile({ path, isPaired }: OpenOrder): Connection {
  const db = openWithoutFile();
  const tables = new Tables(path, db, isPaired, null);
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
    const tables = new Tables(path, db, isPaired, earlier);
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
  #isClosed = false;
  /** What was written can no longer be trusted: nothing more is done. */
  #fatal: StoreFailure | null = null;

  constructor(order: OpenOrder, port: MessagePort) {
    const { path, isNewStore } = order;
    this.#order = order;
    this.#path = path;
    this.#port = port;
    this.#answers = new ThreadAnswers(port);
    this.#known = new KnownStore(path, isNewStore, (news) => port.postMessage(news));
    this.#connection = connect(order, this.#known, null);
    this.#logWatch = new LogWatch(path, (report) => port.postMessage(report));
    // The file says that it is in service.
    this.#checkpoint(1);
    this.#idle = setTimeout(() => this.#maintain(), IDLE_MS).unref();
    port.on('message', (message: Uint8Array) => this.#receive(new PackReader(message)));
    const { db, file, tables } = this.#connection;
    const aside = rowsSetAside(db);
    if (aside.length > 0) {
      port.postMessage({ how: 'set-aside', text: setAsideText(aside) } satisfies AsideNews);
    }
    const { isNumbered, ...recovered } = tables.recovered;
    this.#answers.news('opened', { ...recovered, isNumbered: isNumbered && file !== null });
    this.#answers.send();
  }

  #receive(message: PackReader): void {
    for (const order of takeOrders(message)) {
      this.#carryOut(order);
      if (this.#isClosed) return;
    }
    this.#answers.send();
    this.#idle.refresh();
  }

  #carryOut(order: Order): void {
    switch (order.name) {
      case 'commit': {
        const [transaction, changes] = order.args;
        this.#transact(order, (tables) => tables.commit(transaction, changes));
        break;
      }
      case 'commitRanked': {
        const [transaction, part, changes] = order.args;
        this.#transact(order, (tables) => tables.commitRanked(transaction, part, changes));
        break;
      }
      case 'merge':
        this.#merge(order);
        break;
      case 'load':
        this.#answer(order, ({ tables }) => order.args[0].map((uuid) => tables.body(uuid)));
        break;
      case 'lookUp':
        this.#answer(order, ({ tables }) => tables.lookUp(...order.args));
        break;
      case 'listRanked':
        this.#answer(order, ({ tables }) => tables.ranked.list(...order.args));
        break;
      case 'read':
        this.#answer(order, ({ tables }) => tables.read(...order.args));
        break;
      case 'list':
        this.#list(order, ...order.args);
        break;
      case 'close':
        this.#close();
        break;
      case 'claim':
      case 'listKept':
      case 'hint':
        throw new Error('a file is no store that brokers share');
      default:
        throw new Error('another thread answers queries');
    }
  }

  #transact<Name extends 'commit' | 'commitRanked'>(
    order: { readonly name: Name; readonly id: number },
    commit: (tables: Tables) => ResultOf<Name>,
  ): void {
    const failure = this.#try(() => {
      const connection = this.#writable();
      const results = commit(connection.tables);
      this.#assertWritten(connection);
      this.#tellCounts(connection.tables);
      this.#answers.done(order, results);
    });
    if (failure !== null) this.#answers.failed(order, failure);
    this.#afterTransaction(failure);
  }

  #merge(order: OrderOf<'merge'>): void {
    const [transaction, records, isFromActive, epochMax] = order.args;
    const chunk = unpackChunk(records, epochMax);
    const requests = chunk === null ? null : unpackRecords(chunk.requests);
    const failure = this.#try(() => {
      const connection = this.#writable();
      const merged =
        chunk === null || requests === null
          ? null
          : connection.tables.merge(transaction, requests, chunk.parts, isFromActive);
      if (merged === null) {
        this.#answers.malformed(order, MALFORMED);
        return;
      }
      this.#assertWritten(connection);
      this.#tellCounts(connection.tables);
      this.#answers.done(order, { ...merged.merged, parts: merged.parts });
    });
    if (failure !== null) this.#answers.failed(order, failure);
    this.#afterTransaction(failure);
  }

  #tellCounts(tables: Tables): void {
    this.#tellTombstones(tables);
    this.#answers.news('counted', tables.counts);
  }

  #tellTombstones(tables: Tables): void {
    for (const sizes of tables.ranked.takeTombstones()) this.#answers.news('tombstones', sizes);
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
    // The file starts with the same numbers as the store that it replaces.
    this.#connection = connectFile(this.#order, this.#known, null, false);
    before.db.close();
    return this.#connection;
  }

  #afterTransaction(failure: StoreFailure | null): void {
    // What it waits for comes first.
    this.#answers.send();
    // Emptying the log may free all the room that is missing.
    this.#checkpoint(failure?.kind === 'full' ? 1 : undefined);
    if (failure === null && this.#connection.isExclusive) this.#try(() => this.#reconnect());
  }

  /** The disk was full when the store was opened, and has room now. */
  #reconnect(): void {
    this.#connection.db.close();
    this.#connection = connect(this.#order, this.#known, this.#connection.tables);
  }

  #answer<Name extends OperationName>(
    order: { readonly name: Name; readonly id: number },
    read: (connection: Connection) => ResultOf<Name>,
  ): void {
    const failure = this.#try(() => this.#answers.done(order, read(this.#connection)));
    if (failure !== null) this.#answers.failed(order, failure);
  }

  /** Orders that arrive meanwhile are carried out before it reads on. */
  #list(order: OrderOf<'list'>, after: number): void {
    const failure = this.#try(() => {
      const { requests, next } = this.#connection.tables.pending(
        after,
        LISTED_REQUESTS,
        order.args[0] === 0,
      );
      if (next === null) this.#answers.donePending(order, requests);
      else {
        setImmediate(() => this.#listOn(order, next));
      }
    });
    if (failure !== null) this.#answers.failed(order, failure);
  }

  #listOn(order: OrderOf<'list'>, after: number): void {
    if (this.#isClosed) return;
    this.#list(order, after);
    this.#answers.send();
  }

  /** Runs while there are no orders. */
  #maintain(): void {
    this.#try(() => {
      const { tables } = this.#connection;
      const hasDropped = tables.dropTombstones();
      this.#tellTombstones(tables);
      if (tables.shrink() || hasDropped) this.#idle.refresh();
    });
    this.#answers.send();
    this.#checkpoint();
  }

  /** @param frames see `Tables.checkpoint` */
  #checkpoint(frames?: number): void {
    this.#try(() => {
      const { tables } = this.#connection;
      tables.checkpoint(frames);
      // The reader of the log may have ended. The next commit would cut it, too, but may be far away.
      if (this.#logWatch.isLong) tables.emptyLog();
    });
    this.#try(() => {
      const { bytes, copied } = this.#connection.tables.log;
      // (Monotonic. `performance` would load a dozen modules of Node.)
      this.#logWatch.look(process.uptime() * 1000, bytes, copied);
    });
    if (!this.#logWatch.isLong || this.#isClosed) return;
    this.#logTimer ??= setTimeout(() => {
      this.#logTimer = null;
      this.#checkpoint();
    }, LOOK_MS).unref();
  }

  /** Maintenance, which nobody waits for, may fail as long as the disk can be trusted. */
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
    this.#try(() => this.#connection.tables.close());
    this.#try(() => this.#connection.db.close());
    this.#answers.news('closed', null);
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
