/** The orders to the store's thread when it starts, and those of its reports that are rare. */
import type { Login } from './connection.js';
import type { History } from './server.js';
import type { RetryReason } from '../../store/retries.js';

export interface OpenPostgres {
  readonly login: Login;
  /** For messages: without the user. */
  readonly name: string;
  readonly timeoutMs: number;
  readonly leaseMs: number;
  readonly node: string;
  /** Of the data directory: 16 bytes as hexadecimal digits. */
  readonly home: string;
  /** The id of the store that the data directory remembers; `null`: any. */
  readonly storeId: string | null;
  /** Whether brokers send each other hints through the database; false: they have another way. */
  readonly hints: boolean;
}

/** What became of the connection to the store, and of this broker's session. */
export type StoreReport =
  /**
   * Its session was renewed by an order sent then, in microseconds of `process.hrtime`, and carried
   * out when the clock of the store showed `storeMs`, in milliseconds since 1970.
   */
  | { readonly report: 'renewed'; readonly sentAtUs: number; readonly storeMs: number }
  | { readonly report: 'ended' }
  /** It could not be renewed within its lease. */
  | { readonly report: 'overdue'; readonly text: string }
  /** It has a new one. */
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
  /** It ended the session of another broker, which did not renew it. */
  | { readonly report: 'buried'; readonly node: string; readonly session: number }
  /** The database had no store: this broker made it. */
  | { readonly report: 'made' }
  /** To a server that may be used. */
  | { readonly report: 'connected'; readonly host: string; readonly history: History }
  /** Seconds since the oldest snapshot was taken; `null`: not known. */
  | { readonly report: 'snapshot'; readonly seconds: number | null }
  /** By service, one character per byte: since when requests wait that no broker has claimed. */
  | { readonly report: 'unclaimed'; readonly since: ReadonlyMap<string, number> }
  /** It has rows that are set aside: how many of which tables. */
  | { readonly report: 'set-aside'; readonly text: string }
  /** The database does not take a row. */
  | { readonly report: 'refused'; readonly text: string }
  /** Another session keeps the row of a request locked; `pid`: its process of the server, if known. */
  | { readonly report: 'locked'; readonly uuid: string; readonly pid: number | null }
  | { readonly report: 'lost'; readonly text: string }
  | { readonly report: 'returned'; readonly host: string; readonly awayMs: number }
  | { readonly report: 'failedover'; readonly host: string; readonly text: string }
  | { readonly report: 'retried'; readonly reason: RetryReason };
