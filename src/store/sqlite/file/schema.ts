/** The format of a store file: its marks, and its tables as numbered SQL files. */
import { readdirSync, readFileSync } from 'node:fs';
import { ownFile } from '../../../core/own-file.js';

/**
 * SQLite's `application_id`: "MJDO". Below it, `user_version` is the number of the format, from 1 on.
 */
export const APPLICATION_ID = 0x4d4a444f;

/**
 * "MJDT" and "MJDB": the marks of development versions, from before 0.1.0, which counted their formats from 1, and were
 * never released. So it is the mark, not the number, that tells such a store from one of a later format, which a newer
 * program can read.
 */
export const DEVELOPMENT_IDS: readonly number[] = [0x4d4a4454, 0x4d4a4442];

/** Length of the half of a store's id that all copies of it share. */
export const SHARED_ID_BYTES = 8;

/** `requests.state`, in the order of the ladder where it matters: above 1 it is settled. */
export const PENDING = 1;
export const REPLIED = 2;
export const DEAD = 3;

/** A step of the format: `NNNN-what.sql`. The first one makes the tables. */
export interface Migration {
  readonly format: number;
  readonly sql: string;
}

/** SQLite keeps the text of what it makes; without comments, all of it fits on the file's first page. */
const COMMENT = /(?<! ) *--.*/g;

const MIGRATIONS_DIR = ownFile('store/sqlite/file/migrations/');

/** All steps in order; that of format n leads from n - 1 to n. */
export function readMigrations(): readonly Migration[] {
  return readdirSync(MIGRATIONS_DIR)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort()
    .map((name) => ({
      format: Number(name.slice(0, 4)),
      sql: readFileSync(new URL(name, MIGRATIONS_DIR), 'utf8').replaceAll(COMMENT, ''),
    }));
}
