/** A store in a PostgreSQL database. The library is loaded in the store's thread, and only there. */
import type { ClaimStore, ClaimStoreEvents, Recovered } from '../../store/store.js';
import { ThreadStore } from '../../store/thread/thread-store.js';
import type { OpenPostgres, StoreReport } from './messages.js';

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
  report: (told: StoreReport) => void,
): Promise<OpenedPostgres> {
  const thread = {
    script: new URL('./postgres-thread.js', import.meta.url),
    workerData: order,
    name: order.name,
    news: report,
  };
  const store = new ThreadStore(thread, events);
  const recovered = await store.opened;
  return { store, recovered };
}
