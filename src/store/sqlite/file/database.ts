/** Opens a store file: creates it, refuses files that are not stores, brings it to this format. */
import { closeSync, existsSync, openSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';

import type Database from 'better-sqlite3';

import { MajordomoError } from '../../../core/errors.js';
import { closingOnError, connect, formatOf, refuseStrangers } from './connection.js';
import { removeDraft } from './copies.js';
import { PRIVATE_MODE, syncPath } from './files.js';
import { developmentStore, migrate, refuseNewer, upgrade } from './formats.js';
import { type StoreCondition, conditionAt } from './header.js';
import { checkKnown, type KnownStore, notAStore } from './known-store.js';
import { makeMark, refuseForeignLog } from './log-mark.js';
import { refuseMoved } from './moved.js';
import { APPLICATION_ID, readMigrations } from './schema.js';

/** How long this thread waits for a lock that another program holds. */
const BUSY_MS = 1000;
/** Size to which the log is cut after a larger batch. */
const WAL_BYTES_RETAINED = 64 * 1024 * 1024;

/** With an older SQLite, a reset of the log could lose committed data. */
const SQLITE_MIN = [3, 51, 3] as const;

/** `synchronous` = FULL. */
const SYNCHRONOUS_FULL = 2;

/**
 * Opens a store file for its only writer, and creates it (mode 0600) if it is absent.
 * @param known what the directory remembers of it; `null`: this process has opened it before, and
 * may have it open
 * @param isExclusive nobody else can read it meanwhile, but opening it needs no room on the disk
 * @throws ERR_TITANIC_LOST if it is not the store that the directory remembers, or its log is not its own, ERR_TITANIC_FILE if
 * it is not a store, or has what no store has, ERR_TITANIC_VERSION if it is of a newer program or a development version,
 * ERR_TITANIC_MOVED if its requests are in a database now
 */
export function openForService(
  path: string,
  known: KnownStore | null,
  isExclusive: boolean,
): Database.Database {
  if (known === null) return openThere(path, isExclusive);
  const condition = conditionAt(path);
  if (condition.kind === 'store') {
    refuseNewer(path, condition.format);
    refuseForeignLog(path);
    const db = open(path, isExclusive);
    const unreadable = closingOnError(db, () => known.recognize(db));
    if (unreadable === null) return prepared(db, path, isExclusive);
    db.close();
    known.makeWay({ kind: 'foreign', why: unreadable });
  } else {
    known.makeWay(condition);
  }
  create(path);
  return openThere(path, isExclusive);
}

function openThere(path: string, isExclusive: boolean): Database.Database {
  const db = open(path, isExclusive);
  closingOnError(db, () => refuseUnreadable(db, path));
  return prepared(db, path, isExclusive);
}

function open(path: string, isExclusive: boolean): Database.Database {
  const db = connect(path, { fileMustExist: true, timeout: BUSY_MS });
  // The index of the log is then in memory, not in a file that several processes can share.
  if (isExclusive) closingOnError(db, () => db.pragma('locking_mode = EXCLUSIVE'));
  return db;
}

function prepared(db: Database.Database, path: string, isExclusive: boolean): Database.Database {
  closingOnError(db, () => {
    refuseMoved(db, path);
    prepare(db, path);
    makeMark(db, isExclusive);
  });
  return db;
}

/**
 * Opens a store that is moved elsewhere, or was, and can be read: nobody else has it open for service. It is
 * brought to this format.
 */
export function openMoving(path: string): Database.Database {
  const db = connect(path, { fileMustExist: true, timeout: BUSY_MS });
  closingOnError(db, () => prepare(db, path));
  return db;
}

/** An empty store without a file, for reads while the disk has no room to create one. */
export function openWithoutFile(): Database.Database {
  const db = connect(':memory:');
  migrate(db, readMigrations());
  makeMark(db);
  return db;
}

/**
 * Opens for reading a store file that other processes may be using. Throws like `openForService`.
 */
export function openForReading(path: string): Database.Database {
  checkCondition(path, conditionAt(path));
  refuseForeignLog(path);
  return openBesideService(path);
}

/**
 * Checks, for readers, that the store is the one that its directory remembers.
 * @throws ERR_TITANIC_LOST if it is not
 */
export function checkOwnStore(path: string): void {
  checkKnown(path, conditionAt(path), () => openForReading(path));
}

/** Like `openForReading`, for a file that this process already has open for service. */
export function openBesideService(path: string): Database.Database {
  if (!existsSync(path)) throw absent(path);
  const db = connect(path, { fileMustExist: true, readonly: true, timeout: BUSY_MS });
  closingOnError(db, () => refuseUnreadable(db, path));
  return db;
}

function refuseUnreadable(db: Database.Database, path: string): void {
  refuseNewer(path, formatOf(db));
  refuseStrangers(db, path);
}

function prepare(db: Database.Database, path: string): void {
  checkSqlite(db);
  db.pragma('cell_size_check = ON');
  db.pragma('temp_store = MEMORY');
  db.pragma('journal_mode = WAL');
  syncFully(db);
  // Checkpoints run explicitly, after results were reported: SQLite hides errors of automatic ones.
  db.pragma('wal_autocheckpoint = 0');
  db.pragma(`journal_size_limit = ${WAL_BYTES_RETAINED}`);
  upgrade(db, path);
}

/** What is committed is on the disk. */
function syncFully(db: Database.Database): void {
  // Not the build's default for WAL, which loses unsynced data in a power failure.
  db.pragma('synchronous = FULL');
  // On macOS, `fsync` leaves it in the cache of the drive; elsewhere these change nothing.
  db.pragma('fullfsync = ON');
  db.pragma('checkpoint_fullfsync = ON');
}

/**
 * Asserts that commits reach the disk. Call it after a write: before that, it always reads FULL.
 */
export function assertDurable(db: Database.Database): void {
  const synchronous = db.pragma('synchronous', { simple: true });
  if (synchronous !== SYNCHRONOUS_FULL) {
    throw new MajordomoError('ERR_INTERNAL', `synchronous is ${String(synchronous)}, not FULL`);
  }
}

function checkSqlite(db: Database.Database): void {
  const text = String(db.prepare('SELECT sqlite_version()').pluck().get());
  const parts = text.split('.').map(Number);
  for (const [place, least] of SQLITE_MIN.entries()) {
    const part = parts[place] ?? 0;
    if (part > least) return;
    if (part < least) {
      throw new MajordomoError(
        'ERR_INTERNAL',
        `SQLite ${text} can lose data; ${SQLITE_MIN.join('.')} or newer is needed`,
      );
    }
  }
}

/** Written completely or not at all: first under another name. */
function create(path: string): void {
  const making = `${path}.new`;
  removeDraft(making);
  try {
    makeStore(making);
  } catch (error) {
    // A partial file would take room from others on a full disk.
    removeDraft(making);
    throw error;
  }
  syncPath(making);
  renameSync(making, path);
  syncPath(dirname(path));
}

/** A new, empty store file (mode 0600). */
export function makeStore(making: string): void {
  closeSync(openSync(making, 'wx', PRIVATE_MODE));
  const db = connect(making, { fileMustExist: true });
  try {
    db.pragma('auto_vacuum = INCREMENTAL');
    syncFully(db);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    migrate(db, readMigrations());
    makeMark(db);
    // A step may drop what an earlier one made.
    db.pragma('incremental_vacuum');
    db.pragma('journal_mode = WAL');
  } finally {
    db.close();
  }
}

function checkCondition(path: string, condition: StoreCondition): void {
  if (condition.kind === 'missing') throw absent(path);
  if (condition.kind === 'development') throw developmentStore(path, condition.format);
  if (condition.kind !== 'store') throw notAStore(path, condition.why);
  refuseNewer(path, condition.format);
}

function absent(path: string): MajordomoError {
  return new MajordomoError('ERR_TITANIC_DISK', `store ${path} does not exist`);
}
