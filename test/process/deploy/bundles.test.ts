import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import { buildSync } from 'esbuild';

import { startTestBroker, type TestBroker } from '../../../src/testing/testing.js';
import { LONG_TEST_MS } from '../../support/patience.js';
import { run, tarballs } from '../../support/tarballs.js';

/** A client, a worker, and what a bundle does not have. */
const main = `
async function main() {
  const endpoints = process.argv[2];
  const worker = new Worker({ endpoints, service: 'upper' }, (request) => request.text().toUpperCase());
  const running = worker.run();
  const client = connect(endpoints);
  console.log((await client.request('upper', 'hello')).text());
  const key = Buffer.alloc(32);
  const curve = { serverKey: key, publicKey: key, secretKey: key };
  for (const options of [{ transport: 'libzmq' }, { curve }]) {
    try {
      await connect('tcp://127.0.0.1:1', options).close();
      console.log('found');
    } catch (error) {
      console.log(error.code, error.message);
    }
  }
  await client.close();
  await worker.close();
  await running;
}
void main();
`;
const PROGRAMS = {
  'program.mjs': `import { connect, Worker } from 'majordomo-sdk';${main}`,
  'program.cjs': `const { connect, Worker } = require('majordomo-sdk');${main}`,
};
const MISSING = (what: string, name: string): string =>
  `ERR_MDP_OPTION ${what} needs the package ${name}, which is not installed: npm install ${name}`;
const PRINTED = [
  'HELLO',
  MISSING("transport 'libzmq'", 'zeromq'),
  MISSING('curve', 'libsodium-wrappers-sumo'),
];

/** What waits for a timer, as a test of Jest's. */
const withFakeTimers = `
const { connect: dial, createServer } = require('node:net');
const timers = require('node:timers');
const { setImmediate: turn } = require('node:timers/promises');
const { connect, Publisher, Subscriber, Worker } = require('majordomo-sdk');
const { startTestBroker } = require('majordomo-sdk/testing');

test('client, worker, streams and test broker', async () => {
  jest.useFakeTimers();
  // As the fakes of Sinon do, and those of node:test.
  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
    jest.spyOn(timers, name).mockReturnValue(null);
  }
  const broker = await startTestBroker({ retryBaseMs: 10 });

  const impatient = connect(broker.endpoint, { timeoutMs: 1000 });
  await expect(impatient.request('upper', '')).rejects.toMatchObject({ code: 'ERR_MDP_TIMEOUT' });

  let heard = 0;
  const proxy = createServer((near) => {
    near.on('data', () => heard++).on('error', () => {});
    near.pipe(dial(new URL(broker.endpoint).port).on('error', () => {})).pipe(near);
  }).listen(0, '127.0.0.1');
  while (!proxy.listening) await turn();
  const endpoints = 'tcp://127.0.0.1:' + proxy.address().port;
  let handled = 0;
  const heartbeats = { heartbeatIntervalMs: 50, heartbeatLiveness: 100 };
  const worker = new Worker({ endpoints, service: 'upper', ...heartbeats }, async (request, { partial }) => {
    if (++handled === 1) throw new Error('once more');
    if (handled === 3) void broker.restart();
    if (handled === 5) await partial('part');
    return request.text().toUpperCase();
  });
  const running = worker.run();
  const client = connect(broker.endpoint, { timeoutMs: 20_000, resendMs: 500 });
  const job = await client.enqueue('upper', 'kept');
  expect((await job.result()).text()).toBe('KEPT');
  expect((await client.request('upper', 'lost')).text()).toBe('LOST');
  const parts = [];
  for await (const part of client.stream('upper', 'last')) parts.push(part.text());
  expect(parts).toEqual(['part', 'LAST']);

  const before = heard;
  while (heard < before + 3) await turn();

  const publisher = new Publisher({ listen: 'tcp://127.0.0.1:0' });
  const [from] = await publisher.open();
  const subscriber = new Subscriber({ endpoints: from, topics: 'a' });
  while (!publisher.hasSubscribers('a')) await turn();
  publisher.publish('a', 'published');
  for await (const message of subscriber) {
    expect(message.text()).toBe('published');
    break;
  }
  for (const each of [impatient, client, worker, subscriber, publisher]) await each.close();
  await running;
  await broker.close();
  proxy.close();
  expect(jest.getTimerCount()).toBe(0);
});
`;

let folder = '';
/** Has the program and the package; the bundle runs in another folder, which has no packages. */
let sources = '';
let alone = '';
let broker: TestBroker;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'majordomo-bundles-'));
  sources = join(folder, 'sources');
  alone = join(folder, 'alone');
  const modules = join(sources, 'node_modules');
  mkdirSync(modules, { recursive: true });
  mkdirSync(alone);
  run('tar', ['-xzf', tarballs(folder).sdk, '-C', folder], folder);
  cpSync(join(folder, 'package'), join(modules, 'majordomo-sdk'), { recursive: true });
  for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(join(sources, name), text);
  broker = await startTestBroker();
}, LONG_TEST_MS);

afterAll(async () => {
  await broker.close();
  rmSync(folder, { recursive: true, force: true });
});

type Bundle = (program: string, format: 'esm' | 'cjs', file: string) => void;

// (Its command is a program of the machine where its install script ran, and a script elsewhere.)
const esbuild: Bundle = (program, format, outfile) => {
  const { warnings } = buildSync({
    ...{ absWorkingDir: sources, entryPoints: [program], outfile, format },
    ...{ bundle: true, platform: 'node', minify: true, logLevel: 'silent' },
  });
  expect(warnings).toEqual([]);
};

/** It reads packages as Rollup does. */
const rolldown: Bundle = (program, format, file) => {
  const options = ['--platform', 'node', '--minify', '--log-level', 'warn'];
  const args = [program, ...options, '--format', format, '--file', file];
  run(process.execPath, [resolve('node_modules/rolldown/bin/cli.mjs'), ...args], sources);
};

async function printedBy(file: string): Promise<string[]> {
  const child = spawn(process.execPath, [file, broker.endpoint], { cwd: dirname(file) });
  let printed = '';
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  }
  await once(child, 'close');
  return printed.trim().split('\n');
}

describe.each([
  ['esbuild', esbuild],
  ['rolldown', rolldown],
] as const)('a client and a worker, bundled with %s', (name, bundle) => {
  it.each([
    ['program.mjs', 'esm', 'mjs'],
    ['program.mjs', 'cjs', 'cjs'],
    ['program.cjs', 'esm', 'mjs'],
    ['program.cjs', 'cjs', 'cjs'],
  ] as const)(
    '%s as %s: runs without packages, and has at most 400 KB',
    async (program, format, extension) => {
      const file = join(alone, `${name}-${program}-${format}.${extension}`);
      bundle(program, format, file);
      expect(statSync(file).size).toBeLessThanOrEqual(400_000);
      expect(await printedBy(file)).toEqual(PRINTED);
    },
    LONG_TEST_MS,
  );
});

describe('a bundle', () => {
  it('has what is installed beside it: libsodium, for CURVE', async () => {
    const file = join(folder, 'beside', 'bundle.mjs');
    esbuild('program.mjs', 'esm', file);
    for (const name of ['libsodium-wrappers-sumo', 'libsodium-sumo']) {
      const target = join(dirname(file), 'node_modules', name);
      cpSync(resolve('node_modules', name), target, { recursive: true });
    }
    expect((await printedBy(file)).at(-1)).toBe('found');
  });
});

describe('the package in a test of Jest', () => {
  it.each([false, true])(
    'does not wait for fake timers, with enableGlobally %p',
    (enableGlobally) => {
      writeFileSync(join(sources, 'fake-timers.cjs'), withFakeTimers);
      const fakeTimers = { enableGlobally };
      const config = { testMatch: ['**/fake-timers.cjs'], testTimeout: LONG_TEST_MS, fakeTimers };
      // A test that fails leaves its broker behind.
      const args = ['--forceExit', '--rootDir', sources, '--config', JSON.stringify(config)];
      run(process.execPath, [resolve('node_modules/jest/bin/jest.js'), ...args], sources);
    },
    LONG_TEST_MS,
  );
});
