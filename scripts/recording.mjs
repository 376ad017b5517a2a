/**
 * Makes docs/img/killed.svg, the moving picture of README.md, from a run that it records: a pair of brokers, two workers and a
 * client with one durable request. It kills the worker that has the request, then the active broker. `npm run recording`
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { freePort } from './free-port.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const { Client } = await import(new URL('../compiled/sdk/client.js', import.meta.url).href);

/** How long the picture takes before it begins anew. */
const LENGTH_MS = 20_000;
const WORK_MS = 4000;
const LANES = ['client', 'broker A', 'broker B', 'worker 1', 'worker 2'];

const WORKER = `
const { Worker } = await import(process.argv[1]);
const [, , endpoints] = process.argv;
const say = (what) => process.stdout.write(what + '\\n');
const worker = new Worker({ endpoints, service: 'upper' }, async (request) => {
  say('begins');
  await new Promise((resolve) => setTimeout(resolve, ${WORK_MS}));
  say('ends');
  return request.text().toUpperCase();
});
await worker.ready;
say('ready');
await worker.run();
`;

const children = [];
const startedAt = performance.now();
/** What happened: `{ ms, lane, what, detail }`. */
const events = [];
const waiting = [];

function note(lane, what, detail = '') {
  const event = { ms: performance.now() - startedAt, lane, what, detail };
  events.push(event);
  for (const { accepts, resolve } of [...waiting]) if (accepts(event)) resolve(event);
}

/** The next event of that kind. */
function next(what, lane) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${what} within a minute`)), 60_000);
    const accepts = (event) => event.what === what && (lane === undefined || event.lane === lane);
    waiting.push({
      accepts,
      resolve: (event) => {
        clearTimeout(timer);
        resolve(event);
      },
    });
  });
}

function start(args, onLine) {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  createInterface({ input: child.stdout }).on('line', onLine);
  return child;
}

function startBroker(lane, role, [own, peer], [endpoint, http], directory) {
  const sets = [
    `node.name=${role}`,
    `node.dataDir=${join(directory, role)}`,
    `broker.listen=${endpoint}`,
    `http.listen=127.0.0.1:${http}`,
    'log.format=json',
    `bstar.role=${role}`,
    `bstar.listen=tcp://127.0.0.1:${own}`,
    `bstar.peer=tcp://127.0.0.1:${peer}`,
  ];
  const args = [join(root, 'dist/main.js'), 'serve', ...sets.flatMap((set) => ['--set', set])];
  return start(args, (line) => {
    const { event, to } = JSON.parse(line);
    if (event === 'ha.changed') note(lane, to);
    if (event === 'ha.synced') note(lane, 'synced');
  });
}

function startWorker(lane, endpoints) {
  const sdk = new URL('../compiled/sdk/worker.js', import.meta.url).href;
  const args = ['--input-type=module', '--eval', WORKER, sdk, endpoints];
  return start(args, (line) => note(lane, line));
}

function kill(lane, child) {
  child.kill('SIGKILL');
  note(lane, 'killed');
}

/** Plays the story. @returns the moments from the first request on */
async function play(directory) {
  const ports = [await freePort(), await freePort()];
  const addresses = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const listens = addresses.slice(0, 2).map((port) => `tcp://127.0.0.1:${port}`);
  const brokers = [
    startBroker('broker A', 'primary', ports, [listens[0], addresses[2]], directory),
    startBroker('broker B', 'backup', ports.toReversed(), [listens[1], addresses[3]], directory),
  ];
  await Promise.all([next('active', 'broker A'), next('passive', 'broker B')]);
  const endpoints = listens.join();
  const first = startWorker('worker 1', endpoints);
  await next('ready', 'worker 1');
  await sleep(2000);
  const begun = next('begins', 'worker 1');
  const client = new Client({ endpoints, timeoutMs: 60_000 });
  await client.request('mmi.service', 'upper');
  note('client', 'asks');
  const job = await client.enqueue('upper', 'order 17');
  note('client', 'stored');
  await begun;
  startWorker('worker 2', endpoints);
  await sleep(2000);
  const again = next('begins', 'worker 2');
  kill('worker 1', first);
  await again;
  await sleep(1500);
  kill('broker A', brokers[0]);
  const reply = await job.result();
  note('client', 'answer', reply.text());
  await job.close();
  await client.close();
  const from = events.find(({ what }) => what === 'asks').ms - 1000;
  return events.map((event) => ({ ...event, ms: event.ms - from })).filter(({ ms }) => ms >= 0);
}

const LEFT = 92;
const RIGHT = 744;
const TOP = 16;
const ROW = 46;
const BAR = 18;
const HEIGHT = TOP + LANES.length * ROW + 54;

const xOf = (ms) => LEFT + ((RIGHT - LEFT) * ms) / LENGTH_MS;
const yOf = (lane) => TOP + LANES.indexOf(lane) * ROW + 24;
const shown = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** What moves: each part appears at its moment. */
function drawn(moments, totalMs) {
  const at = (lane, what) => moments.find((each) => each.lane === lane && each.what === what)?.ms;
  const style = [];
  const parts = [];
  const captions = [];
  const appear = (ms, until = LENGTH_MS) => {
    const name = `k${style.length}`;
    const [from, to] = [ms, until].map((time) => ((100 * time) / LENGTH_MS).toFixed(2));
    const hidden = `0%,${Math.max(0, from - 0.01).toFixed(2)}%{opacity:0}`;
    const gone =
      until < LENGTH_MS
        ? `${to}%{opacity:1}${(Number(to) + 0.01).toFixed(2)}%,100%{opacity:0}`
        : '100%{opacity:1}';
    style.push(
      `@keyframes ${name}{${hidden}${from}%{opacity:1}${gone}}.${name}{animation:${name} ${LENGTH_MS}ms infinite}`,
    );
    return name;
  };
  const bar = (lane, from, until, className) => {
    const name = `g${style.length}`;
    const [begin, end] = [from, until].map((time) => ((100 * time) / LENGTH_MS).toFixed(2));
    style.push(
      `@keyframes ${name}{0%,${begin}%{transform:scaleX(0)}${end}%,100%{transform:scaleX(1)}}` +
        `.${name}{transform-box:fill-box;transform-origin:left;animation:${name} ${LENGTH_MS}ms linear infinite}`,
    );
    const width = xOf(until) - xOf(from);
    parts.push(
      `<rect class="${className} ${name}" x="${xOf(from).toFixed(1)}" y="${yOf(lane)}" width="${width.toFixed(1)}" height="${BAR}" rx="4"/>`,
    );
  };
  const label = (lane, ms, text, className = '') =>
    parts.push(
      `<text class="${className} ${appear(ms)}" x="${(xOf(ms) + 3).toFixed(1)}" y="${yOf(lane) - 5}">${text}</text>`,
    );
  const cross = (lane) => {
    const ms = at(lane, 'killed');
    const [x, y] = [xOf(ms), yOf(lane) + BAR / 2];
    parts.push(
      `<path class="x ${appear(ms)}" d="M${(x - 6).toFixed(1)} ${y - 6}l12 12m0 -12l-12 12"/>`,
    );
    label(lane, ms, 'kill -9', 'xt');
  };
  const caption = (ms, text) => captions.push({ ms, text });

  for (const lane of LANES) {
    parts.push(`<text class="t" x="16" y="${yOf(lane) + 14}">${lane}</text>`);
    const from = lane === 'worker 2' ? at(lane, 'ready') : 0;
    bar(lane, from, at(lane, 'killed') ?? totalMs, 'life');
  }
  const stored = at('client', 'stored');
  const asked = at('client', 'asks');
  label('client', asked, 'order 17');
  for (const lane of ['broker A', 'broker B']) label(lane, stored, 'on disk', 'rt');
  caption(0, 'A client, two brokers, two workers: a run, recorded as it was.');
  caption(
    stored,
    `The client has its receipt after ${Math.round(stored - asked)} ms: the order is on both disks.`,
  );
  for (const lane of ['worker 1', 'worker 2']) {
    let begunAt = null;
    let text = lane === 'worker 1' ? 'works' : 'works on it';
    for (const { ms, what } of moments.filter((each) => each.lane === lane)) {
      if (what === 'begins') begunAt = ms;
      const isOver = what === 'ends' || what === 'killed';
      if (begunAt === null || !isOver) continue;
      bar(lane, begunAt, ms, 'work');
      label(lane, begunAt, text);
      text = 'and again: its answer was for the dead broker';
      begunAt = null;
    }
  }
  cross('worker 1');
  cross('broker A');
  const [lost, failed] = [at('worker 1', 'killed'), at('broker A', 'killed')];
  const [again, active] = [at('worker 2', 'begins'), at('broker B', 'active')];
  caption(lost, `The worker is killed. Another one has the order ${shown(again - lost)} later.`);
  caption(
    failed,
    `The broker is killed. The other one takes over ${shown(active - failed)} later.`,
  );
  label('broker B', active, 'active', 'rt');
  const answered = moments.find(({ what }) => what === 'answer');
  label('client', answered.ms, answered.detail, 'rt');
  caption(answered.ms, `The answer is there: ${answered.detail}. The client has only waited.`);
  captions.forEach(({ ms, text }, index) => {
    const name = appear(ms, captions[index + 1]?.ms);
    const isLast = index === captions.length - 1;
    parts.push(
      `<text class="cap ${name}${isLast ? ' last' : ''}" x="16" y="${HEIGHT - 22}">${text}</text>`,
    );
  });
  return { style, parts, captions };
}

function picture(moments) {
  const { style, parts, captions } = drawn(moments, LENGTH_MS);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 ${HEIGHT}" width="760" height="${HEIGHT}" role="img" aria-labelledby="t d">
<title id="t">A worker and a broker are killed, and the answer comes</title><desc id="d">${captions.map(({ text }) => text).join(' ')}</desc>
<!-- Written by \`npm run recording\`: run that instead of editing this. -->
<style>
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#56637a}
.t{font-size:13px;font-weight:600;fill:#16202e}.cap{font-size:15px;font-weight:600;fill:#16202e}
.bg{fill:#f3f5f8;stroke:#dfe4eb}.life{fill:#d5dce7}.work{fill:#2467e0}.rt{fill:#0a6b4a;font-weight:600}.xt{fill:#c02c3b;font-weight:600}
.x{stroke:#c02c3b;stroke-width:3;fill:none}.now{stroke:#965a00;stroke-width:1.5}
@media (prefers-color-scheme:dark){text{fill:#93a1b6}.t,.cap{fill:#e4eaf2}.bg{fill:#0c1118;stroke:#283343}.life{fill:#283343}
.work{fill:#6aa2ff}.rt{fill:#3fc795}.xt{fill:#ff7582}.x{stroke:#ff7582}.now{stroke:#f0ad4b}}
@keyframes now{0%{transform:translateX(0)}100%{transform:translateX(${RIGHT - LEFT}px)}}.now{animation:now ${LENGTH_MS}ms linear infinite}
${style.join('\n')}
@media (prefers-reduced-motion:reduce){*{animation:none!important}.now,.cap:not(.last){display:none}}
</style>
<rect class="bg" x=".5" y=".5" width="759" height="${HEIGHT - 1}" rx="10"/>
${parts.join('\n')}
<path class="now" d="M${LEFT} ${TOP + 6}V${TOP + LANES.length * ROW + 4}"/>
</svg>
`;
}

const directory = mkdtempSync(join(tmpdir(), 'mdp-'));
try {
  const moments = await play(directory);
  for (const { ms, lane, what, detail } of moments) console.log(shown(ms), lane, what, detail);
  writeFileSync(join(root, 'docs/img/killed.svg'), picture(moments));
} finally {
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
}
