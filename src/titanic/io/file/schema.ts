/** The format of a store file: its marks, and its schema as numbered SQL files. */
import { readdirSync, readFileSync } from 'node:fs';

import type Database from 'better-sqlite3';

import { isPackedFailure } from '../../store/failure-codec.js';
import { FAILURE, takeKept } from '../../store/fields.js';

/** SQLite's `application_id`: "MJDT". */
export const APPLICATION_ID = 0x4d4a4454;

/** `requests.state`, in the order of the ladder where it matters: above 1 it is settled. */
export const PENDING = 1;
export const REPLIED = 2;
export const DEAD = 3;

/** One step of the schema: `NNNN-what.sql`. */
export interface Migration {
  readonly version: number;
  readonly sql: string;
}

const MIGRATIONS_DIR = new URL('./migrations/', import.meta.url);

/**
 * All steps in order; that of version n leads from n - 1 to n. `user_version` is the last one done.
 */
export function readMigrations(): readonly Migration[] {
  return readdirSync(MIGRATIONS_DIR)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort()
    .map((name) => ({
      version: Number(name.slice(0, 4)),
      sql: readFileSync(new URL(name, MIGRATIONS_DIR), 'utf8'),
    }));
}

/** Functions that steps call for what SQL alone cannot do. */
export function addStepFunctions(db: Database.Database): void {
  db.function('failure_in', { deterministic: true }, (extra: Buffer) => {
    const { bytes } = takeKept(extra, FAILURE);
    return bytes !== null && isPackedFailure(bytes) ? bytes : null;
  });
  db.function('without_failure', { deterministic: true }, (extra: Buffer) => {
    return takeKept(extra, FAILURE).rest;
  });
}
