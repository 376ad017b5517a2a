/** The programs of README.md, as they stand there, against a broker; only its port is another. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

import { type Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { freePorts } from '../support/free-ports.js';
import { itWithTool, PYTHON } from '../support/tools.js';

const run = promisify(execFile);
const README = readFileSync('README.md', 'utf8');
const ENDPOINT = 'tcp://127.0.0.1:5555';
const MAIN = join(process.cwd(), 'build/src/main.js');

const running = new Set<ChildProcessByStdio<null, Readable, null>>();
let daemon: Daemon;
let directory: string;

/** The only block in that language that has these words. */
function block(language: string, words: string): string {
  const blocks = Array.from(
    README.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm),
    ([, of, text = '']) => ({ of, text }),
  ).filter(({ of, text }) => of === language && text.includes(words));
  expect([words, blocks.length]).toEqual([words, 1]);
  return blocks[0]?.text ?? '';
}

/** Writes a block to a file, for this broker and this build of the SDK. */
function saved(name: string, text: string): string {
  const path = join(directory, name);
  const sdk = join(process.cwd(), 'build/src/sdk');
  const here = text
    .replaceAll(ENDPOINT, daemon.endpoint)
    .replaceAll("'majordomo-sdk'", `'${sdk}/index.js'`);
  writeFileSync(path, here);
  return path;
}

/** @returns what waits until it has said a text on its standard output */
function start(
  command: string,
  args: readonly string[],
  environment = {},
): (text: string) => Promise<void> {
  const child = spawn(command, [...args], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, MAJORDOMO_ENDPOINT: daemon.endpoint, ...environment },
    detached: true,
  });
  running.add(child);
  let said = '';
  const heard = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    for (const look of heard) look();
  });
  return (text) =>
    new Promise((resolve) => {
      const look = (): void => {
        if (said.includes(text)) resolve();
      };
      heard.add(look);
      look();
    });
}

/** A line of the README, run as it stands, but for the place of the program. */
async function shell(line: string): Promise<string> {
  const { stdout } = await run('/bin/sh', ['-c', line.replaceAll('dist/main.js', MAIN)], {
    cwd: directory,
    env: { ...process.env, MAJORDOMO_ENDPOINT: daemon.endpoint },
  });
  return stdout;
}

beforeEach(async () => {
  daemon = await startDaemon();
  directory = temporaryDirectory();
});

afterEach(async () => {
  for (const child of running) {
    const ended = once(child, 'close');
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await ended;
  }
  running.clear();
  await removeDaemons();
});

describe('README.md', () => {
  it('has a worker and a client in lines of shell, and a durable request', async () => {
    const [worker = '', request = ''] = block('sh', '# HELLO').split('\n');
    start('/bin/sh', ['-c', worker.replace('dist/main.js', MAIN)]);
    await daemon.waitFor('worker.registered');
    expect(await shell(request)).toBe('HELLO\n');
    const [submit = '', result = '', close = ''] = block('sh', '--no-wait').split('\n');
    const uuid = (await shell(submit)).trim();
    expect(await shell(result.replace('UUID', uuid))).toBe('HELLO\n');
    await shell(close.replace('UUID', uuid));
  });

  it('has a worker that packs a file in shell, byte for byte', async () => {
    const [worker = '', request = ''] = block('sh', 'gzip').split('\n');
    start('/bin/sh', ['-c', worker.replace('dist/main.js', MAIN).replace(/ &$/, '')]);
    await daemon.waitFor('worker.registered');
    writeFileSync(join(directory, 'README.md'), README);
    await shell(request);
    expect(gunzipSync(readFileSync(join(directory, 'README.md.gz'))).toString()).toBe(README);
  });

  it('has a listener with CURVE, and a client that it lets in', async () => {
    const [open = 0, sealed = 0] = await freePorts(2);
    const here = (text: string): string =>
      text.replace(':5555', `:${open}`).replace('127.0.0.1:5557', `127.0.0.1:${sealed}`);
    await shell(block('sh', 'keygen broker.key'));
    writeFileSync(join(directory, 'broker.yaml'), here(block('yaml', 'keysFile')));
    const [serve = '', request = ''] = here(block('sh', '--curve-key-file')).split(' &\n');
    const says = start('/bin/sh', ['-c', `exec ${serve.replace('dist/main.js', MAIN)}`], {
      MAJORDOMO_HTTP__LISTEN: 'off',
    });
    const [worker = ''] = block('sh', '# HELLO').split('\n');
    start('/bin/sh', ['-c', worker.replace('dist/main.js', MAIN)], {
      MAJORDOMO_ENDPOINT: `tcp://127.0.0.1:${open}`,
    });
    await says('worker.registered');
    expect(await shell(request)).toBe('HELLO\n');
  });

  it('has a worker and a client in Node', async () => {
    start(process.execPath, [saved('worker.mjs', block('js', 'new Worker'))]);
    await daemon.waitFor('worker.registered');
    const client = saved('client.mjs', block('js', 'connect('));
    const { stdout } = await run(process.execPath, [client]);
    expect(stdout).toBe('hello\n');
  });

  itWithTool('python3-zmq', 'has a worker and a client in Python (7/MDP)', async () => {
    start(PYTHON, [saved('worker.py', block('python', 'MDPW01'))]);
    await daemon.waitFor('worker.registered');
    const { stdout } = await run(PYTHON, [saved('client.py', block('python', 'MDPC01'))]);
    expect(stdout).toBe("[b'olleh']\n");
  });

  itWithTool('gcc and libzmq3-dev', 'has a client in C (7/MDP)', async () => {
    const reverse = ['worker', 'reverse', '--', process.execPath, '-e', REVERSE];
    start(process.execPath, [MAIN, ...reverse]);
    await daemon.waitFor('worker.registered');
    const program = join(directory, 'client');
    const source = saved('client.c', block('c', 'MDPC01'));
    await run('gcc', ['-Wall', '-Werror', '-o', program, source, '-lzmq']);
    const { stdout } = await run(program);
    expect(stdout).toBe('olleh\n');
  });

  itWithTool('g++ and cppzmq-dev', 'has a worker in C++ (18/MDP)', async () => {
    const program = join(directory, 'worker');
    const source = saved('worker.cpp', block('cpp', 'MDPW02'));
    await run('g++', ['-std=c++17', '-Wall', '-Werror', '-o', program, source, '-lzmq']);
    start(program, []);
    await daemon.waitFor('worker.registered');
    expect(await shell('node dist/main.js request reverse hello')).toBe('olleh\n');
  });
});

const REVERSE =
  "const t = require('fs').readFileSync(0, 'utf8'); process.stdout.write([...t].reverse().join(''))";
