/** Copies a store, even while the broker uses it. */
import { chmodSync } from 'node:fs';

import type Database from 'better-sqlite3';

import { MajordomoError } from '../../../core/errors.js';
import { oneLine } from '../../../core/escape.js';
import { connect } from './connection.js';
import { beginCopy, makeCopy } from './copies.js';
import { openForReading } from './database.js';
import { PRIVATE_MODE } from './files.js';
import { copyError, openError } from './sqlite-errors.js';

/** Pages copied before the event loop gets its turn: about 4 MB. */
const STEP_PAGES = 1024;

/**
 * Copies the store at `path`, as of one moment, into a file `target` that must not exist (mode
 * 0600). The copy is complete and on disk when the promise resolves. A copy that failed leaves
 * nothing behind.
 * @param onProgress pages copied, of how many
 * @throws ERR_TITANIC_TARGET if `target` exists, ERR_TITANIC_DISK if the store is damaged, otherwise
 * the errors of opening a store, also if the copy cannot be written
 */
export async function backupStore(
  path: string,
  target: string,
  onProgress: (done: number, all: number) => void,
): Promise<void> {
  try {
    await makeCopy(
      target,
      (making) => copy(path, making, onProgress),
      (making) => mustBeWhole(path, making),
    );
  } catch (error) {
    throw copyError(path, target, error);
  }
}

function opened(path: string): Database.Database {
  try {
    return openForReading(path);
  } catch (error) {
    throw openError(path, error);
  }
}

async function copy(
  path: string,
  making: string,
  onProgress: (done: number, all: number) => void,
): Promise<void> {
  const db = opened(path);
  try {
    beginCopy(making);
    // One snapshot for all steps. Otherwise each commit of the broker would restart the copy.
    db.exec('BEGIN');
    db.prepare('SELECT next_number FROM ledger').get();
    await db.backup(making, {
      progress: ({ totalPages, remainingPages }) => {
        onProgress(totalPages - remainingPages, totalPages);
        return STEP_PAGES;
      },
    });
    chmodSync(making, PRIVATE_MODE);
  } finally {
    db.close();
  }
}

/** Pages are copied as they are: a damaged one would only be found when it is needed. */
function mustBeWhole(path: string, making: string): void {
  const problem = firstProblem(making);
  if (problem === 'ok') return;
  const text = `store ${path} is damaged: ${oneLine(problem)}; no backup was made: look with \`majordomo verify ${path}\`, and keep the earlier backups`;
  throw new MajordomoError('ERR_TITANIC_DISK', text);
}

/** The first problem of all pages, or 'ok'; indexes are not compared with rows, which takes longer. */
function firstProblem(making: string): string {
  const copied = connect(making, { readonly: true, fileMustExist: true });
  try {
    return String(copied.pragma('quick_check(1)', { simple: true }));
  } finally {
    copied.close();
  }
}
