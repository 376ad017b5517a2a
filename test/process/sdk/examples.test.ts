import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePorts } from '../../support/free-ports.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { until } from '../../support/until.js';

const BUILD = fileURLToPath(new URL('../../../', import.meta.url));
const EXAMPLES = join(BUILD, 'examples');
/** The SDK as compiled for the tests, under its name. (`test/process/deploy` has the packed one.) */
const PACKAGE = { name: 'majordomo-sdk', type: 'module', exports: './dist/sdk/index.js' };

let project: string;
let endpoint: string;
const children: ChildProcess[] = [];
const ran = new Set<string>();

/** A project of a user's: the package in its node_modules, and the examples beside it. */
function userProject(): string {
  const directory = temporaryDirectory();
  const installed = join(directory, 'node_modules', PACKAGE.name);
  mkdirSync(installed, { recursive: true });
  writeFileSync(join(installed, 'package.json'), JSON.stringify(PACKAGE));
  symlinkSync(join(BUILD, 'src'), join(installed, 'dist'));
  const metrics = join('node_modules', 'prom-client');
  symlinkSync(join(process.cwd(), metrics), join(directory, metrics));
  writeFileSync(join(directory, 'package.json'), '{"type": "module"}');
  for (const name of readdirSync(EXAMPLES)) {
    if (name.endsWith('.js')) copyFileSync(join(EXAMPLES, name), join(directory, name));
  }
  return directory;
}

interface Program {
  readonly child: ChildProcess;
  output: string;
}

function start(name: string, ...args: string[]): Program {
  return startWith(name, endpoint, ...args);
}

function startWith(name: string, ...args: string[]): Program {
  ran.add(name);
  const child = spawn(process.execPath, [join(project, name), ...args], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const program: Program = { child, output: '' };
  const collect = (chunk: Buffer): void => {
    program.output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  children.push(child);
  return program;
}

/** Runs a program to its end, and gives what it printed. */
async function run(name: string, ...args: string[]): Promise<string> {
  return await outputOf(name, start(name, ...args));
}

async function outputOf(name: string, program: Program): Promise<string> {
  await once(program.child, 'close');
  const status = program.child.exitCode;
  if (status !== 0) throw new Error(`${name} exited with ${status}: ${program.output}`);
  return program.output;
}

/** Ends a worker by a signal, and gives what it printed. */
async function end(program: Program, signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
  const closed = once(program.child, 'close');
  program.child.kill(signal);
  await closed;
  expect(program.child.exitCode).toBe(0);
  return program.output;
}

beforeAll(async () => {
  ({ endpoint } = await startDaemon());
  project = userProject();
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await removeDaemons();
});

describe('the examples, as a user runs them', () => {
  it('echo-client and many-outstanding are answered by echo-worker, which drains on SIGTERM', async () => {
    const worker = start('echo-worker.js');
    expect(await run('echo-client.js', 'hello')).toBe('hello\n');
    expect(await run('many-outstanding.js', '2000')).toBe('2000 of 2000 answered\n');
    expect(await end(worker)).toBe(`echo serves at ${endpoint}\nclosed\n`);
  });

  it('streaming-client prints the parts of streaming-worker', async () => {
    const worker = start('streaming-worker.js');
    expect(await run('streaming-client.js', '3')).toBe('3\n2\n1\nlift-off!\n');
    expect(await end(worker, 'SIGINT')).toContain('closed');
  });

  it('shell.sh turns a command into a service, and calls it', async () => {
    const script = join(process.cwd(), 'examples', 'shell.sh');
    const main = join(BUILD, 'src', 'main.js');
    const child = spawn('sh', [script, endpoint], {
      env: { ...process.env, MAJORDOMO: `${process.execPath} ${main}` },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await once(child, 'close');
    expect(output).toBe('HELLO\n');
  });

  it('metrics-worker counts what its handlers do', async () => {
    const [port = 0] = await freePorts(1);
    const worker = start('metrics-worker.js', String(port));
    expect(await run('echo-client.js', 'hello')).toBe('hello\n');
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(await answer.text()).toContain('handler_seconds_count{service="echo",outcome="ok"} 1\n');
    await end(worker);
  });

  it('durable-client stores a request, and fetches its reply later', async () => {
    const durable = (...args: string[]): Promise<string> => {
      return outputOf('durable-client.js', startWith('durable-client.js', ...args));
    };
    const uuid = (await durable('enqueue', endpoint, 'stored')).trim();
    expect(uuid).toMatch(/^[0-9A-F]{32}$/);
    expect((await durable('enqueue', endpoint, 'stored')).trim()).toBe(uuid);
    const worker = start('echo-worker.js');
    expect(await durable('result', endpoint, uuid)).toBe('stored\n');
    await expect(durable('result', endpoint, uuid)).rejects.toThrow('unknown: closed, expired');
    await end(worker);
  });

  it('abort gives up a request that nobody serves', async () => {
    expect(await run('abort.js')).toBe('ERR_MDP_ABORTED\n');
  });

  it('price-publisher is read by a snail, which stops when it is too slow, by shards and a tap', async () => {
    const [port = 0] = await freePorts(1);
    const feed = `tcp://127.0.0.1:${port}`;
    const publisher = startWith('price-publisher.js', feed);
    const quick = startWith('suicidal-snail.js', feed, '0');
    await until(() => quick.output !== '', 'a price');
    expect(await end(quick)).toMatch(/^(price\.gold \{"tick":\d+,"price":\d+\}\n)+$/);
    const shards = startWith('black-box.js', feed);
    const parts = [
      /^shard 0: price\.gold /m,
      /^shard 0: price\.silver /m,
      /^shard 1: price\.tin /m,
    ];
    await until(() => parts.every((part) => part.test(shards.output)), 'prices of both shards');
    expect(await end(shards, 'SIGINT')).not.toMatch(/shard 0: price\.tin|shard 1: price\.[^t]/);
    const slow = startWith('suicidal-snail.js', feed, '300');
    await once(slow.child, 'close');
    expect(slow.child.exitCode).toBe(1);
    expect(slow.output).toMatch(/^price\.gold .*\ntoo slow: .*1000/s);
    const tap = startWith('tap.js', feed);
    const metals = ['gold', 'silver', 'tin'].map((metal) => `price.${metal} `);
    await until(() => metals.every((each) => tap.output.includes(each)), 'all prices');
    await end(tap);
    expect(await end(publisher)).toBe(`publishing at ${feed}\n`);
  });

  it('are all covered here', () => {
    const programs = readdirSync(EXAMPLES).filter((name) => name.endsWith('.js'));
    expect([...ran].sort()).toEqual(programs.sort());
  });
});
