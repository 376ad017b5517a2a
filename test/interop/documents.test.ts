/** The programs of README.md and of pages of docs/, as they stand there, against a broker. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { blocksOf } from '../support/blocks.js';
import { freePorts } from '../support/free-ports.js';
import { itWithTool, PYTHON } from '../support/tools.js';
import { type Page, removePages, run, startPage } from './support/page-programs.js';

const README = 'README.md';
const SHELL = 'docs/languages/shell.md';
const DURABLE = 'docs/durable.md';
const SECURITY = 'docs/security.md';

let page: Page;

/** The only block of a page in that language that has these words. */
function block(path: string, language: string, words: string): string {
  const blocks = blocksOf(path, language).filter(({ text }) => text.includes(words));
  expect([path, words, blocks.length]).toEqual([path, words, 1]);
  return blocks[0]?.text ?? '';
}

/** The worker `upper` in a line of shell. */
function startUpper(environment: Readonly<Record<string, string>> = {}): void {
  page.startShell(block(SHELL, 'sh', 'worker upper'), environment);
}

/** A worker for `reverse` that does not come from the page under test. */
async function startReverse(): Promise<void> {
  page.majordomo('worker', 'reverse', '--', process.execPath, '-e', REVERSE);
  await page.daemon.waitFor('worker.registered');
}

/** Compiles a program of a page. @returns its path */
async function compiled(compiler: string, source: string, ...options: string[]): Promise<string> {
  const program = `${source}.out`;
  await run(compiler, [...options, '-Wall', '-Werror', '-o', program, source, '-lzmq']);
  return program;
}

beforeEach(async () => {
  page = await startPage();
});

afterEach(removePages);

describe('README.md', () => {
  it('has a worker and a client in TypeScript that are also JavaScript', async () => {
    page.start(process.execPath, [page.saved('worker.mjs', block(README, 'ts', 'new Worker'))]);
    await page.daemon.waitFor('worker.registered');
    const client = page.saved('client.mjs', block(README, 'ts', 'client.request'));
    expect((await run(process.execPath, [client])).stdout).toBe('HELLO\n');
    const durable = page.saved('durable.mjs', block(README, 'ts', 'client.enqueue'));
    const { stdout } = await run(process.execPath, [durable]);
    expect(stdout).toMatch(/^on disk: [0-9A-F]{32}\nORDER 17\n$/);
  });

  itWithTool('python3-zmq', 'has a worker and a client in Python', async () => {
    const environment = { PYTHONPATH: resolve('packages/python') };
    const env = { ...process.env, ...environment };
    const saved = (name: string): string => page.saved(name, block(README, 'python', `# ${name}`));
    page.start(PYTHON, [saved('worker.py')], environment);
    await page.daemon.waitFor('worker.registered');
    expect((await run(PYTHON, [saved('client.py')], { env })).stdout).toBe('HELLO\n');
    const { stdout } = await run(PYTHON, [saved('durable.py')], { env });
    expect(stdout).toMatch(/^on disk: [0-9A-F]{32}\nORDER 17\n$/);
  });

  it('has a durable request', async () => {
    expect(await page.shell(block(README, 'sh', '--durable'))).toMatch(/^[0-9A-F]{32}\n$/);
  });
});

describe(DURABLE, () => {
  it('has a request whose reply is fetched later', async () => {
    const [submit = '', result = '', close = ''] = block(DURABLE, 'sh', '--no-wait').split('\n');
    const uuid = (await page.shell(submit)).trim();
    startUpper();
    await page.daemon.waitFor('worker.registered');
    expect(await page.shell(result.replace('UUID', uuid))).toBe('HELLO\n');
    await page.shell(close.replace('UUID', uuid));
  });
});

describe(SECURITY, () => {
  it('has a listener with CURVE, and a client that it lets in', async () => {
    const [open = 0, sealed = 0] = await freePorts(2);
    const moved = (text: string): string =>
      text.replace(':5555', `:${open}`).replace('127.0.0.1:5557', `127.0.0.1:${sealed}`);
    await page.shell(block(SECURITY, 'sh', 'keygen broker.key'));
    const configuration = moved(block(SECURITY, 'yaml', 'keysFile'));
    writeFileSync(join(page.directory, 'broker.yaml'), configuration);
    const [serve = '', request = ''] = moved(block(SECURITY, 'sh', '--curve-key-file')).split(
      ' &\n',
    );
    const broker = page.startShell(`exec ${serve}`, { MAJORDOMO_HTTP__LISTEN: 'off' });
    startUpper({ MAJORDOMO_URL: `tcp://127.0.0.1:${open}` });
    await broker.says('worker.registered');
    expect(await page.shell(request)).toBe('HELLO\n');
  });
});

describe('docs/languages', () => {
  it('shell.md has a worker and a client', async () => {
    startUpper();
    await page.daemon.waitFor('worker.registered');
    expect(await page.shell(block(SHELL, 'sh', 'request upper'))).toBe('HELLO\n');
  });

  it('shell.md has a worker that packs a file, byte for byte', async () => {
    const [worker = '', request = ''] = block(SHELL, 'sh', 'gzip').split('\n');
    page.startShell(worker.replace(/ &$/, ''));
    await page.daemon.waitFor('worker.registered');
    const text = readFileSync(README, 'utf8');
    writeFileSync(join(page.directory, 'README.md'), text);
    await page.shell(request);
    const packed = readFileSync(join(page.directory, 'README.md.gz'));
    expect(gunzipSync(packed).toString()).toBe(text);
  });

  itWithTool('python3-zmq', 'python.md has a worker and a client (7/MDP)', async () => {
    const path = 'docs/languages/python.md';
    page.start(PYTHON, [page.saved('worker.py', block(path, 'python', 'MDPW01'))]);
    await page.daemon.waitFor('worker.registered');
    const client = block(path, 'python', 'MDPC01');
    const { stdout } = await run(PYTHON, [page.saved('client.py', client)]);
    expect(stdout).toBe("[b'olleh']\n");
  });

  itWithTool('gcc and libzmq3-dev', 'c.md has a client (7/MDP)', async () => {
    await startReverse();
    const source = page.saved('client.c', block('docs/languages/c.md', 'c', 'MDPC01'));
    const { stdout } = await run(await compiled('gcc', source), []);
    expect(stdout).toBe('olleh\n');
  });

  itWithTool('gcc and libzmq3-dev', 'c.md has a worker (7/MDP)', async () => {
    const source = page.saved('worker.c', block('docs/languages/c.md', 'c', 'MDPW01'));
    page.start(await compiled('gcc', source), []);
    await page.daemon.waitFor('worker.registered');
    expect(await page.shell('majordomo request reverse hello')).toBe('olleh\n');
  });

  itWithTool('g++ and cppzmq-dev', 'cpp.md has a client (7/MDP)', async () => {
    await startReverse();
    const source = page.saved('client.cpp', block('docs/languages/cpp.md', 'cpp', 'MDPC01'));
    const { stdout } = await run(await compiled('g++', source, '-std=c++17'), []);
    expect(stdout).toBe('olleh\n');
  });

  itWithTool('g++ and cppzmq-dev', 'cpp.md has a worker (18/MDP)', async () => {
    const source = page.saved('worker.cpp', block('docs/languages/cpp.md', 'cpp', 'MDPW02'));
    page.start(await compiled('g++', source, '-std=c++17'), []);
    await page.daemon.waitFor('worker.registered');
    expect(await page.shell('majordomo request reverse hello')).toBe('olleh\n');
  });
});

const REVERSE =
  "const t = require('fs').readFileSync(0, 'utf8'); process.stdout.write([...t].reverse().join(''))";
