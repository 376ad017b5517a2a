#!/usr/bin/env bash
# dclint 3.1.0 --fix: a Compose file with "mode: 0440".
#
# Expected: it changes what a rule complains of, and no value.
#
# Seen: the number is written anew without its zero: 440 is read in decimal, and the mode of the secret is another
# one. Other numbers with a leading zero, and very long ones, change, too.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts dclint@3.1.0
keys() { printf '    volumes:\n      - type: tmpfs\n        target: /cache\n        tmpfs:\n          mode: 01777\n    secrets:\n      - source: key\n        mode: 0440\n    environment:\n      ACCOUNT: 12345678901234567890\n      BRANCH: 00123\n'; }
# In the order that the rules want, and with one key too early.
{ printf 'name: shop\nservices:\n  web:\n    image: nginx:1.27\n'; keys; printf 'secrets:\n  key:\n    file: ./key.txt\n'; } >tidy.yaml
{ printf 'name: shop\nservices:\n  web:\n    restart: always\n    image: nginx:1.27\n'; keys; printf 'secrets:\n  key:\n    file: ./key.txt\n'; } >untidy.yaml
cp tidy.yaml tidy.fixed.yaml; cp untidy.yaml untidy.fixed.yaml
lint() { timeout 20 node node_modules/.bin/dclint "$@" 2>&1 || true; }
lint untidy.yaml >complaints
[ -z "$(lint tidy.yaml)" ] || { echo 'CHANGED: it complains of the tidy file' >&2; exit 1; }
grep -Ec '^ *[0-9]+:[0-9]+ ' complaints | sed 's/^/complaints of the untidy file: /'
! grep -qwE "mode|BRANCH|ACCOUNT" complaints || { echo 'CHANGED: it complains of the modes' >&2; exit 1; }
lint --fix tidy.fixed.yaml >/dev/null
lint --fix untidy.fixed.yaml >/dev/null
numbers() { grep -oE '(mode|BRANCH|ACCOUNT): .*' "$1" | sort | tr '\n' ';'; }
printf 'before:              %s\nafter, tidy file:    %s\nafter, untidy file:  %s\n' "$(numbers untidy.yaml)" "$(numbers tidy.fixed.yaml)" "$(numbers untidy.fixed.yaml)"
for file in tidy untidy; do
  [ "$(numbers "$file.fixed.yaml")" = 'ACCOUNT: 12345678901234567000;BRANCH: 123;mode: 1777;mode: 440;' ] || { echo 'CHANGED: other numbers after --fix' >&2; exit 1; }
done
echo 'as described: the octal zero is gone'
