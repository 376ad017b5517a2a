/**
 * The program of a later version: this one, changed where a later version may differ. Its tables and
 * store files have columns, tables and indexes that this version does not know, and so have its records,
 * and its messages to the other node of a pair and to a fleet, fields and entries.
 */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { assert } from '../../src/core/assert.js';
import { readMigrations } from '../../src/store/sqlite/file/schema.js';
import { FORMAT } from '../../src/extensions/postgres/schema.js';
import { FLEET_VERSION } from '../../src/extensions/fleet/machine/protocol.js';
import { PEER_VERSION } from '../../src/wire/pair.js';
import { temporaryDirectory } from './daemon.js';

const PROGRAM = fileURLToPath(new URL('../../src', import.meta.url));
const TABLES = ['meta', 'broker', 'request', 'body', 'attempt', 'key', 'origin'];

/** What a later program says of each request beside what this one knows. */
export const LATER_FIELD = 'said by a later program';

/** The format of its store files. */
export function laterFormat(versions: number): number {
  return readMigrations().length + versions;
}

/** One migration, which only adds. */
function migration(format: number): readonly string[] {
  const name = `of_format_${format}`;
  const columns = TABLES.map(
    (table) => `ALTER TABLE majordomo.${table} ADD COLUMN ${name} bigint NOT NULL DEFAULT 0`,
  );
  const index = `CREATE INDEX ${name}_index ON majordomo.request (${name})`;
  return [...columns, `CREATE TABLE majordomo.${name} (id uuid PRIMARY KEY)`, index];
}

/** The same of a store file. */
export function fileMigration(format: number): string {
  const name = `of_format_${format}`;
  return `ALTER TABLE requests ADD COLUMN ${name} INTEGER NOT NULL DEFAULT 7;
    CREATE INDEX ${name}_index ON requests (${name});
    CREATE TABLE ${name} AS SELECT uuid, ${name} FROM requests;`;
}

type Change = (file: string, from: string, to: string) => void;

/** This program, changed. @returns its main.js. Removed by `removeDaemons`. */
export function changedProgram(apply: (change: Change, directory: string) => void): string {
  const directory = temporaryDirectory();
  cpSync(PROGRAM, join(directory, 'src'), { recursive: true });
  cpSync(resolve('package.json'), join(directory, 'package.json'));
  symlinkSync(resolve('node_modules'), join(directory, 'node_modules'));
  const change: Change = (file, from, to) => {
    const path = join(directory, 'src', file);
    const text = readFileSync(path, 'utf8');
    assert(text.includes(from), `${file} has: ${from}`);
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
  };
  apply(change, directory);
  return join(directory, 'src', 'main.js');
}

export function laterProgram(versions: number): string {
  return changedProgram((change, directory) => changeToLater(change, directory, versions));
}

function changeToLater(change: Change, directory: string, versions: number): void {
  changeStores(change, versions);
  for (let format = laterFormat(1); format <= laterFormat(versions); format++) {
    const name = `${String(format).padStart(4, '0')}-later.sql`;
    const path = join(directory, 'src/store/sqlite/file/migrations', name);
    writeFileSync(path, fileMigration(format));
  }
  changePair(change, versions);
  changeFleet(change, versions);
}

function changeStores(change: Change, versions: number): void {
  const migrations = Array.from({ length: versions }, (_, n) => migration(FORMAT + 1 + n));
  change(
    'extensions/postgres/schema.js',
    'export const FORMAT',
    `MIGRATIONS.push(...${JSON.stringify(migrations)});\nexport const FORMAT`,
  );
  // A field of each request.
  change(
    'store/fields.js',
    'return to === null ? null : to.takeBuffer();',
    `to ??= new PackWriter(EXTRA_BYTES);
    new FieldWriter(to).bytes(Buffer.from(${JSON.stringify(LATER_FIELD)}), 100);
    return to.takeBuffer();`,
  );
}

const LAST_OF_STATUS = 'listenerKeys: optional(run(DIGEST_BYTES * FAILOVER_SECTIONS.length)),';

function changePair(change: Change, versions: number): void {
  change(
    'wire/pair.js',
    `PEER_VERSION = ${PEER_VERSION}`,
    `PEER_VERSION = ${PEER_VERSION + versions}`,
  );
  // A field at the end of STATUS.
  change(
    'wire/pair.js',
    LAST_OF_STATUS,
    `${LAST_OF_STATUS}
        later: { put: (to) => to.text('later'), take: (from) => from.text(), isOptional: true },`,
  );
}

function changeFleet(change: Change, versions: number): void {
  change(
    'extensions/fleet/machine/protocol.js',
    `FLEET_VERSION = ${FLEET_VERSION}`,
    `FLEET_VERSION = ${FLEET_VERSION + versions}`,
  );
  const codec = 'extensions/fleet/machine/codec.js';
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
  // A field at the end of PRESENCE.
  const presence = 'takesOnce: LATER_FLAG,';
  const later = "later: { put: (to) => to.text('later'), take: () => null },";
  change('extensions/fleet/machine/protocol.js', presence, `${presence} ${later}`);
}
