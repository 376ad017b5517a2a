/** Reads the first bytes of a store file without SQLite, which would change the files beside it. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

import { fileBytes, otherThanFile } from './files.js';
import { APPLICATION_ID, DEVELOPMENT_IDS } from './schema.js';

/** SQLite's file header: positions in it, and how much of the first page is read. */
const FIRST_BYTES = 512;
const MAGIC = 'SQLite format 3\0';
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;

/** The files that SQLite opens with a store. */
export const BESIDE = ['-wal', '-shm', '-journal'] as const;

/** What was found in place of a store. */
export type StoreCondition =
  /** Nothing, although its log may still be there. */
  | { readonly kind: 'missing'; readonly why: string }
  /** Nothing that shows what it was: no bytes, or zeros. */
  | { readonly kind: 'blank'; readonly why: string }
  /** Bytes of something else, or damaged ones. */
  | { readonly kind: 'foreign'; readonly why: string }
  /** A store of a version that was never released. */
  | { readonly kind: 'development'; readonly format: number }
  | { readonly kind: 'store'; readonly format: number };

/**
 * Must not be called while this process has the file open: closing any descriptor of it releases
 * all locks that SQLite holds on it, and the next process that closes it then deletes the log.
 */
export function conditionAt(path: string): StoreCondition {
  if (!existsSync(path)) {
    const log = hasLog(path) ? `, but its log ${path}-wal exists` : '';
    return { kind: 'missing', why: `it is missing${log}` };
  }
  for (const suffix of ['', ...BESIDE]) {
    const odd = otherThanFile(path + suffix);
    if (odd === null) continue;
    return { kind: 'foreign', why: `${suffix === '' ? 'it' : path + suffix} is ${odd}` };
  }
  const first = firstBytes(path);
  if (first.length === 0) return { kind: 'blank', why: 'it is empty' };
  if (first.every((byte) => byte === 0)) {
    return { kind: 'blank', why: 'its first page is damaged: it begins with zeros' };
  }
  if (first.length < FIRST_BYTES || first.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    return { kind: 'foreign', why: 'it is not an SQLite file, or its first page is damaged' };
  }
  const format = first.readUInt32BE(USER_VERSION_AT);
  const application = first.readUInt32BE(APPLICATION_ID_AT);
  if (application === APPLICATION_ID) return { kind: 'store', format };
  if (DEVELOPMENT_IDS.includes(application)) return { kind: 'development', format };
  return { kind: 'foreign', why: 'it is an SQLite file of another application' };
}

/** Whether there is a log with content: transactions that the file may not contain yet. */
export function hasLog(path: string): boolean {
  return fileBytes(`${path}-wal`) > 0;
}

function firstBytes(path: string): Buffer {
  const bytes = Buffer.alloc(FIRST_BYTES);
  const file = openSync(path, 'r');
  try {
    return bytes.subarray(0, readSync(file, bytes, 0, FIRST_BYTES, 0));
  } finally {
    closeSync(file);
  }
}
