/** Opens the file of a store: makes it, refuses those of others, brings its schema up to date. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';

import Database from 'better-sqlite3';

import { codeOf, MajordomoError } from '../../core/errors.js';
import { APPLICATION_ID, type Migration, readMigrations } from './schema.js';

/** Requests and replies are for their owner only. */
export const PRIVATE_MODE = 0o600;
/** Of a lock that another program holds, in this thread. */
const BUSY_MS = 1000;
/** What the log may keep of the disk after a batch that was larger. */
const WAL_BYTES_KEPT = 64 * 1024 * 1024;

/** Below it a reset of the log could lose what was committed. */
const SQLITE_MIN = [3, 51, 3] as const;

/** `synchronous` = FULL. */
const SYNCHRONOUS_FULL = 2;

/** SQLite's file header: where it is in it, and how long it is. */
const HEADER_BYTES = 100;
const MAGIC = 'SQLite format 3\0';
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;

/**
 * Opens a store file for its only writer, and makes it (mode 0600) if it is absent.
 * @param isAlone nobody else can read it meanwhile, but it needs no room on the disk to open it
 * @param isAgain this process has opened it before, and may have it open
 * @throws ERR_TITANIC_FILE if it is not a store, ERR_TITANIC_VERSION if it is of a newer program
 */
export function openForService(
  path: string,
  isAlone: boolean,
  isAgain: boolean,
): Database.Database {
  if (!isAgain) {
    if (!existsSync(path)) create(path);
    checkHeader(path);
  }
  const db = new Database(path, { fileMustExist: true, timeout: BUSY_MS });
  try {
    // The index of the log is in memory then, not in a file that several can share.
    if (isAlone) db.pragma('locking_mode = EXCLUSIVE');
    prepareForService(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** An empty store without a file, to be read while the disk has no room to make one. */
export function openWithoutFile(): Database.Database {
  const db = new Database(':memory:');
  migrate(db, readMigrations(), 0);
  return db;
}

/** Opens a store file that other processes may be using, to read it. Throws as `openForService`. */
export function openForReading(path: string): Database.Database {
  checkHeader(path);
  return openBesideService(path);
}

/** The same for a file that this process has open for service, and so knows to be a store. */
export function openBesideService(path: string): Database.Database {
  assertThere(path);
  const db = new Database(path, { fileMustExist: true, readonly: true, timeout: BUSY_MS });
  try {
    checkVersion(path, Number(db.pragma('user_version', { simple: true })));
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function prepareForService(db: Database.Database, path: string): void {
  checkSqlite(db);
  db.pragma('trusted_schema = OFF');
  db.pragma('cell_size_check = ON');
  db.pragma('temp_store = MEMORY');
  db.pragma('journal_mode = WAL');
  // Not what the build has as its default for WAL, which loses what a power cut finds unsynced.
  db.pragma('synchronous = FULL');
  // By hand, after a batch was told: SQLite hides the failures of its automatic ones.
  db.pragma('wal_autocheckpoint = 0');
  db.pragma(`journal_size_limit = ${WAL_BYTES_KEPT}`);
  const version = Number(db.pragma('user_version', { simple: true }));
  const migrations = readMigrations();
  checkVersion(path, version);
  migrate(db, migrations, version);
}

/** States that commits reach the disk. To be asked after a write: before, it reads FULL always. */
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

/** Whole or not at all: under another name first. */
function create(path: string): void {
  if (fileBytes(`${path}-wal`) > 0) {
    throw new MajordomoError(
      'ERR_TITANIC_DISK',
      `store ${path} is missing, but its log ${path}-wal is there: put both back, ` +
        'or restore a backup, or move the log away to begin anew',
    );
  }
  const making = `${path}.new`;
  removeDraft(making);
  try {
    make(making);
  } catch (error) {
    // What there is of it would take room from others on a full disk.
    removeDraft(making);
    throw error;
  }
  syncPath(making);
  renameSync(making, path);
  syncPath(dirname(path));
}

function removeDraft(making: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) {
    rmSync(`${making}${suffix}`, { force: true });
  }
}

function make(making: string): void {
  closeSync(openSync(making, 'wx', PRIVATE_MODE));
  const db = new Database(making, { fileMustExist: true });
  try {
    db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma('synchronous = FULL');
    db.pragma(`application_id = ${APPLICATION_ID}`);
    migrate(db, readMigrations(), 0);
    db.pragma('journal_mode = WAL');
  } finally {
    db.close();
  }
}

function migrate(db: Database.Database, migrations: readonly Migration[], from: number): void {
  for (const { version, sql } of migrations) {
    if (version <= from) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${version}`);
    }).immediate();
  }
}

/**
 * Reads the header without SQLite, which would already change the files beside it. Never while this
 * process has the file open: to close any descriptor of it gives up all locks that SQLite has on it,
 * and then the next process that closes it takes the log away.
 */
function checkHeader(path: string): void {
  const header = readHeader(path);
  if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw notAStore(path, 'it is not an SQLite file');
  }
  if (header.readUInt32BE(APPLICATION_ID_AT) !== APPLICATION_ID) {
    throw notAStore(path, 'it is an SQLite file of another application');
  }
  checkVersion(path, header.readUInt32BE(USER_VERSION_AT));
}

function readHeader(path: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  assertThere(path);
  const file = openSync(path, 'r');
  try {
    if (readSync(file, header, 0, HEADER_BYTES, 0) === 0) throw notAStore(path, 'it is empty');
  } catch (error) {
    if (codeOf(error) === 'EISDIR') throw notAStore(path, 'it is a directory');
    throw error;
  } finally {
    closeSync(file);
  }
  return header;
}

function assertThere(path: string): void {
  if (existsSync(path)) return;
  throw new MajordomoError('ERR_TITANIC_DISK', `store ${path} does not exist`);
}

function checkVersion(path: string, version: number): void {
  const known = readMigrations().at(-1)?.version ?? 0;
  if (version <= known) return;
  throw new MajordomoError(
    'ERR_TITANIC_VERSION',
    `store ${path} has version ${version}, this program knows ${known}: use a newer program, ` +
      'or another titanic.file',
    { details: { version, known } },
  );
}

function notAStore(path: string, why: string): MajordomoError {
  return new MajordomoError(
    'ERR_TITANIC_FILE',
    `${path} is not a store of Majordomo: ${why}; it was left as it is: name another titanic.file`,
  );
}

/** Writes to the disk what the system still holds of a file, or of the names in a directory. */
export function syncPath(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
