#!/usr/bin/env bash
# zeromq 6.5.0 of npm (libzmq 4.3.5): a REP with CURVE and a maximum message size of 256 bytes, and a REQ that sends 2.
#
# Expected: the maximum is of messages, so that a request of 2 bytes is answered, as it is without CURVE.
#
# Seen: the commands of the handshake count, too. No connection is ever made, and the monitor of the REP tells only of
# disconnects. With 1024 bytes it works.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init --yes >/dev/null
npm install --silent --no-audit --no-fund zeromq@6.5.0
cat >try.mjs <<'J'
import * as zmq from 'zeromq';

const [server, client] = [zmq.curveKeyPair(), zmq.curveKeyPair()];

async function exchange(maxMessageSize, isCurve) {
  const ofServer = isCurve ? { curveServer: true, curveSecretKey: server.secretKey } : {};
  const ofClient = isCurve
    ? { curveServerKey: server.publicKey, curvePublicKey: client.publicKey, curveSecretKey: client.secretKey }
    : {};
  const rep = new zmq.Reply({ maxMessageSize, linger: 0, ...ofServer });
  const told = new Set();
  for (const name of ['handshake:error:protocol', 'handshake:error:auth', 'handshake:error:other', 'disconnect']) {
    rep.events.on(name, () => told.add(name));
  }
  await rep.bind('tcp://127.0.0.1:*');
  const req = new zmq.Request({ linger: 0, receiveTimeout: 2000, ...ofClient });
  req.connect(rep.lastEndpoint);
  const answering = (async () => {
    for await (const [message] of rep) await rep.send(message);
  })().catch(() => undefined);
  await req.send('hi');
  const answer = await req.receive().then(([message]) => message.toString(), () => 'nothing in 2 s');
  const seen = `${isCurve ? 'CURVE' : 'NULL'} ${maxMessageSize}: ${answer}; told: ${[...told].join(' ') || 'nothing'}`;
  req.close();
  rep.close();
  await answering;
  return seen;
}

const seen = [];
for (const size of [256, 1024]) seen.push(await exchange(size, false), await exchange(size, true));
console.log(seen.join('\n'));
const expected = ['NULL 256: hi;', 'CURVE 256: nothing in 2 s; told: disconnect', 'NULL 1024: hi;', 'CURVE 1024: hi;'];
process.exit(expected.every((text, at) => seen[at].startsWith(text)) ? 0 : 1);
J
timeout 60 node try.mjs || { echo 'CHANGED: a small maximum leaves the handshake of CURVE alone' >&2; exit 1; }
echo 'as described: a small maximum ends every handshake of CURVE'
