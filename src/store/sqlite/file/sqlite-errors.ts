/** What an error of the store means, and what the operator can do about it. */
import { codeOf, MajordomoError, messageOf } from '../../../core/errors.js';
import type { StoreFailure } from '../../store.js';

const REMEDIES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'free space on its file system; the broker then accepts requests again',
  busy: 'another program holds a lock on it; end that program',
  fatal:
    'restart the broker once the disk is in order; if `majordomo verify` finds damage, restore a backup',
};

/** Distinguished by SQLite's extended result code, and by that of the operating system. */
function kindOf(code: string): StoreFailure['kind'] {
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT') return 'full';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'busy';
  // The disk is full: the file shared between connections could not be enlarged.
  if (code === 'SQLITE_IOERR_SHMSIZE') return 'full';
  return 'fatal';
}

/** What an error means that occurred while a store was in use. Names the file and the remedy. */
export function failureOf(path: string, error: unknown): StoreFailure {
  const kind = kindOf(codeOf(error) ?? '');
  return { kind, message: `store ${path}: ${describe(error)}; ${REMEDIES[kind]}` };
}

const OPEN_CODES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'ERR_TITANIC_FULL',
  busy: 'ERR_TITANIC_BUSY',
  fatal: 'ERR_TITANIC_DISK',
};

/**
 * What an error means that occurred while a store was being opened.
 * @returns an error with code ERR_TITANIC_FULL, ERR_TITANIC_BUSY or ERR_TITANIC_DISK; one that was
 * thrown on purpose is returned unchanged
 */
export function openError(path: string, error: unknown): MajordomoError {
  const code = codeOf(error) ?? '';
  if (code.startsWith('ERR_TITANIC_')) {
    return new MajordomoError(code, messageOf(error), { cause: error });
  }
  const failure = failureOf(path, error);
  return new MajordomoError(OPEN_CODES[failure.kind], failure.message, { cause: error });
}

const COPY_REMEDIES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'free space there',
  busy: 'another program holds a lock on the store; end that program',
  fatal: 'the store was not changed, and the incomplete copy was removed',
};

/**
 * What an error means that occurred while the store at `path` was copied to `target`, and which of
 * the two it concerns.
 */
export function copyError(path: string, target: string, error: unknown): MajordomoError {
  const code = codeOf(error) ?? '';
  if (/^(SQLITE_(CORRUPT|NOTADB)|ERR_TITANIC_)/.test(code)) return openError(path, error);
  const kind = kindOf(code);
  const message = `backup of ${path} to ${target}: ${describe(error)}; ${COPY_REMEDIES[kind]}`;
  return new MajordomoError(OPEN_CODES[kind], message, { cause: error });
}

function describe(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}
