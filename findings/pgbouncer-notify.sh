#!/usr/bin/env bash
# PgBouncer 1.18 (Debian 12), transaction mode: LISTEN and NOTIFY.
#
# Expected: LISTEN does not work there, as its documentation says: an error, or silence.
#
# Seen: LISTEN succeeds, for the connection to the server. Later notifications reach the client that has that
# connection then, which never listened.
set -euo pipefail
dir=$(mktemp -d)
server=''
clean() { [ -z "$server" ] || { kill -INT "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }; rm -rf "$dir"; }
trap clean EXIT
cd "$dir"
apt-get -qq -o APT::Sandbox::User=root download pgbouncer=1.18.0-1+deb12u1 postgresql-15=15.20-0+deb12u1 libpq5=15.20-0+deb12u1 libevent-2.1-7 libc-ares2
for package in *.deb; do dpkg -x "$package" root; done
libraries="$dir/root/usr/lib/x86_64-linux-gnu"
bin="$dir/root/usr/lib/postgresql/15/bin"
! LD_LIBRARY_PATH=$libraries ldd "$bin/postgres" | grep 'not found'
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts pg@8.23.1
# Neither of the two runs as root.
user=(); if [ "$(id -u)" = 0 ]; then user=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown 65534:65534 "$dir"; fi
LD_LIBRARY_PATH=$libraries "${user[@]}" "$bin/initdb" -D data -U someone -A trust -N -E UTF8 --locale=C >initdb.log 2>&1
read -r port pooler_port < <(node -e "
const { createServer } = require('node:net');
const [a, b] = [createServer().listen(0, '127.0.0.1'), createServer().listen(0, '127.0.0.1', () => { console.log(a.address().port, b.address().port); a.close(); b.close(); })];
")
LD_LIBRARY_PATH=$libraries "${user[@]}" "$bin/postgres" -D data -p "$port" -h 127.0.0.1 -k '' -F >postgres.log 2>&1 &
server=$!
printf '"someone" ""\n' >users.txt
cat >pooler.ini <<INI
[databases]
postgres = host=127.0.0.1 port=$port pool_size=1
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooler_port
unix_socket_dir =
auth_type = trust
auth_file = users.txt
pool_mode = transaction
INI
cat >try.js <<'JS'
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
const [port, poolerPort, ...user] = process.argv.slice(2);
const [command, ...rest] = [...user, 'root/usr/sbin/pgbouncer', '-q', 'pooler.ini'];
const pooler = spawn(command, rest, { stdio: 'ignore', env: { ...process.env, LD_LIBRARY_PATH: 'root/usr/lib/x86_64-linux-gnu' } });
process.on('exit', () => pooler.kill('SIGKILL'));
const got = [];
async function clientOf(name, at) {
  for (let tries = 0; ; tries++) {
    const client = new pg.Client({ host: '127.0.0.1', port: Number(at), user: 'someone', database: 'postgres' });
    client.on('error', () => undefined);
    client.on('notification', ({ payload }) => got.push(`${name} got '${payload}'`));
    try { await client.connect(); return client; } catch (error) { if (tries === 60) throw error; await sleep(150); }
  }
}
const outside = await clientOf('the sender outside', port);
const listener = await clientOf('the listener', poolerPort);
const other = await clientOf('the other client', poolerPort);
const { command: said } = await listener.query('LISTEN news');
console.log(`the answer to LISTEN through the pooler: ${said}`);
// Nobody has the connection.
await outside.query("NOTIFY news, 'one'"); await sleep(300); await listener.query('SELECT 1'); await sleep(200);
const afterIdle = [...got];
// The other client has it.
await other.query('BEGIN');
await outside.query("NOTIFY news, 'two'"); await sleep(300);
await other.query('COMMIT'); await listener.query('SELECT 1');
await other.query("NOTIFY news, 'three'"); await sleep(300);
const late = await clientOf('the client that came later', poolerPort);
await late.query("NOTIFY news, 'four'"); await sleep(300);
console.log(got.length === 0 ? 'nobody got anything' : got.join('\n'));
const asSeen = said === 'LISTEN' && afterIdle.length === 0 && !got.some((text) => text.startsWith('the listener')) &&
  ["the other client got 'two'", "the other client got 'three'", "the client that came later got 'four'"].every((text) => got.includes(text));
console.log(asSeen ? 'as described' : 'DIFFERENT from the description');
await Promise.all([outside, listener, other, late].map((client) => client.end()));
process.exit(asSeen ? 0 : 1);
JS
timeout 40 node try.js "$port" "$pooler_port" "${user[@]}"
