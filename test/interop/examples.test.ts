/** The programs of examples/, as they are compiled, against a broker; only their SDK is this build's. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { type Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../support/daemon.js';

const run = promisify(execFile);
const MAIN = join(process.cwd(), 'build/src/main.js');
const SDK = join(process.cwd(), 'build/src/sdk');

const workers = new Set<ChildProcess>();
const ran = new Set<string>();
let daemon: Daemon;
let directory: string;

/** The path of a program that can be run. */
function program(name: string): string {
  ran.add(`${name}.ts`);
  const text = readFileSync(`build/examples/${name}.js`, 'utf8');
  const path = join(directory, `${name}.mjs`);
  writeFileSync(path, text.replaceAll(/'majordomo-broker\/(\w+)'/g, `'${SDK}/$1.js'`));
  return path;
}

async function startWorker(name: string): Promise<ChildProcess> {
  const worker = spawn(process.execPath, [program(name), daemon.endpoint], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  workers.add(worker);
  await daemon.waitFor('worker.registered');
  return worker;
}

async function ask(name: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [program(name), ...args]);
  return stdout;
}

beforeEach(async () => {
  daemon = await startDaemon();
  directory = temporaryDirectory();
});

afterEach(async () => {
  for (const worker of workers) {
    if (worker.exitCode === null) {
      worker.kill('SIGKILL');
      await once(worker, 'exit');
    }
  }
  workers.clear();
  await removeDaemons();
});

describe('examples/', () => {
  it('has a worker that echoes one request and many at once, and says when it is closed', async () => {
    const worker = await startWorker('echo-worker');
    const said: Buffer[] = [];
    worker.stdout?.on('data', (chunk: Buffer) => said.push(chunk));
    expect(await ask('echo-client', daemon.endpoint, 'hi')).toBe('hi\n');
    expect(await ask('many-outstanding', daemon.endpoint, '700')).toBe('700 of 700 answered\n');
    worker.kill('SIGINT');
    await once(worker, 'close');
    expect(worker.exitCode).toBe(0);
    expect(Buffer.concat(said).toString()).toMatch(/closed\n$/);
  });

  it('has an answer in parts, read as it comes', async () => {
    await startWorker('streaming-worker');
    const parts = await ask('streaming-client', daemon.endpoint, '3');
    expect(parts).toBe('3\n2\n1\nlift-off!\n');
  });

  it('has a request that is stored now, once, and fetched later, once', async () => {
    const uuid = await ask('durable-client', 'submit', daemon.endpoint, 'order 17');
    expect(await ask('durable-client', 'submit', daemon.endpoint, 'order 17')).toBe(uuid);
    await startWorker('echo-worker');
    const result = ['result', daemon.endpoint, uuid.trim()];
    expect(await ask('durable-client', ...result)).toBe('order 17\n');
    await expect(ask('durable-client', ...result)).rejects.toMatchObject({
      code: 1,
      stderr: 'unknown: closed, expired, or never stored\n',
    });
  });

  it('has a request that is given up', async () => {
    expect(await ask('abort', daemon.endpoint)).toBe('ERR_MDP_ABORTED\n');
  });

  it('has a service and a client in shell', async () => {
    const { stdout } = await run('/bin/sh', ['examples/shell.sh', daemon.endpoint], {
      env: { ...process.env, MAJORDOMO: `${process.execPath} ${MAIN}` },
    });
    expect(stdout).toBe('HELLO\n');
  });

  it('has no program that is not run here', () => {
    const programs = readdirSync('examples').filter((name) => name.endsWith('.ts'));
    expect([...ran].sort()).toEqual(programs.sort());
  });
});
