/**
 * The program of a later version: this one, changed where a later version may differ. Its tables have
 * columns, tables and indexes that this version does not know, and so have its packs entries and fields.
 */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { assert } from '../../src/core/assert.js';
import { VERSION } from '../../src/titanic/io/postgres/schema.js';
import { FLEET_VERSION } from '../../src/wire/fleet.js';
import { temporaryDirectory } from './daemon.js';

const PROGRAM = fileURLToPath(new URL('../../src', import.meta.url));
const TABLES = ['meta', 'broker', 'request', 'body', 'attempt', 'key', 'origin'];

/** One migration, which only adds. */
function migration(version: number): readonly string[] {
  const name = `of_version_${version}`;
  const columns = TABLES.map(
    (table) => `ALTER TABLE majordomo.${table} ADD COLUMN ${name} bigint NOT NULL DEFAULT 0`,
  );
  const index = `CREATE INDEX ${name}_index ON majordomo.request (${name})`;
  return [...columns, `CREATE TABLE majordomo.${name} (id uuid PRIMARY KEY)`, index];
}

/** @returns its main.js. Removed by `removeDaemons`. */
export function laterProgram(versions: number): string {
  const directory = temporaryDirectory();
  cpSync(PROGRAM, join(directory, 'src'), { recursive: true });
  cpSync(resolve('package.json'), join(directory, 'package.json'));
  symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
  const change = (file: string, from: string, to: string): void => {
    const path = join(directory, 'src', file);
    const text = readFileSync(path, 'utf8');
    assert(text.includes(from), `${file} has: ${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  };
  const migrations = Array.from({ length: versions }, (_, n) => migration(VERSION + 1 + n));
  change(
    'titanic/io/postgres/schema.js',
    'export const VERSION',
    `MIGRATIONS.push(...${JSON.stringify(migrations)});\nexport const VERSION`,
  );
  change(
    'wire/fleet.js',
    `FLEET_VERSION = ${FLEET_VERSION}`,
    `FLEET_VERSION = ${FLEET_VERSION + versions}`,
  );
  const codec = 'wire/fleet-codec.js';
  // An entry of kind 200 at the beginning of each pack.
  change(codec, 'function encodePack(head, entries, bytes) {', 'function encodePack(...args) {');
  change(
    codec,
    'const made = Buffer.allocUnsafe(FLEET_HEAD_BYTES + bytes);',
    `const head = args[0];
    const entries = [Buffer.of(200, 0, 0, 0, 3, 1, 2, 3), ...args[1]];
    const bytes = args[2] + 8;
    const made = Buffer.allocUnsafe(FLEET_HEAD_BYTES + bytes);`,
  );
  // Fields at the end of PRESENCE.
  change(codec, "entry('presence', 3 +", "entry('presence', 20 +");
  return join(directory, 'src', 'main.js');
}
