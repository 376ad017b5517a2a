/**
 * The programs of README.md and of pages of docs/, as they stand there, against a broker; only its port is
 * another.
 */
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
const README = 'README.md';
const SHELL = 'docs/languages/shell.md';
const DURABLE = 'docs/durable.md';
const SECURITY = 'docs/security.md';
const ENDPOINT = 'tcp://127.0.0.1:5555';
const MAIN = join(process.cwd(), 'build/src/main.js');

const running = new Set<ChildProcessByStdio<null, Readable, null>>();
let daemon: Daemon;
let directory: string;

/** The only block of a page in that language that has these words. */
function block(page: string, language: string, words: string): string {
  const blocks = Array.from(
    readFileSync(page, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm),
    ([, of, text = '']) => ({ of, text }),
  ).filter(({ of, text }) => of === language && text.includes(words));
  expect([page, words, blocks.length]).toEqual([page, words, 1]);
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

/** A line of shell whose `majordomo` is this build. */
function here(line: string): string {
  return line.replaceAll(
    /(^|\$\()(?:npx majordomo-broker|majordomo)(?= )/gm,
    `$1${process.execPath} ${MAIN}`,
  );
}

async function shell(line: string): Promise<string> {
  const { stdout } = await run('/bin/sh', ['-c', here(line)], {
    cwd: directory,
    env: { ...process.env, MAJORDOMO_ENDPOINT: daemon.endpoint },
  });
  return stdout;
}

/** The worker `upper` in a line of shell. */
function startUpper(environment = {}): void {
  const [worker = ''] = block(SHELL, 'sh', '# HELLO').split('\n');
  start('/bin/sh', ['-c', here(worker)], environment);
}

/** A worker for `reverse` that does not come from the page under test. */
async function startReverse(): Promise<void> {
  start(process.execPath, [MAIN, 'worker', 'reverse', '--', process.execPath, '-e', REVERSE]);
  await daemon.waitFor('worker.registered');
}

/** Compiles a program of a page. @returns its path */
async function compiled(compiler: string, source: string, ...options: string[]): Promise<string> {
  const program = `${source}.out`;
  await run(compiler, [...options, '-Wall', '-Werror', '-o', program, source, '-lzmq']);
  return program;
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
  it('has a worker and a client in TypeScript that are also JavaScript', async () => {
    start(process.execPath, [saved('worker.mjs', block(README, 'ts', 'new Worker'))]);
    await daemon.waitFor('worker.registered');
    const client = saved('client.mjs', block(README, 'ts', 'connect('));
    const { stdout } = await run(process.execPath, [client]);
    expect(stdout).toBe('HELLO\n');
  });

  it('has a durable request', async () => {
    expect(await shell(block(README, 'sh', '--durable'))).toMatch(/^[0-9A-F]{32}\n$/);
  });
});

describe(DURABLE, () => {
  it('has a request whose reply is fetched later', async () => {
    const [submit = '', result = '', close = ''] = block(DURABLE, 'sh', '--no-wait').split('\n');
    const uuid = (await shell(submit)).trim();
    startUpper();
    await daemon.waitFor('worker.registered');
    expect(await shell(result.replace('UUID', uuid))).toBe('HELLO\n');
    await shell(close.replace('UUID', uuid));
  });
});

describe(SECURITY, () => {
  it('has a listener with CURVE, and a client that it lets in', async () => {
    const [open = 0, sealed = 0] = await freePorts(2);
    const moved = (text: string): string =>
      text.replace(':5555', `:${open}`).replace('127.0.0.1:5557', `127.0.0.1:${sealed}`);
    await shell(block(SECURITY, 'sh', 'keygen broker.key'));
    writeFileSync(join(directory, 'broker.yaml'), moved(block(SECURITY, 'yaml', 'keysFile')));
    const [serve = '', request = ''] = moved(block(SECURITY, 'sh', '--curve-key-file')).split(
      ' &\n',
    );
    const says = start('/bin/sh', ['-c', `exec ${here(serve)}`], { MAJORDOMO_HTTP__LISTEN: 'off' });
    startUpper({ MAJORDOMO_ENDPOINT: `tcp://127.0.0.1:${open}` });
    await says('worker.registered');
    expect(await shell(request)).toBe('HELLO\n');
  });
});

describe('docs/languages', () => {
  it('shell.md has a worker and a client', async () => {
    startUpper();
    await daemon.waitFor('worker.registered');
    const [, request = ''] = block(SHELL, 'sh', '# HELLO').split('\n');
    expect(await shell(request)).toBe('HELLO\n');
  });

  it('shell.md has a worker that packs a file, byte for byte', async () => {
    const [worker = '', request = ''] = block(SHELL, 'sh', 'gzip').split('\n');
    start('/bin/sh', ['-c', here(worker).replace(/ &$/, '')]);
    await daemon.waitFor('worker.registered');
    const text = readFileSync(README, 'utf8');
    writeFileSync(join(directory, 'README.md'), text);
    await shell(request);
    expect(gunzipSync(readFileSync(join(directory, 'README.md.gz'))).toString()).toBe(text);
  });

  itWithTool('python3-zmq', 'python.md has a worker and clients, one durable (7/MDP)', async () => {
    const page = 'docs/languages/python.md';
    start(PYTHON, [saved('worker.py', block(page, 'python', 'MDPW01'))]);
    await daemon.waitFor('worker.registered');
    const client = block(page, 'python', 'MDPC01');
    const { stdout } = await run(PYTHON, [saved('client.py', client)]);
    expect(stdout).toBe("[b'olleh']\n");
    const durable = client + block(page, 'python', 'titanic.submit');
    const { stdout: later } = await run(PYTHON, [saved('durable.py', durable)]);
    expect(later).toBe("[b'olleh']\nb'200' [b'olleh']\n");
  });

  itWithTool('gcc and libzmq3-dev', 'c.md has a client (7/MDP)', async () => {
    await startReverse();
    const source = saved('client.c', block('docs/languages/c.md', 'c', 'MDPC01'));
    const { stdout } = await run(await compiled('gcc', source));
    expect(stdout).toBe('olleh\n');
  });

  itWithTool('gcc and libzmq3-dev', 'c.md has a worker (7/MDP)', async () => {
    const source = saved('worker.c', block('docs/languages/c.md', 'c', 'MDPW01'));
    start(await compiled('gcc', source), []);
    await daemon.waitFor('worker.registered');
    expect(await shell('majordomo request reverse hello')).toBe('olleh\n');
  });

  itWithTool('g++ and cppzmq-dev', 'cpp.md has a client (7/MDP)', async () => {
    await startReverse();
    const source = saved('client.cpp', block('docs/languages/cpp.md', 'cpp', 'MDPC01'));
    const { stdout } = await run(await compiled('g++', source, '-std=c++17'));
    expect(stdout).toBe('olleh\n');
  });

  itWithTool('g++ and cppzmq-dev', 'cpp.md has a worker (18/MDP)', async () => {
    const source = saved('worker.cpp', block('docs/languages/cpp.md', 'cpp', 'MDPW02'));
    start(await compiled('g++', source, '-std=c++17'), []);
    await daemon.waitFor('worker.registered');
    expect(await shell('majordomo request reverse hello')).toBe('olleh\n');
  });
});

const REVERSE =
  "const t = require('fs').readFileSync(0, 'utf8'); process.stdout.write([...t].reverse().join(''))";
