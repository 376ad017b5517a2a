/** A store in an SQLite file. */
import { Worker } from 'node:worker_threads';

import type { OpenNodeStore } from '../node-store.js';
import type { StoreNews } from './file/known-store.js';
import type { LogReport } from './file/log-watch.js';
import type { AsideNews, OpenOrder } from '../thread/opening.js';
import { ThreadStore } from '../thread/thread-store.js';
import { ownFile } from '../../core/own-file.js';

/** What may go beyond opening the existing store. */
interface SqliteStoreOptions {
  /** Another store may replace the one that the directory remembers. */
  readonly isNewStore: boolean;
  /** The node is one of a pair: the other one reads changes, which needs an index. */
  readonly isPaired: boolean;
  /**
   * Told which store it is before it is opened (on a full disk, when there is room); of rows that it set aside, and
   * of its log whenever that has changed.
   */
  readonly news: (news: StoreNews | AsideNews | LogReport) => void;
}

const IN_A_PAIR: SqliteStoreOptions = { isNewStore: false, isPaired: true, news: () => undefined };

/**
 * A store in the SQLite file at `path`, which is created with mode 0600 if it is absent. Opening
 * rejects with ERR_TITANIC_LOST if its directory remembers another store, ERR_TITANIC_FILE for a
 * file that is not a store or ERR_TITANIC_VERSION for one of a newer program (it stays unchanged),
 * ERR_TITANIC_MOVED if its requests are in a database now, ERR_TITANIC_BUSY if another process has
 * locked it, and ERR_TITANIC_FULL or ERR_TITANIC_DISK for errors of the disk. What it reports
 * (bodies, replies, uuids) are views of one message's memory.
 */
export function openSqliteStore(
  path: string,
  options: SqliteStoreOptions = IN_A_PAIR,
): OpenNodeStore {
  return async (events) => {
    const { isNewStore, isPaired, news } = options;
    const workerData = { path, isNewStore, isPaired } satisfies OpenOrder;
    const script = ownFile('store/sqlite/sqlite-thread.js');
    const thread = new Worker(script, { workerData, name: 'store' });
    const store = new ThreadStore({ thread, name: path, news }, events);
    const recovered = await store.opened;
    return { store, recovered };
  };
}
