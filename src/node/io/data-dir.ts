import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import Database from 'better-sqlite3';

import { codeOf, MajordomoError, messageOf } from '../../core/errors.js';
import { mayOthersWrite } from '../../core/private-file.js';

/** A data directory that only this process uses. */
export interface DataDir {
  readonly path: string;
  /** Whether the process that had it last did not release it: it was killed, it failed, or the machine stopped. */
  readonly afterCrash: boolean;
  /**
   * Lets other processes use it. The end of the process does so, too.
   * @param hasServed false: `afterCrash` holds for the next process, too, since no node was there to tell it
   */
  release(hasServed: boolean): void;
}

const LOCK_FILE = 'lock';
/** Who holds the lock: for the message to the next one. The lock counts, not this file. */
const HOLDER_FILE = 'lock.holder';
const HOLDER_BYTES_MAX = 512;
const HOLDER = /^([1-9]\d{0,6}) ([\w.-]{1,253}) (\d{4}-[\w:.-]{1,30})\n$/;
const PRIVATE_MODE = 0o700;
/**
 * Two processes that try at the same time may block each other for a moment; `doctor` also tries.
 * The one that holds the lock for longer uses the directory.
 */
const LOCK_WAIT_MS = 500;

/**
 * Makes the directory if it is absent, and locks it exclusively. The lock is held through SQLite,
 * on a file of its own; the kernel releases it when the process ends, however it ends.
 * @throws ERR_DATA_DIR_IN_USE if another process has it; `details.holder` names it, or is null
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
  const afterCrash = existsSync(join(path, HOLDER_FILE));
  noteHolder(path);
  return {
    path,
    afterCrash,
    release: (hasServed) => {
      try {
        if (hasServed || !afterCrash) rmSync(join(path, HOLDER_FILE), { force: true });
      } catch {
        // Whoever reads it sees that this process has ended.
      } finally {
        lock.close();
      }
    },
  };
}

/**
 * Makes the directory, private, and its missing parents, which another process may make meanwhile. Not with
 * `recursive`, which never returns if a file system reports ENOENT below an existing directory (`/proc`).
 */
function make(path: string): void {
  if (!existsSync(dirname(path))) make(dirname(path));
  try {
    mkdirSync(path, { mode: PRIVATE_MODE });
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && statSync(path).isDirectory()) return;
    throw error;
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
      const holder = holderOf(path);
      const found = holder ?? `another process; find it with: fuser -v ${join(path, LOCK_FILE)}`;
      throw new MajordomoError(
        'ERR_DATA_DIR_IN_USE',
        `${path} is in use by ${found}; stop it, or give this broker another directory: --set node.dataDir=PATH`,
        { cause: error, details: { holder } },
      );
    }
    throw unusable(path, error);
  }
}

function noteHolder(path: string): void {
  const file = join(path, HOLDER_FILE);
  try {
    // A process that was killed left its file, perhaps as another user.
    rmSync(file, { force: true });
    const since = new Date().toISOString();
    writeFileSync(file, `${process.pid} ${hostname()} ${since}\n`, { mode: 0o600, flag: 'wx' });
  } catch {
    // A full disk must not keep the broker from starting.
  }
}

/** Null if it is not known: the process in the file has ended, or the disk was full. */
function holderOf(path: string): string | null {
  try {
    const file = join(path, HOLDER_FILE);
    const stats = lstatSync(file);
    // Something else of that name could block whoever reads it.
    if (!stats.isFile() || stats.size > HOLDER_BYTES_MAX) return null;
    const text = readFileSync(file, 'utf8');
    const [, pid = '', host = '', since = ''] = HOLDER.exec(text) ?? [];
    if (pid === '' || (host === hostname() && !isAlive(Number(pid)))) return null;
    return `process ${pid} on ${host} since ${since}`;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

function unusable(path: string, cause: unknown): MajordomoError {
  return new MajordomoError(
    'ERR_DATA_DIR',
    `node.dataDir ${path} cannot be used: ${messageOf(cause)}`,
    { cause },
  );
}
