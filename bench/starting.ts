/**
 * What a start costs, as a ratio to an empty Node: CPU time until a broker logs `broker.ready` and its
 * resident memory while idle, with its defaults and without the store and HTTP; CPU time of
 * `majordomo request`. All are measured in turns, A B C A B C …
 *
 *     npm run bench:start [-- --rounds 11]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { table, times } from './markdown.js';
import { median, ratioOf } from './measure.js';
import { freePort, HOST } from './ports.js';

const MAIN = fileURLToPath(new URL('../program/main.js', import.meta.url));
const IDLE_MS = 1000;
const PAGE_BYTES = 4096;
/** The shell counts the CPU time of ended processes in hundredths of a second. */
const RUNS = 10;
const CHILDREN = /([0-9]+)m([0-9.]+)s ([0-9]+)m([0-9.]+)s\s*$/;

interface Start {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '11' } } });

/** Of all threads. */
function cpuMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => {
    const [ns] = readFileSync(join(tasks, task, 'schedstat'), 'latin1').split(' ');
    return sum + Number(ns) / 1e6;
  }, 0);
}

async function said(child: ChildProcess, text: string): Promise<void> {
  let all = '';
  for await (const chunk of child.stdout ?? []) {
    all += String(chunk);
    if (all.includes(text)) return;
  }
  throw new Error(`a process ended before it said ${text}: ${all}`);
}

/** What a process has used when it says `text`. */
async function start(args: readonly string[], text: string): Promise<Start> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    await said(child, text);
    const { pid = 0 } = child;
    const used = cpuMs(pid);
    await sleep(IDLE_MS);
    const pages = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1];
    return { cpuMs: used, residentBytes: Number(pages) * PAGE_BYTES };
  } finally {
    child.kill();
    await ended;
  }
}

function broker(name: string, endpoint: string, sets: readonly string[]): readonly string[] {
  const all = [`broker.listen=${endpoint}`, `node.dataDir=${join(directory, name)}`, ...sets];
  return [MAIN, 'serve', ...all.flatMap((set) => ['--set', set])];
}

/** CPU time of a Node that runs to its end. */
function run(args: readonly string[]): number {
  const script = `for i in $(seq ${RUNS}); do "$@" >&2 || exit; done; times`;
  const command = ['-c', script, 'sh', process.execPath, ...args];
  const { status, stdout, stderr } = spawnSync('/bin/sh', command, { encoding: 'utf8' });
  const [, minutes, user, others, system] = (CHILDREN.exec(stdout) ?? []).map(Number);
  if (status !== 0 || user === undefined) throw new Error(`a run failed: ${stderr}`);
  const seconds = user + (system ?? 0) + 60 * ((minutes ?? 0) + (others ?? 0));
  return (seconds * 1000) / RUNS;
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-start-'));
const OFF = ['titanic.enabled=false', 'http.listen=off'];
const idle = ['-e', 'console.log("ready"); setInterval(() => {}, 1000000)'];
const [empties, whole, least]: [Start[], Start[], Start[]] = [[], [], []];
const [ended, requests]: [number[], number[]] = [[], []];

const port = await freePort();
const endpoint = `tcp://${HOST}:${port}`;
const asked = spawn(process.execPath, broker('asked', endpoint, OFF), {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await said(asked, 'broker.ready');
  for (let round = 0; round < Number(values.rounds); round++) {
    const any = `tcp://${HOST}:0`;
    empties.push(await start(idle, 'ready'));
    whole.push(await start(broker(`${round}`, any, ['http.listen=127.0.0.1:0']), 'broker.ready'));
    least.push(await start(broker(`${round}`, any, OFF), 'broker.ready'));
    ended.push(run(['-e', '']));
    requests.push(run([MAIN, 'request', 'mmi.service', 'echo', '--endpoint', endpoint]));
  }
} finally {
  asked.kill();
  await once(asked, 'exit');
  rmSync(directory, { recursive: true });
}

const ms = (value: number): string => `${value.toFixed(0)} ms`;
const mib = (starts: readonly Start[]): string =>
  `${(median(starts.map(({ residentBytes }) => residentBytes)) / 2 ** 20).toFixed(0)} MiB`;
const cpu = (starts: readonly Start[]): number[] => starts.map((each) => each.cpuMs);
const row = (title: string, mine: number[], empty: number[], memory: string): string[] => {
  const { median: middle, low, high } = ratioOf(mine, empty);
  return [title, ms(median(mine)), times(middle), `${times(low)} – ${times(high)}`, memory];
};
const rows = [
  row('an empty Node that waits', cpu(empties), cpu(empties), mib(empties)),
  row('`serve`, defaults', cpu(whole), cpu(empties), mib(whole)),
  row('`serve`, no store, no HTTP', cpu(least), cpu(empties), mib(least)),
  row('an empty Node that ends', ended, ended, ''),
  row('`request`', requests, ended, ''),
];
const head = ['', 'CPU time', 'ratio', 'range', 'resident'];
process.stdout.write(`${table(head, rows)}\n`);
