/** The programs and commands of docs/servers.md and docs/coming-from, as they stand there; only ports differ. */
import { blocksOf } from '../support/blocks.js';
import { freePorts } from '../support/free-ports.js';
import { itWithTool, PYTHON } from '../support/tools.js';
import { until } from '../support/until.js';
import {
  type Page,
  type PageProgram,
  removePages,
  run,
  startPage,
} from './support/page-programs.js';

const PAGE = 'docs/servers.md';
const PORTS = [5555, 5600, 5601, 5602, 8001];
const PYTHON_CLIENT = { PYTHONPATH: `${process.cwd()}/packages/python` };

let page: Page;
let ports: readonly number[];

function moved(text: string): string {
  return text.replace(/\b(5555|560\d|8001)\b/g, (port) => `${ports[PORTS.indexOf(Number(port))]}`);
}

beforeEach(async () => {
  page = await startPage();
  ports = await freePorts(PORTS.length);
  for (const { name, text } of blocksOf(PAGE, 'python')) page.saved(name, moved(text));
});

afterEach(removePages);

/** The lines of a box, each of which goes on by itself. */
function linesWith(words: string): readonly string[] {
  const box = blocksOf(PAGE, 'sh').find(({ text }) => text.includes(words));
  const lines = moved(box?.text ?? '')
    .replace(/^python3 /gm, `exec ${PYTHON} `)
    .trim()
    .split('\n');
  expect(lines.join()).toContain(moved(words));
  return lines.map((line) => line.replace(/ &$/, '').replace(/^npx/, 'exec npx'));
}

function start(line = ''): PageProgram {
  return page.startShell(line, { MAJORDOMO_URL: `tcp://127.0.0.1:${ports[0]}` });
}

/** A broker of the page, and its worker, registered for `count` servers. */
async function broker(count: number, [serve, worker]: readonly string[]): Promise<void> {
  const log = start(`${serve} --set http.listen=off`);
  start(worker);
  await until(
    () => log.said.split('"worker.registered"').length > count,
    'the servers are registered',
  );
}

itWithTool(
  'python3-zmq',
  'a server is killed: its client waits before, and not after',
  async () => {
    const [one = '', two = '', alone = ''] = linesWith('server.py 5601');
    const servers = [start(one), start(two)];
    const before = start(alone);
    await before.says('hello 2, says');
    await servers[0]?.kill();
    await broker(1, linesWith('broker.listen'));
    expect(before.process.exitCode).toBeNull();
    await before.kill();
    start(one);
    const after = start(linesWith('client.py 5600')[0]);
    await after.says('hello 3, says');
    await servers[1]?.kill();
    await after.ended;
    expect(
      after.said
        .trim()
        .split('\n')
        .map((line) => line.split(',')[0]),
    ).toEqual(Array.from({ length: 20 }, (_, number) => `hello ${number}`));
  },
);

itWithTool('python3-zmq', 'a web server answers a request', async () => {
  const [serve = ''] = linesWith('broker.listen');
  const [web, worker, request] = linesWith('web.py 8001');
  start(web);
  await broker(1, [serve, worker ?? '']);
  const asked = start(request);
  await asked.ended;
  expect(asked.said).toBe('HELLO\n');
});

describe.each([
  ['zerorpc', '3\n'],
  ['celery', '5\n'],
])('coming-from/%s.md', (name, printed) => {
  itWithTool(
    'python3-zmq',
    `has a worker and a client, which prints ${printed.trim()}`,
    async () => {
      const programs = blocksOf(`docs/coming-from/${name}.md`, 'python').map((block) =>
        page.saved(block.name, block.text),
      );
      page.start(PYTHON, [programs[0] ?? ''], PYTHON_CLIENT);
      await page.daemon.waitFor('worker.registered');
      const env = { ...process.env, ...PYTHON_CLIENT };
      expect((await run(PYTHON, [programs[1] ?? ''], { env })).stdout).toBe(printed);
    },
  );
});
