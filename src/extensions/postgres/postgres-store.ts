/**
 * A store in a PostgreSQL database, and queries for display of it, as the main thread opens them. The library is
 * loaded in their threads, and only there.
 */
import { Worker } from 'node:worker_threads';

import type { RetryReason } from '../../store/retries.js';
import type { ClaimStore, ClaimStoreEvents, Recovered } from '../../store/store.js';
import { type ClosableQueries, ThreadQueries } from '../../store/thread/thread-queries.js';
import { ThreadStore } from '../../store/thread/thread-store.js';
import type { Login } from './connect.js';
import type { History } from './server.js';
import { ownFile } from '../../core/own-file.js';

export interface OpenPostgres {
  readonly login: Login;
  /** For messages: without the user. */
  readonly name: string;
  readonly timeoutMs: number;
  readonly leaseMs: number;
  readonly node: string;
  /** The id of the data directory on this machine: 16 bytes as hexadecimal digits. */
  readonly directoryId: string;
  /** The id of the store that the data directory remembers; `null`: any. */
  readonly storeId: string | null;
  /** Whether brokers send each other hints through the database; false: they have another way. */
  readonly hints: boolean;
}

/** What became of the connection to the store, and of this broker's session. */
export type StoreReport =
  /**
   * The session was renewed by an order sent then, by `PROCESS_CLOCK`, and carried out when the clock of the store showed `storeMs`, in milliseconds since 1970.
   */
  | { readonly report: 'renewed'; readonly sentAtMs: number; readonly storeMs: number }
  | { readonly report: 'ended' }
  /** The session could not be renewed within its lease. */
  | { readonly report: 'overdue'; readonly text: string }
  /** The broker has a new session. */
  | { readonly report: 'taken' }
  /** The sessions with the store: that of this broker, and those of others. */
  | {
      readonly report: 'sessions';
      readonly mine: number;
      readonly others: readonly {
        readonly session: number;
        readonly node: string;
        readonly isOverdue: boolean;
      }[];
    }
  /** The broker ended the session of another one, which did not renew it. */
  | { readonly report: 'otherEnded'; readonly node: string; readonly session: number }
  /** The database had no store: this broker made it. */
  | { readonly report: 'made' }
  /** The broker is connected to a server that may be used. */
  | { readonly report: 'connected'; readonly host: string; readonly history: History }
  /** Seconds since the oldest snapshot was taken; `null`: not known. */
  | { readonly report: 'snapshot'; readonly seconds: number | null }
  /** Since when requests wait that no broker has claimed, by service, one character per byte. */
  | { readonly report: 'unclaimed'; readonly since: ReadonlyMap<string, number> }
  /** The database has rows that are set aside: how many of which tables. */
  | { readonly report: 'set-aside'; readonly text: string }
  /** The database does not take a row. */
  | { readonly report: 'refused'; readonly text: string }
  /** The database refuses what is read. */
  | { readonly report: 'unread'; readonly text: string }
  /** Another session keeps the row of a request locked; `pid`: its process of the server, if known. */
  | { readonly report: 'locked'; readonly uuid: string; readonly pid: number | null }
  /** Notifications flood the channel for hints; `pid`: who sent one of them, as a process of the server. */
  | { readonly report: 'flooded'; readonly pid: number }
  | { readonly report: 'lost'; readonly text: string }
  | { readonly report: 'returned'; readonly host: string; readonly awayMs: number }
  | { readonly report: 'failedover'; readonly host: string; readonly text: string }
  | { readonly report: 'retried'; readonly reason: RetryReason };

export interface OpenedPostgres {
  readonly store: ClaimStore;
  readonly recovered: Recovered;
}

/**
 * Opens a store in a database, which other brokers may use, too. Makes its tables if they are absent.
 * Rejects with ERR_TITANIC_STORE (login, certificate,
 * rights, settings of the server), ERR_TITANIC_VERSION (tables of a program that is too new),
 * ERR_TITANIC_LOST (another store than the data directory remembers), or ERR_TITANIC_STORE_AWAY (it
 * cannot be reached, or is a standby).
 * @param report called with what becomes of the connection and of the session
 */
export async function openPostgresStore(
  order: OpenPostgres,
  events: ClaimStoreEvents,
  report: (report: StoreReport) => void,
): Promise<OpenedPostgres> {
  const script = ownFile('extensions/postgres/postgres-thread.js');
  const thread = new Worker(script, { workerData: order, name: 'store' });
  const store = new ThreadStore({ thread, name: order.name, news: report }, events);
  const recovered = await store.opened;
  return { store, recovered };
}

/** The query port for a store in a database. Its thread starts with the first query. */
export function openPostgresQueries(order: OpenPostgres): ClosableQueries {
  const script = ownFile('extensions/postgres/query-thread.js');
  return new ThreadQueries({ script, workerData: order, name: order.name });
}
