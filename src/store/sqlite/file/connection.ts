/** Connections to files of SQLite, and what of a file is not of this program. */
import Database from 'better-sqlite3';

import { MajordomoError } from '../../../core/errors.js';
import { escapedLine } from '../../../core/escape.js';
import { SET_ASIDE } from '../../unusable.js';
import { MAKE_MARK } from './log-mark.js';
import { MAKE_PAIR_INDEX } from './pair-index.js';
import { readMigrations } from './schema.js';

/** Opens a file. What its schema calls may neither write nor reach beyond the file. */
export function connect(path: string, options?: Database.Options): Database.Database {
  const db = new Database(path, options);
  closingOnError(db, () => db.pragma('trusted_schema = OFF'));
  return db;
}

/** Closes it if `work` fails. */
export function closingOnError<Result>(db: Database.Database, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    db.close();
    throw error;
  }
}

export function formatOf(db: Database.Database): number {
  return Number(db.pragma('user_version', { simple: true }));
}

/** A table, an index, a trigger or a view, as SQLite keeps it. */
interface Made {
  readonly type: string;
  readonly name: string;
  /** The table that it belongs to: of a table itself. */
  readonly of: string;
  readonly sql: string | null;
}

const ALL = 'SELECT type, name, tbl_name AS "of", sql FROM sqlite_schema';
/** Tables that only hold rows which were set aside, whatever columns these had. */
const ASIDE = RegExp(
  `^CREATE TABLE (${SET_ASIDE}[a-z]+_\\d+)\\(\\s*"?\\w+"?( [A-Z]+)?(,\\s*"?\\w+"?( [A-Z]+)?)*\\s*\\)$`,
);
/** What ANALYZE writes, from which SQLite only plans. */
const STATISTICS: readonly string[] = [
  'CREATE TABLE sqlite_stat1(tbl,idx,stat)',
  'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)',
];
const SHOWN_MAX = 3;
const NAME_MAX = 100;

/**
 * What the file of a store has beside the tables and indexes of its format, in words: a trigger could change what is
 * stored, and a view in place of a table keep a reader for ever. Reads only their texts.
 * @returns `null`: there is nothing
 */
export function strangersIn(db: Database.Database): string | null {
  const own = ownOf(formatOf(db));
  const found = db.prepare<[], Made>(ALL).all();
  const strange = found.filter((each) => !own.has(keyOf(each)) && !isOwnKind(each));
  if (strange.length === 0) return null;
  const names = strange.slice(0, SHOWN_MAX).map(shown);
  const more = strange.length > SHOWN_MAX ? [`${strange.length - SHOWN_MAX} more`] : [];
  return `it has the ${[...names, ...more].join(', the ')}, which this program did not make`;
}

/** @throws ERR_TITANIC_FILE if the store at `path` has what this program does not make */
export function refuseStrangers(db: Database.Database, path: string): void {
  const why = strangersIn(db);
  if (why !== null) throw strange(path, why);
}

/** @param why from `strangersIn` */
export function strange(path: string, why: string): MajordomoError {
  return new MajordomoError(
    'ERR_TITANIC_FILE',
    `store ${path}: ${why}. Nothing was changed, and nothing of it was read. Triggers, views, tables and indexes that are ` +
      'not of this program can be dropped with sqlite3; if tables of this program are others, restore a backup',
  );
}

function keyOf({ type, name, of, sql }: Made): string {
  return JSON.stringify([type, name, of, sql]);
}

function isOwnKind({ type, name, of, sql }: Made): boolean {
  if (type !== 'table' || name !== of || sql === null) return false;
  return ASIDE.exec(sql)?.[1] === name || STATISTICS.includes(sql);
}

function shown({ type, name, of }: Made): string {
  const whole = name === of ? `${type} ${name}` : `${type} ${name} of ${of}`;
  return escapedLine(whole.slice(0, NAME_MAX));
}

const made = new Map<number, ReadonlySet<string>>();

/** All that a store of this format may have. */
function ownOf(format: number): ReadonlySet<string> {
  const known = made.get(format);
  if (known !== undefined) return known;
  const db = new Database(':memory:');
  try {
    for (const step of readMigrations()) if (step.format <= format) db.exec(step.sql);
    // A file that is about to be made is empty.
    if (format > 0) db.exec(`${MAKE_PAIR_INDEX}; ${MAKE_MARK}`);
    const own = new Set(db.prepare<[], Made>(ALL).all().map(keyOf));
    made.set(format, own);
    return own;
  } finally {
    db.close();
  }
}
