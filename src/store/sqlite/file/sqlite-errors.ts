/** What an error of the store means, and what the operator can do about it. */
import { rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';

import { codeOf, MajordomoError, messageOf } from '../../../core/errors.js';
import type { StoreFailure } from '../../store.js';

const REMEDIES: Readonly<Record<StoreFailure['kind'], string>> = {
  full: 'free space on its file system, or raise its quota; the broker then accepts requests again',
  busy: 'another program holds a lock on it; end that program',
  fatal:
    'restart the broker once the disk is in order; if `majordomo verify` finds damage, restore a backup',
};

/** Distinguished by SQLite's extended result code, and by that of the operating system. */
function kindOf(error: unknown): StoreFailure['kind'] {
  const code = codeOf(error) ?? '';
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || isOverQuota(error)) return 'full';
  // The disk is full: the file shared between connections could not be enlarged.
  if (code === 'SQLITE_IOERR_SHMSIZE') return 'full';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'busy';
  return 'fatal';
}

/** In Node, its code does not say so: see findings/node-edquot.sh. */
function isOverQuota(error: unknown): boolean {
  const { EDQUOT } = constants.errno;
  return typeof error === 'object' && error !== null && 'errno' in error && error.errno === -EDQUOT;
}

/** SQLite says so of a used-up quota, and if no file can be made, but also of other errors. */
const PERHAPS_FULL = /^SQLITE_(IOERR_WRITE|CANTOPEN)/;
const PROBE_BYTES = 65_536;

/** Whether the file system has no room for more: for bytes, or for the two files that SQLite makes for a store. */
function hasNoRoom(path: string): boolean {
  const probes = [`${path}.probe-1`, `${path}.probe-2`];
  try {
    for (const probe of probes) writeFileSync(probe, Buffer.alloc(PROBE_BYTES));
    return false;
  } catch (error) {
    return kindOf(error) === 'full';
  } finally {
    for (const probe of probes) rmSync(probe, { force: true });
  }
}

/** What an error means that occurred while a store was in use. Names the file and the remedy. */
export function failureOf(path: string, error: unknown): StoreFailure {
  const code = codeOf(error) ?? '';
  const kind = PERHAPS_FULL.test(code) && hasNoRoom(path) ? 'full' : kindOf(error);
  return failureOfKind(path, error, kind);
}

function failureOfKind(path: string, error: unknown, kind: StoreFailure['kind']): StoreFailure {
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
  const failure = failureOfKind(path, error, kindOf(error));
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
  const kind = kindOf(error);
  const message = `backup of ${path} to ${target}: ${describe(error)}; ${COPY_REMEDIES[kind]}`;
  return new MajordomoError(OPEN_CODES[kind], message, { cause: error });
}

function describe(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return code === undefined || message.includes(code) ? message : `${message} (${code})`;
}
