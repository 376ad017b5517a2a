#!/usr/bin/env bash
# @msgpack/msgpack 3.1.3 (npm): encode() of a Map or a Set.
#
# Expected: their content, as msgpackr packs it, or an error, as for a function.
#
# Seen: both are an empty map. No error.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @msgpack/msgpack@3.1.3 msgpackr@2.1.4
cat >try.js <<'JS'
import { encode } from '@msgpack/msgpack';
import { pack } from 'msgpackr';

const values = { Map: new Map([['a', 1]]), 'Map of numbers': new Map([[1, 'a']]), Set: new Set([1]), 'Map within': { m: new Map([['a', 1]]) }, function: () => 1, symbol: Symbol('a'), bigint: 1n };
const hex = (write, value) => {
  try {
    return Buffer.from(write(value)).toString('hex');
  } catch (error) {
    return `throws ${error.message.slice(0, 40)}`;
  }
};
let same = true;
for (const [name, value] of Object.entries(values)) {
  const got = hex(encode, value);
  console.log(`${name.padEnd(15)} @msgpack/msgpack ${got.padEnd(50)}${/^(Map|Set)/.test(name) ? ` msgpackr ${hex(pack, value)}` : ''}`);
  same &&= { Map: '80', 'Map of numbers': '80', Set: '80', 'Map within': '81a16d80' }[name] === got || got.startsWith('throws');
}
process.exit(same ? 0 : 1);
JS
node try.js || { echo 'CHANGED: a Map or a Set keeps its content, or is refused' >&2; exit 1; }
echo 'as described: their content is lost without an error'
