/** What a store file is: its marks, and its schema as numbered SQL files. */
import { readdirSync, readFileSync } from 'node:fs';

/** SQLite's `application_id`: "MJDT". */
export const APPLICATION_ID = 0x4d4a4454;

/** `requests.state`, in the order of the ladder where it matters: what is above 1 is settled. */
export const PENDING = 1;
export const REPLIED = 2;
export const DEAD = 3;

/** One step of the schema: `NNNN-what.sql`. */
export interface Migration {
  readonly version: number;
  readonly sql: string;
}

const MIGRATIONS_DIR = new URL('./migrations/', import.meta.url);

/** Every step in order; that of version n leads from n - 1 to n. `user_version` has the last one. */
export function readMigrations(): readonly Migration[] {
  return readdirSync(MIGRATIONS_DIR)
    .filter((name) => /^\d{4}-.*\.sql$/.test(name))
    .sort()
    .map((name) => ({
      version: Number(name.slice(0, 4)),
      sql: readFileSync(new URL(name, MIGRATIONS_DIR), 'utf8'),
    }));
}
