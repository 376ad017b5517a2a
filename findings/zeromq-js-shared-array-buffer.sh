#!/usr/bin/env bash
# zeromq.js 6.8.0: send() of a SharedArrayBuffer, and of an empty list.
#
# Expected: its bytes, as its type promises.
#
# Seen: the text "[object SharedArrayBuffer]" is sent. A DataView is refused, and for an empty list nothing is sent,
# while the promise resolves.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
printf '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts zeromq@6.8.0
grep -q 'MessageLike = ArrayBufferView | ArrayBuffer | SharedArrayBuffer | string | number | null' node_modules/zeromq/lib/index.d.ts || { echo 'CHANGED: the type is another one' >&2; exit 1; }
cat >try.js <<'JS'
import { Pull, Push, Reply, Request } from 'zeromq';

const pull = new Pull({ linger: 0, receiveTimeout: 500 });
await pull.bind('tcp://127.0.0.1:*');
const push = new Push({ linger: 0 });
push.connect(pull.lastEndpoint);
const shared = new SharedArrayBuffer(4);
new Uint8Array(shared).set([65, 66, 67, 68]);
const plain = Uint8Array.of(65, 66, 67, 68).buffer;
const values = {
  'an ArrayBuffer': plain,
  'a view on shared memory': new Uint8Array(shared, 1, 2),
  'a SharedArrayBuffer': shared,
  'a DataView': new DataView(plain),
  'a list with undefined': ['x', undefined, null],
};
const seen = [];
for (const [name, value] of Object.entries(values)) {
  const sent = await Promise.resolve().then(() => push.send(value)).then(() => 'resolves', ({ message }) => `fails (${message})`);
  const got = sent === 'resolves' ? (await pull.receive()).map(String) : [];
  seen.push(JSON.stringify([sent, ...got]));
  console.log(`${name}: ${sent}, received ${JSON.stringify(got)}`);
}
const reply = new Reply({ linger: 0, receiveTimeout: 500 });
await reply.bind('tcp://127.0.0.1:*');
const request = new Request({ linger: 0, receiveTimeout: 500 });
request.connect(reply.lastEndpoint);
await request.send('question');
await reply.receive();
const outcome = (call) => Promise.resolve().then(call).then((value) => (value === undefined ? 'resolves' : value.map(String).join()), ({ code }) => code);
const empty = [];
for (const call of [() => reply.send([]), () => request.receive(), () => reply.receive(), () => reply.send('answer'), () => request.receive()]) empty.push(await outcome(call));
console.log(`send([]) as a reply: ${empty[0]}; the client receives ${empty[1]}; the server receives ${empty[2]}; after another send(): ${empty[4]}`);
const described = [['resolves', 'ABCD'], ['resolves', 'BC'], ['resolves', '[object SharedArrayBuffer]'], ['fails (Invalid argument)'], ['resolves', 'x', 'undefined', '']];
process.exit(seen.join() === described.map((entry) => JSON.stringify(entry)).join() && empty.join() === 'resolves,EAGAIN,EFSM,resolves,answer' ? 0 : 1);
JS
timeout 30 node try.js || { echo 'CHANGED: other frames than described' >&2; exit 1; }
echo 'as described: a SharedArrayBuffer is sent as its name'
