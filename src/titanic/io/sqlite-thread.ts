/** The thread in which SQLite runs: does what it is told in order, and answers. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { assert, present } from '../../core/assert.js';
import type { StoreFailure } from '../store.js';
import { assertDurable, openForService } from './database.js';
import { failureOf, openError } from './failures.js';
import { FileIdentity } from './file-identity.js';
import {
  BATCH_FAILED,
  CLOSED,
  COMMITTED,
  DO_CLOSE,
  DO_COMMIT,
  DO_LOAD,
  DO_LOOK_UP,
  DO_RECOVER,
  FOUND,
  LOAD_FAILED,
  LOADED,
  LOOK_FAILED,
  type OpenFailure,
  packBodies,
  packCounts,
  packFailure,
  packFound,
  packPending,
  packResults,
  RECOVERED,
  unpackChanges,
  unpackUuids,
} from './messages.js';
import { PackReader, PackWriter } from './packing.js';
import { Tables } from './tables.js';

const ANSWER_BYTES = 4096;
/** Pending requests told at once while the store is opened. */
const RECOVERED_REQUESTS = 4096;
/** Without anything to do for so long, the file is looked after. */
const IDLE_MS = 50;

interface Connection {
  readonly db: ReturnType<typeof openForService>;
  readonly tables: Tables;
  readonly file: FileIdentity;
  /** Opened on a full disk. */
  readonly isAlone: boolean;
  /** It was seen to write through to the disk. */
  isDurable: boolean;
}

function connect(path: string): Connection {
  try {
    return connectSo(path, false);
  } catch (error) {
    if (failureOf(path, error).kind !== 'full') throw error;
    // What is in the store can be read all the same.
    return connectSo(path, true);
  }
}

function connectSo(path: string, isAlone: boolean): Connection {
  const db = openForService(path, isAlone);
  try {
    const tables = new Tables(db);
    return { db, tables, file: new FileIdentity(path), isAlone, isDurable: false };
  } catch (error) {
    db.close();
    throw error;
  }
}

class StoreThread {
  readonly #path: string;
  readonly #port: MessagePort;
  #connection: Connection;
  readonly #idle: NodeJS.Timeout;
  #answers = new PackWriter(ANSWER_BYTES);
  /** What was written can no longer be trusted: nothing is done any more. */
  #fatal: StoreFailure | null = null;

  constructor(path: string, port: MessagePort) {
    this.#path = path;
    this.#port = port;
    this.#connection = connect(path);
    this.#idle = setTimeout(() => {
      this.#lookAfter();
    }, IDLE_MS).unref();
    port.on('message', (message: Uint8Array) => {
      this.#receive(new PackReader(message));
    });
  }

  #receive(message: PackReader): void {
    while (!message.isAtEnd) {
      const order = message.byte();
      const id = message.number();
      switch (order) {
        case DO_COMMIT:
          this.#commit(id, message);
          break;
        case DO_LOAD:
          this.#load(id, message);
          break;
        case DO_LOOK_UP:
          this.#lookUp(id, message);
          break;
        case DO_RECOVER:
          this.#recover(id);
          break;
        default:
          assert(order === DO_CLOSE, 'an order of a known kind');
          this.#close();
          return;
      }
    }
    this.#send();
    this.#idle.refresh();
  }

  #commit(batch: number, message: PackReader): void {
    const changes = unpackChanges(message);
    const failure = this.#try(() => {
      const connection = this.#connection;
      const results = connection.tables.commit(changes);
      if (!connection.isDurable) assertDurable(connection.db);
      connection.isDurable = true;
      // A file that was taken away takes what is committed with it.
      connection.file.check();
      this.#answers.byte(COMMITTED);
      this.#answers.number(batch);
      packResults(this.#answers, results);
      packCounts(this.#answers, connection.tables.counts);
    });
    if (failure !== null) this.#fail(BATCH_FAILED, batch, failure);
    // What it waits for goes first.
    this.#send();
    // An emptied log may be all the room that is missing.
    const frames = failure?.kind === 'full' ? 1 : undefined;
    this.#upkeep(() => this.#connection.tables.checkpoint(frames));
    if (failure === null && this.#connection.isAlone) this.#upkeep(() => this.#reconnect());
  }

  /** The disk that was full when the store was opened has room now. */
  #reconnect(): void {
    this.#connection.db.close();
    this.#connection = connect(this.#path);
  }

  #load(load: number, message: PackReader): void {
    const uuids = unpackUuids(message);
    const failure = this.#try(() => {
      const bodies = uuids.map((uuid) => this.#connection.tables.body(uuid));
      this.#answers.byte(LOADED);
      this.#answers.number(load);
      packBodies(this.#answers, bodies);
    });
    if (failure !== null) this.#fail(LOAD_FAILED, load, failure);
  }

  #lookUp(look: number, message: PackReader): void {
    const uuid = message.bytes();
    const failure = this.#try(() => {
      const found = this.#connection.tables.lookUp(uuid);
      this.#answers.byte(FOUND);
      this.#answers.number(look);
      packFound(this.#answers, found);
    });
    if (failure !== null) this.#fail(LOOK_FAILED, look, failure);
  }

  #recover(after: number): void {
    try {
      const requests = this.#connection.tables.pending(after, RECOVERED_REQUESTS);
      this.#answers.byte(RECOVERED);
      this.#answers.number(requests.length);
      packPending(this.#answers, requests);
      packCounts(this.#answers, this.#connection.tables.counts);
      this.#answers.number(this.#connection.tables.nextNumber);
    } catch (error) {
      postOpenFailure(this.#port, this.#path, error);
    }
  }

  /** While nothing is to be done. */
  #lookAfter(): void {
    this.#upkeep(() => {
      const { tables } = this.#connection;
      if (tables.shrink()) this.#idle.refresh();
      tables.checkpoint();
    });
  }

  /** What nobody waits for: it may fail as long as the disk can be trusted. */
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

  #fail(what: number, id: number, failure: StoreFailure): void {
    this.#answers.byte(what);
    this.#answers.number(id);
    packFailure(this.#answers, failure);
  }

  #send(): void {
    if (this.#answers.isEmpty) return;
    const bytes = this.#answers.take();
    this.#answers = new PackWriter(ANSWER_BYTES);
    this.#port.postMessage(bytes, [bytes.buffer]);
  }

  #close(): void {
    clearTimeout(this.#idle);
    // The last one to close it empties the log; what cannot be copied now is copied at the next start.
    this.#upkeep(() => this.#connection.db.close());
    this.#answers.byte(CLOSED);
    this.#answers.number(0);
    this.#send();
    this.#port.close();
  }
}

function postOpenFailure(port: MessagePort, path: string, error: unknown): void {
  const { code, message, details } = openError(path, error);
  port.postMessage({ code, message, details } satisfies OpenFailure);
}

function start(): void {
  const port = present(parentPort, 'this runs in a thread');
  const path = String(workerData);
  try {
    new StoreThread(path, port);
  } catch (error) {
    postOpenFailure(port, path, error);
  }
}

start();
