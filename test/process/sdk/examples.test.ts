import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../support/free-ports.js';
import { removeDaemons, startDaemon, temporaryDirectory } from '../../support/daemon.js';
import { MAIN, run as runCommand } from '../../support/child.js';
import { itWithTool, PYTHON, toolAvailable } from '../../support/tools.js';
import { until } from '../../support/until.js';

const BUILD = fileURLToPath(new URL('../../../', import.meta.url));
const EXAMPLES = join(BUILD, 'examples');
/** The SDK as compiled for the tests, under its name. (`test/process/deploy` has the packed one.) */
const PACKAGE = { name: 'majordomo-sdk', type: 'module', exports: './dist/sdk/index.js' };

let project: string;
let endpoint: string;
/** Where Simple Pirates register, of the service `pirate`. */
let pirates: string;
let map: string;
const children: ChildProcess[] = [];
/** Run with the pages that link to them: in test/interop/recipes.test.ts and test/unit/programs/webhooks.test.ts. */
const ELSEWHERE = ['http-front.js', 'verify-webhook.js', 'verify_webhook.py'];
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
  return startAt(name, process.execPath, join(project, name), ...args);
}

function startPython(name: string, ...args: string[]): Program {
  return startAt(name, PYTHON, join(process.cwd(), 'examples', name), ...args);
}

function startAt(name: string, interpreter: string, ...args: string[]): Program {
  ran.add(name);
  const child = spawn(interpreter, args, {
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

/** What a command prints that asks the broker. */
async function command(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runCommand([...args, '--endpoint', endpoint]);
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

async function untilAnswered(ask: () => Promise<string>, answer: string): Promise<void> {
  await until(async () => (await ask()) === answer, answer);
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
  const [port = 0] = await freePorts(1);
  pirates = `tcp://127.0.0.1:${port}`;
  const listen = ['tcp://127.0.0.1:0', { endpoint: pirates, service: 'pirate', allow: ['worker'] }];
  const sets = [`broker.listen=${JSON.stringify(listen)}`, 'map.listen=tcp://127.0.0.1:0'];
  const daemon = await startDaemon({ endpoint: null, sets });
  endpoint = daemon.endpoints[0] ?? '';
  map = String(daemon.logged('broker.ready')[0]?.['map']);
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
    const child = spawn('sh', [script, endpoint], {
      env: { ...process.env, MAJORDOMO: `${process.execPath} ${MAIN}` },
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
    const counted = 'handler_seconds_count{service="echo",outcome="ok"} 1\n';
    await until(async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
      return (await answer.text()).includes(counted);
    }, counted);
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

  it('service-directory lists the instances, also one that was killed', async () => {
    const one = startWith('service-directory.js', 'one', map);
    await until(() => one.output.includes('one is there; 1 in all\n'), 'one');
    const two = startWith('service-directory.js', 'two', map);
    await until(() => one.output.includes('two is there; 2 in all\n'), 'two');
    two.child.kill('SIGKILL');
    await until(() => one.output.includes('two is gone; 1 in all\n'), 'the end of its key');
    const again = startWith('service-directory.js', 'two', map);
    await until(() => again.output.includes('one is there'), 'what is there already');
    await until(() => one.output.split('two is there').length >= 3, 'two again');
    await end(again);
    await until(() => one.output.split('two is gone').length >= 3, 'its farewell');
    await end(one, 'SIGINT');
  });

  it('live-configuration answers as the map says', async () => {
    const worker = startWith('live-configuration.js', endpoint, map);
    const greet = async (): Promise<string> =>
      await command('request', '--wait', 'greeting', 'you');
    expect(await greet()).toBe('hello, you\n');
    await command('map', 'set', '/config/greeting/word', 'welcome');
    await until(() => worker.output.includes('welcome'), 'the change');
    expect(await greet()).toBe('welcome, you\n');
    await command('map', 'rm', '/config/greeting/word');
    await until(() => worker.output.includes('by default'), 'the deletion');
    expect(await greet()).toBe('hello, you\n');
    await end(worker);
  });

  itWithTool('python3-zmq', 'service_directory.py is in the same directory', async () => {
    const one = startPython('service_directory.py', 'one', map);
    await until(() => one.output.includes('one\n'), 'one');
    const two = startWith('service-directory.js', 'two', map);
    await until(() => one.output.includes('one two\n'), 'two');
    await until(() => two.output.includes('one is there'), 'one, for two');
    await end(two);
    // A line for each change: those of its own renewals may have come, too.
    await until(() => one.output.endsWith('\none\n'), 'its farewell');
    one.child.kill('SIGKILL');
  });

  itWithTool('python3-zmq', 'live_configuration.py answers as the map says', async () => {
    const worker = startPython('live_configuration.py', pirates, map);
    const greet = async (): Promise<string> => await command('request', '--wait', 'pirate', 'you');
    expect(await greet()).toBe('hello, you\n');
    await command('map', 'set', '/config/greeting/word', 'ahoy');
    await untilAnswered(greet, 'ahoy, you\n');
    await command('map', 'rm', '/config/greeting/word');
    await untilAnswered(greet, 'hello, you\n');
    worker.child.kill('SIGKILL');
  });

  it('are all covered, here or by the test of the page that links them', () => {
    const compiled = readdirSync(EXAMPLES).filter((name) => name.endsWith('.js'));
    const others = readdirSync('examples').filter((name) => name.endsWith('.py'));
    const programs = toolAvailable('python3-zmq') ? [...compiled, ...others] : compiled;
    const elsewhere = ELSEWHERE.filter((name) => programs.includes(name));
    expect([...ran, ...elsewhere].sort()).toEqual(programs.sort());
  });
});
