/** A store in a PostgreSQL database. The library is loaded in the store's thread, and only there. */
import type {
  ClaimStore,
  ClaimStoreEvents,
  Recovered,
  StoreCounts,
  StoredRequest,
} from '../../store/store.js';
import { ThreadStore } from '../../store/thread/thread-store.js';
import type { OpenPostgres, StoreReport } from './messages.js';

/** What a store in PostgreSQL reports besides results. */
export interface PostgresEvents extends ClaimStoreEvents {
  /** Batches failed with an unknown outcome, and this broker has claimed these requests of them. */
  kept(requests: readonly StoredRequest[]): void;
  /** Another session was taken: other brokers may have claimed what this one had. */
  taken(): void;
  /** @param counts what the store holds, with the work of other brokers */
  counted(counts: StoreCounts): void;
}

export interface OpenedPostgres {
  readonly store: ClaimStore;
  readonly recovered: Recovered;
}

function notOfAPair(): never {
  throw new Error('a store in PostgreSQL belongs to no pair');
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
  events: PostgresEvents,
  report: (told: StoreReport) => void,
): Promise<OpenedPostgres> {
  const thread = {
    script: new URL('./postgres-thread.js', import.meta.url),
    workerData: order,
    name: order.name,
    news: report,
  };
  const store = new ThreadStore(
    thread,
    {
      committed: (...result) => events.committed(...result),
      batchFailed: (...result) => events.batchFailed(...result),
      loaded: (...result) => events.loaded(...result),
      found: (...result) => events.found(...result),
      listed: (...result) => events.listed(...result),
      loadFailed: (...result) => events.loadFailed(...result),
      lookFailed: (...result) => events.lookFailed(...result),
      listFailed: (...result) => events.listFailed(...result),
      kept: (requests) => events.kept(requests),
      taken: () => events.taken(),
      counted: (counts) => events.counted(counts),
      claimed: (...result) => events.claimed(...result),
      claimFailed: (...result) => events.claimFailed(...result),
      hinted: (hint) => events.hinted(hint),
      merged: notOfAPair,
      mergeFailed: notOfAPair,
      chunk: notOfAPair,
      readFailed: notOfAPair,
    },
    null,
  );
  const recovered = await store.opened;
  return { store, recovered };
}
