#!/usr/bin/env bash
# php-msgpack 2.2.0rc2 (Debian 12): an object for other languages, and a time from them.
#
# Expected: a map of its properties, as json_encode has it; a time is an object or a number.
#
# Seen: the map begins with the key nil, whose value is the class, and other libraries refuse the message. A time
# (extension type -1) is read as null, without a warning.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download php8.2-msgpack=1:2.2.0~rc2-3 python3-msgpack=1.0.3-2+b1
for package in *.deb; do dpkg -x "$package" root; done
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @msgpack/msgpack@3.1.3
cat >try.php <<'PHP'
<?php
class Order { public $id = 7; private $note = 'x'; }
file_put_contents('order', msgpack_pack(new Order()));
file_put_contents('standard', msgpack_pack(json_decode('{"id":7}')));
file_put_contents('array', msgpack_pack(['id' => 7]));
$time = msgpack_unpack(hex2bin('92d6ff6ab13b8007'));
printf("php_only %s; a time, and 7: %s\n", ini_get('msgpack.php_only'), json_encode($time));
exit($time === [null, 7] && error_get_last() === null ? 0 : 1);
PHP
cat >try.py <<'P'
import sys

import msgpack

for name in ("array", "standard", "order"):
    data = open(name, "rb").read()
    try:
        got = msgpack.unpackb(data)
    except ValueError as error:
        got = f"refused: {error}"
    print(f"Python, {name}: {data.hex()} {got}")
P
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { decode } from '@msgpack/msgpack';

for (const name of ['array', 'standard', 'order']) {
  let got;
  try {
    got = JSON.stringify(decode(readFileSync(name)));
  } catch (error) {
    got = `refused: ${error.message}`;
  }
  console.log(`JavaScript, ${name}: ${got}`);
}
JS
php8.2 -n -d extension_dir="$(dirname "$dir/$(find root -name msgpack.so | head -1)")" -d extension=msgpack.so try.php || { echo 'CHANGED: a time is not null' >&2; exit 1; }
{ PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" /usr/bin/python3 try.py; node try.js; } | tee out
[ "$(grep -c refused out)" = 4 ] && ! grep array out | grep -q refused || { echo 'CHANGED: others can read an object of PHP' >&2; exit 1; }
echo 'as described: objects of PHP are refused by others, and a time is null in PHP'
