import { type ClosableQueries, ThreadQueries } from '../../thread/thread-queries.js';
import { ownFile } from '../../../core/own-file.js';

/** The query port for an SQLite file. */
export function openSqliteQueries(path: string): ClosableQueries {
  const script = ownFile('store/sqlite/queries/query-thread.js');
  return new ThreadQueries({ script, workerData: path, name: path });
}
