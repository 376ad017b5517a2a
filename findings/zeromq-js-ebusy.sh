#!/usr/bin/env bash
# zeromq.js 6.8.0: a second send() or receive() while the first one waits.
#
# Expected: a promise that rejects with EBUSY, as its types say.
#
# Seen: the call throws: a .catch() behind it is never reached.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts zeromq@6.8.0
cat >try.js <<'JS'
import { Dealer } from 'zeromq';

/** How a call that is not awaited fails: at once, or by its promise. */
async function failure(call) {
  let promise;
  try {
    promise = call();
  } catch ({ code }) {
    return `throws ${code}`;
  }
  return promise.then(() => 'succeeds', ({ code }) => `rejects ${code}`);
}

const open = (options) => {
  const socket = new Dealer({ linger: 0, ...options });
  socket.connect('tcp://127.0.0.1:9');
  return socket;
};

const reader = open();
void reader.receive().catch(() => undefined);
const receive = await failure(() => reader.receive());

const writer = open({ sendHighWaterMark: 1 });
await writer.send('fills the pipe');
void writer.send('waits').catch(() => undefined);
const send = await failure(() => writer.send('a third'));

const timed = open({ receiveTimeout: 50 });
const timeOut = await failure(() => timed.receive());

console.log(`a second receive() while one waits: ${receive}`);
console.log(`a second send() while one waits:    ${send}`);
console.log(`a receive() that times out:         ${timeOut}`);
process.exit(receive === 'throws EBUSY' && send === 'throws EBUSY' && timeOut === 'rejects EAGAIN' ? 0 : 1);
JS
timeout 30 node try.js || { echo 'CHANGED: EBUSY comes as a rejection' >&2; exit 1; }
echo 'as described: EBUSY is thrown by the call itself'
