/** Looks at a store file whose node is to use a database, or is to serve it, and changes nothing. */
import { MajordomoError } from '../../../core/errors.js';
import {
  countOf,
  kindOfNumber,
  noCounts,
  otherRecords,
  type RecordCount,
} from '../../record-kind.js';
import { openForReading } from './database.js';
import { conditionAt } from './header.js';
import { movedTo, refuseMoved } from './moved.js';
import { openError } from './sqlite-errors.js';

const COUNT = 'SELECT kind, count(*) AS count FROM requests GROUP BY kind';

/**
 * A node with a database does not read its store file any more: a forgotten `migrate` would make
 * every receipt of it unknown.
 * @param path the store file; there may be none
 * @param configFile that `migrate` would need; `null`: none
 * @throws ERR_TITANIC_MIGRATE if it has requests that were not moved; ERR_TITANIC_BUSY,
 * ERR_TITANIC_DISK, ERR_TITANIC_VERSION if it cannot be read
 */
export function refuseLeftBehind(path: string, configFile: string | null): void {
  const left = leftBehind(path);
  if (left === null) return;
  const { pending } = left;
  const requests = pending === 0 ? [] : [pending === 1 ? '1 request' : `${pending} requests`];
  const held = [...requests, ...otherRecords(left)];
  if (held.length === 0) return;
  const what = held.join(' and ');
  const command = `majordomo migrate${configFile === null ? '' : ` -c ${configFile}`}`;
  const text = `${path} holds ${what} that are not in the database: run \`${command}\` first, or move the file away`;
  throw new MajordomoError('ERR_TITANIC_MIGRATE', text);
}

/** What is in the store, by kind, in whatever state; `null`: there is no store, or it was moved. */
function leftBehind(path: string): Readonly<Record<RecordCount, number>> | null {
  if (!isStore(path)) return null;
  try {
    const db = openForReading(path);
    try {
      if (movedTo(db) !== null) return null;
      const counts = noCounts();
      const rows = db.prepare<[], { readonly kind: number; readonly count: number }>(COUNT).all();
      for (const { kind, count } of rows) {
        counts[countOf({ kind: kindOfNumber(kind), state: 'pending' })] += count;
      }
      return counts;
    } finally {
      db.close();
    }
  } catch (error) {
    const { code, message } = openError(path, error);
    const text = `${message}; if nothing in it is needed, move it away: titanic.store is a database`;
    throw new MajordomoError(code, text, { cause: error });
  }
}

/** Whether it is a store, also one that this program does not read. */
function isStore(path: string): boolean {
  const { kind } = conditionAt(path);
  return kind === 'store' || kind === 'development';
}

/**
 * Refuses a store that was moved, as a broker does that would serve the file.
 * @throws ERR_TITANIC_MOVED, and as opening it for reading
 */
export function refuseMovedFile(path: string): void {
  if (!isStore(path)) return;
  const db = openForReading(path);
  try {
    refuseMoved(db, path);
  } finally {
    db.close();
  }
}
