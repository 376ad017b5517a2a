/**
 * A service of Restate whose handler answers 4 bytes, as Restate's own SDK serves it, in its own process; prints
 * `ready` when the server knows it. The SDK is the one that was installed beside the server.
 *
 *     node restate.mjs SERVER ADMIN_PORT
 */
import { createRequire } from 'node:module';

const [server, adminPort] = process.argv.slice(2);
const restate = createRequire(server)('@restatedev/restate-sdk');
const { binary } = restate.serde;
const done = Buffer.from('done');
const echo = restate.handlers.handler({ input: binary, output: binary }, async () => done);
const port = await restate.serve({
  port: 0,
  services: [restate.service({ name: 'bench', handlers: { echo } })],
});
const answer = await fetch(`http://127.0.0.1:${adminPort}/deployments`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ uri: `http://127.0.0.1:${port}` }),
});
if (!answer.ok) throw new Error(`restate-server: ${answer.status} ${await answer.text()}`);
process.stdout.write('ready\n');
