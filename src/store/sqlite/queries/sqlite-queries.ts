import { type ClosableQueries, ThreadQueries } from '../../thread/thread-queries.js';

/** The query port for an SQLite file. */
export function openSqliteQueries(path: string): ClosableQueries {
  const script = new URL('./query-thread.js', import.meta.url);
  return new ThreadQueries({ script, workerData: path, name: path });
}
