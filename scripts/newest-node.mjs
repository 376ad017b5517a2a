/**
 * Runs broker, commands and SDK on the newest versions of Node.js, as a user would. `npm run build:sdk` must have run.
 *
 *     node scripts/newest-node.mjs            # those of package.json (`testedNodes`)
 *     npm run newest-node                     # what npm has newest of each line, from the oldest that is supported on
 *     node scripts/newest-node.mjs 26.9.0 …   # these
 *
 * With `npm run newest-node`, versions that passed are written where the old ones stand. Exit status 1 if one failed, or
 * if a fast way of the broker is not taken on it (docs/adr/0002).
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MAIN = join(ROOT, 'dist', 'main.js');
const PROGRAM = 'newest-node-program.mjs';
const PACKAGE = `node-${process.platform}-${process.arch}`;
/** Where a raised version is written. */
const NAMED_IN = ['package.json', 'Dockerfile', 'docs/stability.md', 'docs/installing.md'];
const TOKEN = 'a-token-of-a-program';
const SETS = [
  'broker.listen=tcp://127.0.0.1:0',
  'http.listen=127.0.0.1:0',
  'node.dataDir=data',
  `http.tokens=[{name: shop, role: request, token: ${TOKEN}, client: [upper]}]`,
];
const CHECK_MS = 60_000;
/** Even lines get long-term support. */
const IS_LONG_TERM = (line) => line % 2 === 0;

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const lineOf = (version) => Number(version.split('.')[0]);

/** @returns the newest version of each line that npm has */
function newestOfEachLine() {
  const { stdout, status } = spawnSync('npm', ['view', PACKAGE, 'versions', '--json'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`npm view ${PACKAGE} failed`);
  const least = lineOf(manifest.engines.node.replace('>=', ''));
  const newest = new Map();
  // In npm's order, which is that of versions.
  for (const version of JSON.parse(stdout).filter((each) => /^[0-9.]+$/.test(each))) {
    const line = lineOf(version);
    if (line >= least && IS_LONG_TERM(line)) newest.set(line, version);
  }
  return [...newest.values()];
}

/** @returns the program of each version */
function install(versions, folder) {
  const specs = versions.map((version) => `node-${version}@npm:${PACKAGE}@${version}`);
  const args = ['install', '--silent', '--no-save', '--no-package-lock', '--prefix', folder];
  const { status } = spawnSync('npm', [...args, ...specs], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm could not install Node.js ${versions.join(', ')}`);
  return versions.map((version) => join(folder, 'node_modules', `node-${version}`, 'bin', 'node'));
}

/** A process of the Node under test. */
class Process {
  output = '';
  #child;
  #heard = () => undefined;

  constructor(node, args, cwd) {
    this.#child = spawn(node, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream.on('data', (chunk) => {
        this.output += chunk;
        this.#heard();
      });
    }
    this.ended = once(this.#child, 'close').then(([status]) => status);
  }

  /** @returns the first whole line that has this text */
  async line(text) {
    const ended = this.ended.then((status) => ({ status }));
    for (;;) {
      const lines = this.output.split('\n').slice(0, -1);
      const line = lines.find((each) => each.includes(text));
      if (line !== undefined) return line;
      const heard = new Promise((resolve) => (this.#heard = resolve));
      const end = await Promise.race([heard, ended]);
      if (end !== undefined) throw new Error(`ended with ${end.status} before ${text}`);
    }
  }

  async run() {
    const status = await this.ended;
    if (status !== 0) throw new Error(`exit status ${status}`);
    return this.output;
  }

  end(signal = 'SIGTERM') {
    this.#child.kill(signal);
  }
}

/** Connects, sends nothing, and waits for the greeting. */
async function bareConnect(endpoint) {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname);
  const closed = once(socket, 'close');
  const isGreeted = await Promise.race([once(socket, 'data').then(() => true), closed]);
  if (isGreeted !== true) throw new Error('the broker has closed it');
  socket.end();
  await closed;
}

function expectText(text, part, what) {
  if (!text.includes(part)) throw new Error(`${what} said ${JSON.stringify(text)}`);
}

async function overHttp(url) {
  for (const path of ['/livez', '/metrics', '/', '/api/v1/services']) {
    const { status } = await fetch(url + path);
    if (status !== 200) throw new Error(`GET ${path} was answered by ${status}`);
  }
  const headers = { authorization: `Bearer ${TOKEN}` };
  // The second has the head of the first.
  for (const body of ['one', 'two', 'three']) {
    const path = '/api/v1/services/upper/requests';
    const response = await fetch(url + path, { method: 'POST', headers, body });
    expectText(await response.text(), body.toUpperCase(), `POST ${path}`);
  }
}

async function check(version, node, work) {
  const folder = join(work, version);
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  symlinkSync(join(ROOT, 'packages', 'sdk'), join(folder, 'node_modules', 'majordomo-sdk'));
  writeFileSync(join(folder, PROGRAM), readFileSync(join(ROOT, 'scripts', PROGRAM)));
  const processes = [];
  const start = (...args) => {
    const made = new Process(node, args, folder);
    processes.push(made);
    return made;
  };
  let step = 'serve';
  const watch = setTimeout(() => {
    for (const each of processes) each.end('SIGKILL');
  }, CHECK_MS);
  try {
    const sets = SETS.flatMap((each) => ['--set', each]);
    const broker = start(MAIN, 'serve', ...sets);
    const ready = JSON.parse(await broker.line('"broker.ready"'));
    const [endpoint] = ready.endpoints;
    step = 'a bare connection';
    await bareConnect(endpoint);
    step = 'the SDK';
    await start(PROGRAM, endpoint).run();
    step = 'majordomo request';
    const worker = start(MAIN, 'worker', 'upper', '--endpoint', endpoint, '--', 'tr', 'a-z', 'A-Z');
    await broker.line('"service":"upper"');
    const asked = ['request', 'upper', 'hello', '--endpoint', endpoint];
    expectText(await start(MAIN, ...asked).run(), 'HELLO', 'majordomo request');
    step = 'HTTP';
    await overHttp(ready.http);
    step = 'the end';
    worker.end();
    await worker.run();
    broker.end();
    await broker.run();
    for (const event of ['runtime.unfamiliar', 'broker.crashed', 'http.failed']) {
      if (broker.output.includes(event)) throw new Error(await broker.line(event));
    }
    step = 'doctor';
    const { checks } = JSON.parse(await start(MAIN, 'doctor', '-o', 'json', ...sets).run());
    const runtime = checks.find(({ name }) => name === 'runtime');
    if (runtime?.state !== 'ok') throw new Error(runtime?.text ?? 'it has no runtime');
    console.log(`Node.js ${version}: all as expected`);
    return true;
  } catch (error) {
    console.log(`Node.js ${version}: FAILED: ${step}: ${error.message}`);
    for (const { output } of processes) console.log(output);
    return false;
  } finally {
    clearTimeout(watch);
    for (const each of processes) each.end('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
  }
}

/** Writes the versions where those of before stand. */
function raise(versions) {
  const text = new Map(NAMED_IN.map((path) => [path, readFileSync(join(ROOT, path), 'utf8')]));
  for (const version of versions) {
    const old = manifest.testedNodes.find((each) => lineOf(each) === lineOf(version));
    if (old === version) continue;
    if (old === undefined) {
      console.log(`A new line: name ${version} in ${NAMED_IN.join(', ')}`);
      continue;
    }
    for (const [path, before] of text) text.set(path, before.replaceAll(old, version));
    console.log(`${old} -> ${version} in ${NAMED_IN.join(', ')}`);
  }
  for (const [path, after] of text) writeFileSync(join(ROOT, path), after);
}

const args = process.argv.slice(2);
const isNewest = args[0] === '--newest';
const given = args.length > 0 ? args : manifest.testedNodes;
const versions = isNewest ? newestOfEachLine() : given;
const work = mkdtempSync(join(tmpdir(), 'majordomo-newest-node-'));
try {
  const nodes = install(versions, work);
  const passed = await Promise.all(versions.map((each, at) => check(each, nodes[at], work)));
  if (!passed.every(Boolean)) process.exitCode = 1;
  if (isNewest) raise(versions.filter((_version, at) => passed[at]));
} finally {
  rmSync(work, { recursive: true, force: true });
}
