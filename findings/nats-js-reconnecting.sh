#!/usr/bin/env bash
# nats.js 3.4.0: what is published while it reconnects.
#
# Expected: it waits in a buffer and is sent then, or publish() throws.
#
# Seen: publish() returns, statistics count the message, a later flush() resolves, and the message is gone.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download nats-server=2.9.10-1+b3
dpkg -x nats-server_*.deb root
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @nats-io/transport-node@3.4.0
cat >try.js <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';

const free = createServer().listen(0, '127.0.0.1');
await once(free, 'listening');
const { port } = free.address();
free.close();
const servers = `127.0.0.1:${port}`;
let server;
const start = () => { server = spawn('root/usr/sbin/nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' }); };
process.on('exit', () => server.kill('SIGKILL'));
const reach = async () => {
  for (let tries = 0; ; tries++) {
    try { return await connect({ servers }); } catch (error) { if (tries === 40) throw error; await sleep(100); }
  }
};
start();
const publisher = await reach();
let state = 'connected';
void (async () => { for await (const { type } of publisher.status()) if (/^(disconnect|reconnect)$/.test(type)) state = type; })();
const during = []; const after = [];
let n = 0;
const publish = () => { const name = `m${++n}`; publisher.publish('news', name); (state === 'disconnect' ? during : after).push(name); };
await publisher.flush();

server.kill('SIGKILL');
while (state !== 'disconnect') await sleep(10);
publish(); publish();
start();
const subscriber = await reach();
const got = new Set();
subscriber.subscribe('news', { callback: (_error, message) => got.add(message.string()) });
await subscriber.flush();
const upAt = Date.now();
let sinceUp = 0;
while (state !== 'reconnect') { publish(); sinceUp = Date.now() - upAt; await sleep(100); }
for (let i = 0; i < 3; i++) publish();
await publisher.flush();
await subscriber.flush();
await sleep(300);
const lost = during.filter((name) => !got.has(name));
console.log(`published while disconnected: ${during.length}, the last ${sinceUp} ms after the server was up again; of these arrived: ${during.length - lost.length}`);
console.log(`published after the reconnection: ${after.length}; of these arrived: ${after.filter((name) => got.has(name)).length}`);
console.log(`stats().outMsgs: ${publisher.stats().outMsgs} of ${n}`);
const asSeen = during.length >= 3 && lost.length >= during.length - 1 && after.every((name) => got.has(name)) && publisher.stats().outMsgs === n;
console.log(asSeen ? 'as described' : 'DIFFERENT from the description');
process.exit(asSeen ? 0 : 1);
JS
timeout 40 node try.js
