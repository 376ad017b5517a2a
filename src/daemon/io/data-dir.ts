import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import Database from 'better-sqlite3';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { mayOthersWrite } from '../../core/private-file.js';

/** A data directory that this process, and no other, uses. */
export interface DataDir {
  readonly path: string;
  /** Lets others have it. The end of the process does so, too. */
  release(): void;
}

const LOCK_FILE = 'lock';
const PRIVATE_MODE = 0o700;
/**
 * Of two that try at once, each can be in the other's way; `doctor` tries, too. Whoever has it longer
 * uses the directory.
 */
const LOCK_WAIT_MS = 500;

/**
 * Makes the directory if it is absent, and takes an exclusive lock in it. The lock is one that the
 * kernel releases when the process ends, however it ends: held through SQLite, on a file of its own.
 * @throws ERR_DATA_DIR_IN_USE if another process has it
 * @throws ERR_DATA_DIR if it cannot be made or written
 * @throws ERR_DATA_DIR_OPEN if others can write to it
 */
export function openDataDir(directory: string): DataDir {
  const path = resolve(directory);
  try {
    make(path);
  } catch (error) {
    throw unusable(path, error);
  }
  refuseOpen(path);
  const lock = take(path);
  return {
    path,
    release: () => {
      lock.close();
    },
  };
}

/**
 * Makes it private, and what is missing above it. Not by `recursive`, which never returns where a
 * file system says ENOENT below a directory that is there (`/proc`).
 */
function make(path: string): void {
  try {
    mkdirSync(path, { mode: PRIVATE_MODE });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw error;
    make(dirname(path));
    make(path);
    return;
  }
  // Whatever the umask has taken away.
  chmodSync(path, PRIVATE_MODE);
}

function refuseOpen(path: string): void {
  const { mode } = statSync(path);
  if (!mayOthersWrite(mode)) return;
  const now = (mode & 0o7777).toString(8).padStart(4, '0');
  throw new MajordomoError(
    'ERR_DATA_DIR_OPEN',
    `node.dataDir ${path} can be written by others (mode ${now}), who could change what is stored: ` +
      `chmod go-w ${path}`,
  );
}

function take(path: string): Database.Database {
  let lock: Database.Database | null = null;
  try {
    lock = new Database(join(path, LOCK_FILE), { timeout: LOCK_WAIT_MS });
    lock.pragma('journal_mode = MEMORY');
    // Stays open for as long as the process lives.
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    const code = codeOf(error) ?? '';
    if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
      throw new MajordomoError(
        'ERR_DATA_DIR_IN_USE',
        `${path} is in use by another broker; give each its own node.dataDir`,
        { cause: error },
      );
    }
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): MajordomoError {
  return new MajordomoError(
    'ERR_DATA_DIR',
    `node.dataDir ${path} cannot be used: ${messageOf(cause)}`,
    { cause },
  );
}
