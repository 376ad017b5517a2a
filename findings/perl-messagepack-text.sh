#!/usr/bin/env bash
# Data::MessagePack 1.02 (Perl, Debian 12): { name => "ann" } for other languages.
#
# Expected: keys and texts are `str`, the type for text.
#
# Seen: both are `bin`. Libraries for JavaScript refuse a map with such keys; Python gets {b"name": b"ann"}. With the
# option utf8 both are `str`, and bytes too.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download libdata-messagepack-perl=1.02-1+b1 python3-msgpack=1.0.3-2+b1
for package in *.deb; do dpkg -x "$package" root; done
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @msgpack/msgpack@3.1.3 msgpackr@2.1.4
PERL5LIB=$(find "$dir/root" -path '*/perl5*' -name Data -type d -printf '%h\n' | paste -sd:)
export PERL5LIB
cat >try.pl <<'P'
use strict; use warnings; use utf8;
use Data::MessagePack;
for ([plain => { name => 'ann' }], [flagged => ["\x{263a}"]], [number => do { my $n = 12; my $text = "$n"; [$n] }]) {
  my ($name, $value) = @$_;
  open my $file, '>:raw', $name or die; print $file Data::MessagePack->pack($value); close $file;
}
open my $file, '>:raw', 'utf8' or die; print $file Data::MessagePack->new->utf8->pack({ name => 'ann' }); close $file;
print "Data::MessagePack $Data::MessagePack::VERSION\n";
P
perl try.pl
cat >try.py <<'P'
import msgpack

for name in ("plain", "flagged", "number", "utf8"):
    data = open(name, "rb").read()
    print(f"Python {name}: {data.hex()} {msgpack.unpackb(data)}")
P
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { decode } from '@msgpack/msgpack';
import { unpack } from 'msgpackr';

for (const [library, read] of Object.entries({ '@msgpack/msgpack': decode, msgpackr: unpack })) {
  for (const name of ['plain', 'utf8']) {
    let got;
    try {
      got = JSON.stringify(read(readFileSync(name)));
    } catch (error) {
      got = `refused: ${error.message.slice(0, 60)}`;
    }
    console.log(`${library} ${name}: ${got}`);
  }
}
JS
{ PYTHONPATH="$dir/root/usr/lib/python3/dist-packages" /usr/bin/python3 try.py; node try.js; } | tee out
grep -q "Python plain: 81c4046e616d65c403616e6e {b'name': b'ann'}" out && grep -q "Python flagged: 91c403e298ba" out && grep -q "Python utf8: .* {'name': 'ann'}" out &&
  [ "$(grep -c 'plain: refused' out)" = 2 ] || { echo 'CHANGED: keys and text are str' >&2; exit 1; }
echo 'as described: all strings are bytes'
