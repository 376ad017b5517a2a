// Takes the screenshots of docs/img: a pair of brokers under a realistic load, in Chromium. npm run
// screenshots
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import { freePort } from './free-port.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const { Client } = await import(new URL('../compiled/sdk/client.js', import.meta.url).href);
const { SharedMap } = await import(new URL('../compiled/sdk/map.js', import.meta.url).href);
const { ServiceError, Worker } = await import(
  new URL('../compiled/sdk/worker.js', import.meta.url).href
);

/** Long enough to fill the charts of two minutes. */
const WARM_UP_MS = 125_000;
const BYTES_MAX = 150 * 1024;

/** Service → its response time, its workers, its requests per second. */
const SERVICES = {
  'geo.lookup': { ms: [1, 6], workers: 4, rate: 90 },
  'image.resize': { ms: [12, 40], workers: 3, rate: 25 },
  'invoice.pdf': { ms: [60, 160], workers: 2, rate: 14 },
  'mail.send': { ms: [30, 90], workers: 2, rate: 12 },
  'price.quote': { ms: [0, 2], workers: 4, rate: 160 },
  search: { ms: [4, 25], workers: 4, rate: 60 },
};

/** The token without which uuids are shortened and a request's history is not shown. */
const TOKEN = 'token-of-the-screenshots';

function node(name, role, directory, [own, peer]) {
  const sets = [
    `node.name=${name}`,
    `node.dataDir=${join(directory, name)}`,
    'broker.listen=tcp://127.0.0.1:0',
    'http.listen=127.0.0.1:0',
    'map.listen=tcp://127.0.0.1:0',
    `http.token=${TOKEN}`,
    'log.format=json',
    `bstar.role=${role}`,
    `bstar.listen=tcp://127.0.0.1:${own}`,
    `bstar.peer=tcp://127.0.0.1:${peer}`,
  ];
  const args = [join(root, 'dist/main.js'), 'serve', ...sets.flatMap((set) => ['--set', set])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ready = new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      const lines = text.split('\n').slice(0, -1);
      const line = lines.find((each) => each.includes('"broker.ready"'));
      if (line !== undefined) resolve(JSON.parse(line));
    });
    child.once('exit', () => reject(new Error(`${name} ended: ${text}`)));
  });
  return { child, ready };
}

const REFUSALS = [
  ['mailbox_full', 'The mailbox of the recipient is full'],
  ['greylisted', 'The server asks to come again in five minutes'],
  ['no_such_user', 'The recipient does not exist'],
];

function refusal() {
  const [code, message] = REFUSALS[Math.floor(Math.random() ** 2 * REFUSALS.length)];
  return new ServiceError(code, message, { retry: code === 'greylisted' });
}

function startWorkers(endpoints) {
  const workers = Object.entries(SERVICES).flatMap(([service, { ms, workers: count }]) => {
    const [least, most] = ms;
    const handler = async ({ frames }) => {
      await sleep(least + Math.random() * (most - least));
      if (service === 'mail.send' && Math.random() < 0.08) throw refusal();
      return frames;
    };
    const options = { endpoints, service, concurrency: 4 };
    return Array.from({ length: count }, () => new Worker(options, handler));
  });
  const fails = () => {
    throw new ServiceError('gateway_down', 'The card gateway answers 502');
  };
  workers.push(new Worker({ endpoints, service: 'card.charge' }, fails));
  // Its failures are on purpose.
  for (const worker of workers) {
    void worker
      .on('failed', () => {})
      .on('lost', () => {})
      .run();
  }
  return workers;
}

/** Sends requests in waves, until `over`. */
async function requests(client, service, rate, over) {
  const ignore = () => {};
  const beganAt = Date.now();
  while (!over.signal.aborted) {
    const wave = 1 + 0.5 * Math.sin((Date.now() - beganAt) / 9000);
    client.request(service, 'hello').catch(ignore);
    await sleep(1000 / (rate * wave));
  }
}

async function durable(client, over) {
  for (let index = 0; index < 5; index++) {
    await client.submit('card.charge', 'order', { maxAttempts: 3 });
    await client.submit('report.monthly', 'x'.repeat(4000 * index));
  }
  while (!over.signal.aborted) {
    const job = await client.submit('mail.send', 'hello');
    if (Math.random() < 0.8) {
      void job.result({ timeoutMs: 60_000 }).then(
        () => job.close(),
        () => {},
      );
    }
    await sleep(400);
  }
}

const KEYS = {
  '/config/mail/sender': 'no-reply@example.org',
  '/config/search/index': '{"shards":4,"since":"2026-11-20"}',
  '/limits/invoice.pdf': '20',
  '/workers/eu-1': 'ready',
};

async function fillMap(map) {
  await map.synced;
  for (const [key, value] of Object.entries(KEYS)) {
    await map.set(key, value, key.startsWith('/workers/') ? { ttlMs: 600_000 } : {});
  }
}

async function take(browser, url, name, place, options = {}) {
  const { width = 1280, height = 860, colorScheme = 'light' } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    isMobile: width < 600,
  });
  // As entered in the page's dialog.
  await context.addInitScript((token) => {
    sessionStorage.setItem('majordomo.token', token);
  }, TOKEN);
  const page = await context.newPage();
  await page.goto(`${url}/${place}`);
  await sleep(4000);
  const path = join(root, 'docs/img', `${name}.png`);
  await page.screenshot({ path });
  await context.close();
  const { size } = statSync(path);
  console.log(`${name}.png  ${Math.round(size / 1024)} KiB`);
  if (size <= BYTES_MAX) return;
  console.error(`${name}.png is larger than ${BYTES_MAX} bytes: show less`);
  process.exitCode = 1;
}

const directory = mkdtempSync(join(tmpdir(), 'mdp-'));
const ports = [await freePort(), await freePort()];
const nodes = [
  node('left', 'primary', directory, ports),
  node('right', 'backup', directory, ports.toReversed()),
];
const over = new AbortController();
let workers = [];
let client = null;
let map = null;
let browser = null;
try {
  const [left, right] = await Promise.all(nodes.map(({ ready }) => ready));
  const endpoints = [...left.endpoints, ...right.endpoints];
  workers = startWorkers(endpoints);
  client = new Client({ endpoints, timeoutMs: 20_000 });
  map = new SharedMap({ endpoints: [left.map, right.map] });
  await fillMap(map);
  const running = Object.entries(SERVICES).map(([service, { rate }]) =>
    requests(client, service, rate, over),
  );
  running.push(requests(client, 'video.encode', 0.1, over), durable(client, over));
  await sleep(WARM_UP_MS);
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
  });
  const dead = await fetch(`${left.http}/api/v1/titanic/requests?state=dead&limit=1`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const [{ uuid }] = (await dead.json()).items;
  await take(browser, left.http, 'overview', '', { colorScheme: 'dark', height: 900 });
  await take(browser, left.http, 'services', '#/services', { height: 560 });
  await take(browser, left.http, 'service', '#/services/mail.send', { height: 1000 });
  await take(browser, left.http, 'durable', '#/durable', { height: 560 });
  await take(browser, left.http, 'request-history', `#/durable/${uuid}`, { height: 700 });
  await take(browser, left.http, 'map', '#/map', { height: 700 });
  await take(browser, left.http, 'pair', '#/pair', { height: 560, colorScheme: 'dark' });
  await take(browser, left.http, 'phone', '', { width: 390, height: 844, colorScheme: 'dark' });
  over.abort();
  await Promise.race([Promise.all(running), sleep(15_000)]);
} finally {
  over.abort();
  await browser?.close();
  await Promise.all(workers.map((worker) => worker.close({ graceMs: 0 })));
  await client?.close();
  await map?.close();
  for (const { child } of nodes) {
    child.kill();
    if (child.exitCode === null) await once(child, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
}
