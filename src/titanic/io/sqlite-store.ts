/** A store in an SQLite file: this side of the thread that has it. */
import { Worker } from 'node:worker_threads';

import { assert } from '../../core/assert.js';
import { MajordomoError, messageOf } from '../../core/errors.js';
import type {
  Change,
  OpenStore,
  Recovered,
  RequestUuid,
  Store,
  StoredRequest,
  StoreEvents,
  StoreFailure,
} from '../store.js';
import {
  BATCH_FAILED,
  changesBytes,
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
  packChanges,
  packUuids,
  RECOVERED,
  unpackBodies,
  unpackCounts,
  unpackFailure,
  unpackFound,
  unpackRequest,
  unpackResults,
} from './messages.js';
import { PackReader, PackWriter } from './packing.js';

const ORDERS_BYTES = 256;
const UUID_BYTES = 20;

/**
 * A store in the SQLite file at `path`, which is made with mode 0600 if it is absent. Opening rejects
 * with ERR_TITANIC_FILE or ERR_TITANIC_VERSION for a file that is not a store or of a newer program
 * (it stays untouched), ERR_TITANIC_BUSY for one that somebody has locked, ERR_TITANIC_FULL and
 * ERR_TITANIC_DISK for what the disk does. What it tells (bodies, replies, uuids) are views of one
 * message's memory.
 */
export function openSqliteStore(path: string): OpenStore {
  return async (events, pending) => {
    const store = new SqliteStore(path, events, pending);
    const recovered = await store.opened;
    return { store, recovered };
  };
}

class SqliteStore implements Store {
  readonly opened: Promise<Recovered>;
  readonly #path: string;
  readonly #events: StoreEvents;
  readonly #pending: (requests: readonly StoredRequest[]) => void;
  readonly #thread: Worker;
  #orders: PackWriter | null = null;
  /** What the thread has been asked for and has not answered. */
  #batch: number | null = null;
  readonly #loads = new Set<number>();
  readonly #looks = new Set<number>();
  #isOpen = false;
  #settleOpening: { done(recovered: Recovered): void; failed(error: MajordomoError): void } | null =
    null;
  /** Why there is no thread any more. */
  #lost: StoreFailure | null = null;
  readonly #ended: Promise<void>;

  constructor(
    path: string,
    events: StoreEvents,
    pending: (requests: readonly StoredRequest[]) => void,
  ) {
    this.#path = path;
    this.#events = events;
    this.#pending = pending;
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpening = { done: resolve, failed: reject };
    });
    this.#thread = new Worker(new URL('./sqlite-thread.js', import.meta.url), {
      workerData: path,
      name: 'store',
    });
    this.#thread.on('message', (message: Uint8Array | OpenFailure) => {
      if (message instanceof Uint8Array) this.#receive(new PackReader(message));
      else this.#failOpening(message);
    });
    this.#thread.on('error', (error) => {
      this.#lose(messageOf(error));
    });
    this.#ended = new Promise((resolve) => {
      this.#thread.on('exit', () => {
        this.#lose('its thread has ended');
        resolve();
      });
    });
    this.#order(DO_RECOVER, 0, 0);
  }

  // ---------------------------------------------------------------- orders

  commit(batch: number, changes: readonly Change[]): void {
    assert(this.#batch === null, 'one batch is under way at a time');
    this.#batch = batch;
    packChanges(this.#order(DO_COMMIT, batch, changesBytes(changes)), changes);
    // The thread works while this turn goes on. (What is lost is told later, never within a call.)
    if (this.#lost === null) this.#send();
  }

  load(load: number, uuids: readonly RequestUuid[]): void {
    this.#loads.add(load);
    packUuids(this.#order(DO_LOAD, load, uuids.length * UUID_BYTES), uuids);
  }

  lookUp(look: number, uuid: RequestUuid): void {
    this.#looks.add(look);
    this.#order(DO_LOOK_UP, look, UUID_BYTES).bytes(uuid);
  }

  async close(): Promise<void> {
    if (this.#lost === null) this.#order(DO_CLOSE, 0, 0);
    await this.#ended;
  }

  /** Begins an order; all those of one turn leave in one message. */
  #order(what: number, id: number, bytes: number): PackWriter {
    if (this.#orders === null) {
      this.#orders = new PackWriter(ORDERS_BYTES + bytes);
      queueMicrotask(() => {
        this.#send();
      });
    }
    this.#orders.byte(what);
    this.#orders.number(id);
    return this.#orders;
  }

  #send(): void {
    const bytes = this.#orders?.take();
    this.#orders = null;
    if (bytes === undefined) return;
    if (this.#lost === null) this.#thread.postMessage(bytes, [bytes.buffer]);
    else this.#failAll(this.#lost);
  }

  // ---------------------------------------------------------------- answers

  #receive(message: PackReader): void {
    while (!message.isAtEnd) {
      const what = message.byte();
      const id = message.number();
      switch (what) {
        case COMMITTED:
          this.#batch = null;
          this.#events.committed(id, unpackResults(message), unpackCounts(message));
          break;
        case BATCH_FAILED:
          this.#batch = null;
          this.#events.batchFailed(id, unpackFailure(message));
          break;
        case LOADED:
          this.#loads.delete(id);
          this.#events.loaded(id, unpackBodies(message));
          break;
        case LOAD_FAILED:
          this.#loads.delete(id);
          this.#events.loadFailed(id, unpackFailure(message));
          break;
        case FOUND:
          this.#looks.delete(id);
          this.#events.found(id, unpackFound(message));
          break;
        case LOOK_FAILED:
          this.#looks.delete(id);
          this.#events.lookFailed(id, unpackFailure(message));
          break;
        case RECOVERED:
          this.#recover(id, message);
          break;
        default:
          assert(what === CLOSED, 'an answer of a known kind');
      }
    }
  }

  #recover(count: number, message: PackReader): void {
    const requests = Array.from({ length: count }, () => unpackRequest(message));
    const counts = unpackCounts(message);
    const nextNumber = message.number();
    const last = requests.at(-1);
    // The thread reads the next ones meanwhile.
    if (last !== undefined) {
      this.#order(DO_RECOVER, last.number, 0);
      this.#send();
      this.#pending(requests);
      return;
    }
    this.#isOpen = true;
    this.#settleOpening?.done({ counts, nextNumber });
    this.#settleOpening = null;
  }

  // ---------------------------------------------------------------- ends

  #failOpening({ code, message, details }: OpenFailure): void {
    this.#settleOpening?.failed(new MajordomoError(code, message, { details }));
    this.#settleOpening = null;
    void this.#thread.terminate();
  }

  #lose(why: string): void {
    if (this.#lost !== null) return;
    const message = `store ${this.#path}: ${why}; restart the broker`;
    this.#lost = { kind: 'fatal', message };
    this.#settleOpening?.failed(new MajordomoError('ERR_TITANIC_DISK', message));
    this.#settleOpening = null;
    if (this.#isOpen) this.#failAll(this.#lost);
  }

  #failAll(failure: StoreFailure): void {
    const batch = this.#batch;
    this.#batch = null;
    if (batch !== null) this.#events.batchFailed(batch, failure);
    const loads = [...this.#loads];
    this.#loads.clear();
    for (const load of loads) this.#events.loadFailed(load, failure);
    const looks = [...this.#looks];
    this.#looks.clear();
    for (const look of looks) this.#events.lookFailed(look, failure);
  }
}
