import { type ClosableQueries, ThreadQueries } from '../../store/thread/thread-queries.js';
import type { OpenPostgres } from './messages.js';

/** The query port for a store in a database. Its thread starts with the first query. */
export function openPostgresQueries(order: OpenPostgres): ClosableQueries {
  const script = new URL('./query-thread.js', import.meta.url);
  return new ThreadQueries({ script, workerData: order, name: order.name });
}
