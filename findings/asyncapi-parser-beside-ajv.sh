#!/usr/bin/env bash
# @asyncapi/parser 3.6.6 in a project that depends on ajv 8.17.1.
#
# Expected: npm gives each of the two the version that it wants, and the parser loads.
#
# Seen: npm installs without a warning and finds the tree valid, and the import is a SyntaxError out of generated
# code: ajv-errors lands at the top, beside the ajv of the project, while the ajv that it extends is another copy.
# With ajv 8.20.0 there is one copy, and it loads.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
result=0
# With one version of ajv in the project: VERSION, and what the import is expected to say.
try() {
  local version=$1 expected=$2 tree said
  shift 2
  npm install --silent --no-audit --no-fund --ignore-scripts --prefer-offline "$@" "ajv@$version"
  npm ls >/dev/null 2>&1 && tree=valid || tree=invalid
  said=$(node -e "import('@asyncapi/parser').then(() => console.log('loads'), (error) => console.log(error.name + ': ' + error.message))" 2>/dev/null | tail -1)
  printf 'ajv %s in the project, npm ls: %s; import of @asyncapi/parser: %s\n' "$version" "$tree" "$said"
  [[ $tree == valid && $said == "$expected"* ]] || result=1
}
try 8.17.1 SyntaxError @asyncapi/parser@3.6.6
try 8.20.0 loads
[ "$result" = 0 ] && echo 'as described' || echo 'DIFFERENT from the description'
exit "$result"
