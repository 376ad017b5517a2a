#!/usr/bin/env bash
# zeromq.js 6.8.0: a receive() that waits when its socket is closed.
#
# Expected: an error of its own.
#
# Seen: EAGAIN with the text of a time-out, also without a time-out. The next receive() says EBADF, and `for await`
# just ends.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts zeromq@6.8.0
cat >try.js <<'JS'
import { setTimeout as sleep } from 'node:timers/promises';
import { Dealer } from 'zeromq';

const outcome = (promise) => promise.then((frames) => `frames ${frames.length}`, ({ code, message }) => `${code}: ${message}`);
const open = (options) => {
  const socket = new Dealer({ linger: 0, ...options });
  socket.connect('tcp://127.0.0.1:9');
  return socket;
};

const timed = open({ receiveTimeout: 100 });
const timeOut = await outcome(timed.receive());
timed.close();

const patient = open();
const waiting = outcome(patient.receive());
await sleep(100);
patient.close();
const closed = await waiting;
const later = await outcome((async () => patient.receive())());

const read = open();
const loop = (async () => { for await (const frames of read) void frames; return 'ends without an error'; })().catch(({ code }) => code);
await sleep(100);
read.close();
const ended = await loop;

console.log(`receiveTimeout passes:            ${timeOut}`);
console.log(`closed while receive() waits:     ${closed}`);
console.log(`receive() after the close:        ${later}`);
console.log(`closed while "for await" waits:   ${ended}`);
process.exitCode = closed === timeOut && /^EAGAIN/.test(closed) && /^EBADF/.test(later) && /^ends/.test(ended) ? 0 : 1;
JS
timeout 30 node try.js || { echo 'CHANGED: a close can be told from a time-out' >&2; exit 1; }
echo 'as described: a close looks like a time-out'
