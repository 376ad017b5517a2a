/** The first bytes of a store file, read without SQLite, which would change the files beside it. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

import { codeOf } from '../../core/errors.js';
import { fileBytes } from './files.js';
import { APPLICATION_ID } from './schema.js';

/** SQLite's file header: where it is in it, and how much of the first page is looked at. */
const FIRST_BYTES = 512;
const MAGIC = 'SQLite format 3\0';
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;

/** What stands where a store should be. */
export type Standing =
  /** Nothing; its log may be left all the same. */
  | { readonly kind: 'missing'; readonly why: string }
  /** Nothing that says whose it was: no bytes, or zeros. */
  | { readonly kind: 'blank'; readonly why: string }
  /** Bytes of something else, or damaged ones. */
  | { readonly kind: 'foreign'; readonly why: string }
  | { readonly kind: 'store'; readonly version: number };

/**
 * Never while this process has the file open: to close any descriptor of it gives up all locks that
 * SQLite has on it, and then the next process that closes it takes the log away.
 */
export function standingAt(path: string): Standing {
  if (!existsSync(path)) {
    const log = hasLog(path) ? `, but its log ${path}-wal exists` : '';
    return { kind: 'missing', why: `it is missing${log}` };
  }
  const first = firstBytes(path);
  if (first === null) return { kind: 'foreign', why: 'it is a directory' };
  if (first.length === 0) return { kind: 'blank', why: 'it is empty' };
  if (first.every((byte) => byte === 0)) {
    return { kind: 'blank', why: 'its first page is damaged: it begins with zeros' };
  }
  if (first.length < FIRST_BYTES || first.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    return { kind: 'foreign', why: 'it is not an SQLite file, or its first page is damaged' };
  }
  if (first.readUInt32BE(APPLICATION_ID_AT) !== APPLICATION_ID) {
    return { kind: 'foreign', why: 'it is an SQLite file of another application' };
  }
  return { kind: 'store', version: first.readUInt32BE(USER_VERSION_AT) };
}

/** Whether a log is there that holds something: transactions that the file may not have yet. */
export function hasLog(path: string): boolean {
  return fileBytes(`${path}-wal`) > 0;
}

/** Null for a directory. */
function firstBytes(path: string): Buffer | null {
  const bytes = Buffer.alloc(FIRST_BYTES);
  const file = openSync(path, 'r');
  try {
    return bytes.subarray(0, readSync(file, bytes, 0, FIRST_BYTES, 0));
  } catch (error) {
    if (codeOf(error) === 'EISDIR') return null;
    throw error;
  } finally {
    closeSync(file);
  }
}
