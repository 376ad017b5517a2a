import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import Database from 'better-sqlite3';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { mayOthersWrite } from '../../core/private-file.js';

/** A data directory that only this process uses. */
export interface DataDir {
  readonly path: string;
  /** Lets other processes use it. The end of the process does so, too. */
  release(): void;
}

const LOCK_FILE = 'lock';
const PRIVATE_MODE = 0o700;
/**
 * Two processes that try at the same time may block each other for a moment; `doctor` also tries.
 * The one that holds the lock for longer uses the directory.
 */
const LOCK_WAIT_MS = 500;

/**
 * Makes the directory if it is absent, and locks it exclusively. The lock is held through SQLite,
 * on a file of its own; the kernel releases it when the process ends, however it ends.
 * @throws ERR_DATA_DIR_IN_USE if another process has it
 * @throws ERR_DATA_DIR if it cannot be made or written
 * @throws ERR_DATA_DIR_OPEN if other users can write to it
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
 * Makes the directory, private, and its missing parents. Not with `recursive`, which never returns
 * if a file system reports ENOENT below an existing directory (`/proc`).
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
  // Independent of the umask.
  chmodSync(path, PRIVATE_MODE);
}

function refuseOpen(path: string): void {
  const { mode } = statSync(path);
  if (!mayOthersWrite(mode)) return;
  const now = (mode & 0o7777).toString(8).padStart(4, '0');
  throw new MajordomoError(
    'ERR_DATA_DIR_OPEN',
    `node.dataDir ${path} is writable by other users (mode ${now}), who could change durable requests: ` +
      `chmod go-w ${path}`,
  );
}

function take(path: string): Database.Database {
  let lock: Database.Database | null = null;
  try {
    lock = new Database(join(path, LOCK_FILE), { timeout: LOCK_WAIT_MS });
    lock.pragma('journal_mode = MEMORY');
    // Stays open as long as the process lives.
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
