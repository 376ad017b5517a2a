/**
 * What a node costs that has many workers and nothing to do: each has a service of its own. Its CPU time, what one
 * `GET /metrics` takes of the event loop, and, with Chromium, how long the page takes to its first view.
 *
 *     npm run bench:idle                       # 10,000 workers, about a minute; needs gcc
 *     npm run bench:idle -- --workers 2000 --seconds 10
 */
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { chromium } from 'playwright-core';

import { type Daemon, removeDaemons, startDaemon } from '../test/support/daemon.js';
import { httpOf } from '../test/support/http.js';
import { toolAvailable } from '../test/support/tools.js';
import { compileGenerator, runLoad } from './generator.js';
import { median } from './measure.js';

const SCRAPES = 7;
const VIEWS = 5;
/** One rendering of the metrics answers all requests that come soon after it. */
const SCRAPE_PAUSE_MS = 1500;
/** Until all workers are there again. */
const SETTLE_MS = 15_000;
/** For so long they stay for the scrapes and the page. */
const VISITED_SECONDS = 180;
const BOUNDS = { cpuPercent: 7, scrapeMs: 50, viewMs: 1000 };

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '20' },
  },
});
const workers = Number(values.workers);
const seconds = Number(values.seconds);

/** Nanoseconds of CPU time of the thread with the event loop. */
function loopNs({ process: { pid = 0 } }: Daemon): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')[0]);
}

/** Milliseconds of the event loop that `work` takes, without what it takes when idle. */
async function loopMs(daemon: Daemon, work: () => Promise<unknown>): Promise<number> {
  const [idleFrom, idleAt] = [loopNs(daemon), performance.now()];
  await sleep(SCRAPE_PAUSE_MS);
  const [from, at] = [loopNs(daemon), performance.now()];
  const idlePerMs = (from - idleFrom) / (at - idleAt);
  await work();
  return (loopNs(daemon) - from - idlePerMs * (performance.now() - at)) / 1e6;
}

async function scrapes(daemon: Daemon): Promise<void> {
  const costs: number[] = [];
  let bytes = 0;
  const scrape = async (): Promise<void> => {
    const answer = await fetch(`${httpOf(daemon)}/metrics`);
    bytes = (await answer.arrayBuffer()).byteLength;
  };
  for (let count = 0; count < SCRAPES; count++) costs.push(await loopMs(daemon, scrape));
  const size = `${(bytes / 1e6).toFixed(1)} MB`;
  print('GET /metrics, of the event loop', `${median(costs).toFixed(0)} ms`, BOUNDS.scrapeMs, size);
}

async function views(daemon: Daemon): Promise<void> {
  if (!toolAvailable('chromium')) return;
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    for (const place of ['overview', 'services']) {
      const times: number[] = [];
      for (let count = 0; count < VIEWS; count++) {
        const context = await browser.newContext();
        const page = await context.newPage();
        const from = performance.now();
        await page.goto(`${httpOf(daemon)}/#/${place}`);
        await page.locator('main tbody tr').first().waitFor();
        times.push(performance.now() - from);
        await context.close();
      }
      const worst = `the longest ${Math.max(...times).toFixed(0)} ms`;
      print(`first view, ${place}`, `${median(times).toFixed(0)} ms`, BOUNDS.viewMs, worst);
    }
  } finally {
    await browser.close();
  }
}

function print(title: string, text: string, bound: number | string, more = ''): void {
  process.stdout.write(`${title.padEnd(36)} ${text.padStart(8)}  (bound ${bound}) ${more}\n`);
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-idle-'));
try {
  const generator = compileGenerator(directory);
  // One address may have seven eighths of each. No worker may be lost before the last one is there.
  const most = Math.ceil((workers * 8) / 7) + 16;
  const limits = ['workers', 'services', 'connections'].map((of) => `limits.${of}=${most}`);
  const daemon = await startDaemon({
    sets: ['http.listen=127.0.0.1:0', 'broker.heartbeatLiveness=24', ...limits],
  });
  const target = {
    protocol: 'mdp',
    port: Number(new URL(daemon.endpoint).port),
    pid: daemon.process.pid ?? 0,
  } as const;
  const load = { clients: 1, workers, services: workers, outstanding: 1, rate: 1 };
  const run = (forSeconds: number, warmupSeconds: number): ReturnType<typeof runLoad> =>
    runLoad(generator, load, target, { seconds: forSeconds, warmupSeconds }, null);
  const { brokerCpuSeconds, seconds: taken, brokerResidentBytes } = await run(seconds, 5);
  print(
    `${workers} idle workers, CPU`,
    `${((100 * brokerCpuSeconds) / taken).toFixed(1)} %`,
    `${BOUNDS.cpuPercent} %`,
    `${(brokerResidentBytes / 2 ** 20).toFixed(0)} MiB`,
  );
  const there = run(VISITED_SECONDS, 1).then(() => {
    throw new Error('the workers left before all was measured');
  });
  const visited = async (): Promise<void> => {
    await sleep(SETTLE_MS);
    await scrapes(daemon);
    await views(daemon);
  };
  await Promise.race([there, visited()]);
  daemon.process.kill('SIGKILL');
  await there.catch(() => undefined);
} finally {
  await removeDaemons();
  rmSync(directory, { recursive: true, force: true });
}
