#!/usr/bin/env bash
# npm 11.19.1: `npm publish --dry-run` of a package with `"private": true`.
#
# Expected: EPRIVATE and exit status 1, as of `npm publish`: by its documentation a dry run reports what it would have done.
#
# Seen: the dry run prints `+ NAME@VERSION` and exits with 0, of a folder and of a packed file. `npm publish` of the same refuses.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm --version
echo '{"name":"kept-private","version":"1.0.0","private":true}' >package.json
npm pack --silent
cat >registry.mjs <<'JS'
// A registry that has nothing, so that nothing leaves this machine.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  response.statusCode = request.method === 'GET' ? 404 : 201;
  response.end('{}');
}).listen(0, '127.0.0.1', async () => {
  const host = `127.0.0.1:${server.address().port}/`;
  writeFileSync('rc', `//${host}:_authToken=x\nregistry=http://${host}\n`);
  for (const args of [['--dry-run'], ['--dry-run', './kept-private-1.0.0.tgz'], ['./kept-private-1.0.0.tgz']]) {
    const npm = spawn('npm', ['publish', '--userconfig', 'rc', ...args]);
    let said = '';
    for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (chunk) => (said += chunk));
    const status = await new Promise((resolve) => npm.on('close', resolve));
    const [line] = said.match(/^(?:\+ .*|npm error code .*)$/m) ?? ['?'];
    console.log(`npm publish ${args.join(' ')}: ${status}, ${line}`);
  }
  process.exit();
});
JS
node registry.mjs
