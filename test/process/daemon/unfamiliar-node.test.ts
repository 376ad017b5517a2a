/** A version of Node.js whose undocumented parts are others than those that the broker knows. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { Client } from '../../../src/sdk/client.js';
import { Worker } from '../../../src/sdk/worker.js';
import { run } from '../../support/child.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { ask, httpOf } from '../../support/http.js';

const CONNECTIONS = 4;

/** Hides what the broker looks for and Node itself does not need, before the broker is loaded. */
const PRELOADED = `
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import v8 from 'node:v8';

v8.setFlagsFromString = null;
syncBuiltinESMExports();
const { emit } = net.Server.prototype;
net.Server.prototype.emit = function (name, ...args) {
  if (name === 'connection' && args[0]._handle) args[0]._handle.useUserBuffer = undefined;
  return Reflect.apply(emit, this, [name, ...args]);
};
`;

/** Takes one write through the handles of accepted sockets, and then returns what is no outcome. */
const CHANGING = `
import net from 'node:net';

const { emit } = net.Socket.prototype;
let calls = 0;
net.Socket.prototype.emit = function (name, ...args) {
  if (name === 'connect' && this._handle && calls++ === 0) {
    const { _handle: handle } = this;
    const real = handle.writeBuffer;
    handle.writeBuffer = (...given) => (calls++ === 1 ? Reflect.apply(real, handle, given) : {});
  }
  return Reflect.apply(emit, this, [name, ...args]);
};
`;

/** Options of a Node that runs this before anything else. */
function preloading(text: string): readonly string[] {
  const file = join(temporaryDirectory(), 'unfamiliar.mjs');
  writeFileSync(file, text);
  return ['--import', pathToFileURL(file).href];
}

afterEach(async () => {
  await removeDaemons();
});

it('a broker serves there by the documented ways, and logs each part once', async () => {
  const daemon = await startDaemon({
    nodeOptions: preloading(PRELOADED),
    sets: ['http.listen=127.0.0.1:0'],
  });
  const options = { endpoints: [daemon.endpoint] };
  const worker = new Worker({ ...options, service: 'echo' }, (request) => request.frames);
  await worker.ready;
  for (let each = 0; each < CONNECTIONS; each++) {
    const client = new Client(options);
    expect((await client.request('echo', 'hello')).text()).toBe('hello');
    await client.close();
  }
  expect((await ask(`${httpOf(daemon)}/livez`)).status).toBe(200);
  await worker.close();
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  const lines = daemon.logged('runtime.unfamiliar');
  expect(lines.map(({ part }) => part).toSorted()).toEqual(['flags', 'reading']);
  for (const line of lines) expect(line).toMatchObject({ level: 'warn', runtime: process.version });
});

it.each([
  [
    'hides a handle',
    PRELOADED,
    ['accepted sockets read into one buffer: no, the handle is an object, or has no useUserBuffer'],
  ],
  [
    'writes otherwise after a while',
    CHANGING,
    [
      "output is written without the socket's stream: no, writeBuffer: an object",
      'not all could be tried: a write failed',
    ],
  ],
])('doctor says which parts are others, and ends, if Node %s', async (_what, text, says) => {
  const sets = ['broker.listen=tcp://127.0.0.1:0', 'http.listen=127.0.0.1:0'];
  const line = ['doctor', '-o', 'json', '--set', `node.dataDir=${temporaryDirectory()}`];
  const { status, stdout } = await run([...line, ...sets.flatMap((set) => ['--set', set])], {
    nodeOptions: preloading(text),
  });
  const { checks } = JSON.parse(stdout) as {
    checks: { name: string; state: string; text: string }[];
  };
  const runtime = checks.find(({ name }) => name === 'runtime');
  expect([status, runtime?.state]).toEqual([0, 'warning']);
  for (const part of says) expect(runtime?.text).toContain(part);
});
