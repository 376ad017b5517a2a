/** The programs of docs/patterns.md, as they stand there, against a broker with its listeners. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import { parse } from 'yaml';

import { blocksOf } from '../support/blocks.js';
import { freePorts, freePortsInARow } from '../support/free-ports.js';
import { itWithTool, PYTHON } from '../support/tools.js';
import { type Page, removePages, run, startPage } from './support/page-programs.js';

const PATTERNS = 'docs/patterns.md';
const TOOL = 'python3-zmq';
/** How long a worker lives that comes and goes. */
const WORKER_MS = 500;

interface Configuration {
  readonly broker: { readonly listen: readonly unknown[] };
}

let page: Page;
let ports: readonly number[];
/** The first of the map's three. */
let map: number;

/** With the ports of this test instead of those of the page. */
function moved(text: string): string {
  return text
    .replaceAll(/:555([5678])/g, (_, last: string) => `:${ports[Number(last) - 5] ?? 0}`)
    .replaceAll(/:557([012])/g, (_, last: string) => `:${map + Number(last)}`);
}

function program(words: string, name = 'program.py'): string {
  const found = blocksOf(PATTERNS, 'python').filter(({ text }) => text.includes(words));
  expect([words, found.length]).toEqual([words, 1]);
  return page.saved(name, moved(found[0]?.text ?? ''));
}

async function printed(words: string): Promise<string> {
  return (await run(PYTHON, [program(words)])).stdout;
}

beforeEach(async () => {
  ports = await freePorts(4);
  map = await freePortsInARow(3);
  const [configuration] = blocksOf(PATTERNS, 'yaml');
  const { broker } = parse(moved(configuration?.text ?? '')) as Configuration;
  page = await startPage([
    `broker.listen=${JSON.stringify(broker.listen)}`,
    moved('events.listen=tcp://127.0.0.1:5558'),
    moved('map.listen=tcp://127.0.0.1:5570'),
  ]);
});

afterEach(removePages);

describe(PATTERNS, () => {
  itWithTool(TOOL, 'a Simple Pirate answers requests of every kind', async () => {
    page.start(PYTHON, [program('zmq.REQ)\nworker')]);
    await page.daemon.waitFor('worker.registered');
    const [command = ''] = blocksOf(PATTERNS, 'sh').map(({ text }) => text);
    expect(await page.shell(command)).toBe('HELLO\n');
    expect(await page.shell(command.replace('request', 'request --durable'))).toBe('HELLO\n');
    expect(await printed('def request(')).toBe("[b'HELLO']\n");
    expect(await printed('zmq.ROUTER')).toBe("b'PONG'\n[b'1', b'HELLO']\n");
  });

  itWithTool(TOOL, 'a copy of the map has what is there, and each change', async () => {
    expect(readFileSync(PATTERNS, 'utf8')).toContain('`map.listen: tcp://127.0.0.1:5570`');
    const commands = blocksOf(PATTERNS, 'sh').map(({ text }) => text);
    const command = commands.find((text) => text.includes('map set')) ?? '';
    // The default time-out is less than a busy machine may stall.
    const [set = '', watch = ''] = command.split('\n').map((line) => `${line} --timeout-ms 30000`);
    await page.shell(set);
    const copy = page.start(PYTHON, [program('KTHXBAI')]);
    await copy.says("{b'/config/word': b'hello'}\n");
    const watching = page.startShell(watch);
    for (let count = 0; !watching.said.includes('/config/word'); count++) {
      await page.shell(set.replace('hello', `hello${count}`));
      await pause(WORKER_MS);
    }
    await page.shell(set.replace('hello', 'bye'));
    await copy.says("b'/config/word' b'bye'\n");
    await watching.says('set   /config/word  bye\n');
  });

  itWithTool(TOOL, 'subscribers see what happens in the broker', async () => {
    expect(readFileSync(PATTERNS, 'utf8')).toContain('`events.listen: tcp://127.0.0.1:5558`');
    const commands = blocksOf(PATTERNS, 'sh').map(({ text }) => text);
    const command = commands.find((text) => text.includes('majordomo-broker events')) ?? '';
    const printing = page.startShell(command);
    const worker = program('zmq.REQ)\nworker');
    while (!printing.said.includes('worker.lost')) {
      const pirate = page.start(PYTHON, [worker]);
      await pause(WORKER_MS);
      await pirate.kill();
    }
    await printing.says('worker.lost  service=upper');
  });

  itWithTool(TOOL, 'a Paranoid Pirate answers', async () => {
    page.start(PYTHON, [program('zmq.DEALER)\n    socket.linger')]);
    await page.daemon.waitFor('worker.registered');
    expect(await printed('def request(')).toBe("[b'HELLO']\n");
  });
});
