/** Formats of store files: which of them this program reads, and how an older one is brought to it. */
import { existsSync, renameSync, rmSync } from 'node:fs';

import type Database from 'better-sqlite3';

import { present } from '../../../core/assert.js';
import { MajordomoError } from '../../../core/errors.js';
import { takeKnown } from '../../fields.js';
import { REQUEST_ROWS, requestFrom } from '../../request.js';
import { type Cell, cellsOf, requestColumns, RowReader } from '../../rows.js';
import { connect, formatOf, strangersIn } from './connection.js';
import { beginCopy, completeCopy, placeCopy } from './copies.js';
import { timestamp } from './files.js';
import { conditionAt } from './header.js';
import { type Migration, SHARED_ID_BYTES, readMigrations } from './schema.js';

/** @throws ERR_TITANIC_VERSION if a newer program made the store at `path` */
export function refuseNewer(path: string, format: number): void {
  const known = readMigrations().at(-1)?.format ?? 0;
  if (format <= known) return;
  const copy = copyBefore(path, known);
  const before = existsSync(copy)
    ? `put back the copy from before the upgrade, ${copy}`
    : 'restore a backup from before the upgrade';
  const text = `store ${path} has format ${format}, this program reads up to ${known}: use a newer program, or ${before}`;
  throw new MajordomoError('ERR_TITANIC_VERSION', text, { details: { format, known } });
}

/**
 * What to do about a store that has the mark of development versions.
 * @param once when the order to begin anew counts, if this one did not; in parentheses
 */
export function developmentStore(path: string, format: number, once = ''): MajordomoError {
  const text = `store ${path} has format ${format} of a development version, which was never released: go on with the version that wrote it, or start with an empty store with \`majordomo serve --new-store\`, which moves this one aside${once}`;
  return new MajordomoError('ERR_TITANIC_VERSION', text, { details: { format } });
}

/**
 * Brings a store to the newest format. It is copied first, and changed in one transaction: after an
 * interruption it has its old format still, and the next start begins again.
 * @param db the only connection that writes
 */
export function upgrade(
  db: Database.Database,
  path: string,
  migrations: readonly Migration[] = readMigrations(),
): void {
  const from = formatOf(db);
  const missing = migrations.filter(({ format }) => format > from);
  if (missing.length === 0) return;
  keepCopy(db, path, copyBefore(path, from));
  migrate(db, missing);
}

/** @param migrations from the format of the store on */
export function migrate(db: Database.Database, migrations: readonly Migration[]): void {
  db.transaction(() => {
    for (const { format, sql } of migrations) {
      db.exec(sql);
      db.pragma(`user_version = ${format}`);
    }
    fillColumns(db);
  }).immediate();
}

/**
 * What a node of the version before kept of a later one's requests (`extra`) goes into the columns that there
 * are for it now.
 */
function fillColumns(db: Database.Database): void {
  const kept = db.prepare('SELECT number FROM requests WHERE extra IS NOT NULL').pluck();
  const columns = requestColumns((column) => column);
  const find = db.prepare(`SELECT ${columns}, extra FROM requests WHERE number = ?`).raw();
  const sets = REQUEST_ROWS.map(
    ({ column, kind }) => `${column} = ?${kind === 'state' ? ' + 1' : ''}`,
  );
  const set = db.prepare(`UPDATE requests SET ${sets.join(', ')}, extra = ? WHERE number = ?`);
  for (const number of kept.all()) {
    const from = new RowReader(find.get(number) as Cell[]);
    const request = requestFrom(from);
    const taken = takeKnown(request, present(from.maybe(), 'extra'));
    if (taken !== null) set.run(...cellsOf(taken.request), taken.extra, number);
  }
}

function copyBefore(path: string, format: number): string {
  return `${path}.format-${format}`;
}

function keepCopy(db: Database.Database, path: string, copy: string): void {
  if (existsSync(copy)) {
    // A start made it that was interrupted before the store had its new format.
    if (isCopyOf(copy, db)) return;
    // That copy is of an earlier upgrade, before somebody went back to the format.
    renameSync(copy, `${copy}-${timestamp()}`);
  }
  const making = `${path}.copying`;
  try {
    beginCopy(making);
    db.prepare('VACUUM INTO ?').run(making);
    completeCopy(making);
    placeCopy(making, copy);
  } catch (error) {
    // A partial file would take room from others on a full disk.
    rmSync(making, { force: true });
    throw error;
  }
}

/** Whether the store was not opened for service, and so did not change, since the copy was made. */
function isCopyOf(copy: string, db: Database.Database): boolean {
  if (conditionAt(copy).kind !== 'store') return false;
  const copied = connect(copy, { readonly: true, fileMustExist: true });
  try {
    return strangersIn(copied) === null && momentOf(copied) === momentOf(db);
  } finally {
    copied.close();
  }
}

function momentOf(db: Database.Database): unknown {
  const text = `SELECT hex(substr(store_id, 1, ${SHARED_ID_BYTES})) || openings FROM ledger`;
  return db.prepare(text).pluck().get();
}
