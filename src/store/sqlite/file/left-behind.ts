/** Looks at a store file whose node is to use a database, or is to serve it, and changes nothing. */
import { MajordomoError } from '../../../core/errors.js';
import { TITANIC_SCHEDULE } from '../../../wire/tsp.js';
import { openForReading } from './database.js';
import { conditionAt } from './header.js';
import { movedTo, refuseMoved } from './moved.js';
import { PENDING } from './schema.js';
import { openError } from './sqlite-errors.js';

interface LeftBehind {
  readonly requests: number;
  readonly schedules: number;
}

const COUNT = `SELECT count(*) - count(schedule) AS requests, count(schedule) AS schedules
  FROM (SELECT CASE WHEN service = ? AND state = ${PENDING} THEN 1 END AS schedule FROM requests)`;

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
  if (left === null || left.requests + left.schedules === 0) return;
  const held = [counted(left.requests, 'request'), counted(left.schedules, 'schedule')];
  const what = held.filter((text) => text !== null).join(' and ');
  const command = `majordomo migrate${configFile === null ? '' : ` -c ${configFile}`}`;
  const text = `${path} holds ${what} that are not in the database: run \`${command}\` first, or move the file away`;
  throw new MajordomoError('ERR_TITANIC_MIGRATE', text);
}

function counted(count: number, what: string): string | null {
  return count === 0 ? null : `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** `null`: there is no store, or it was moved. */
function leftBehind(path: string): LeftBehind | null {
  if (!isStore(path)) return null;
  try {
    const db = openForReading(path);
    try {
      if (movedTo(db) !== null) return null;
      return db.prepare<[Buffer], LeftBehind>(COUNT).get(Buffer.from(TITANIC_SCHEDULE)) ?? null;
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
 * The same refusal as that of a broker that would serve the file.
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
