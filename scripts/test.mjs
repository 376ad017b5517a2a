/**
 * Runs Jest: `node scripts/test.mjs [OPTION…] [PATH…]`, with Jest's options. Jest repeats a case at once, beside the
 * others (`retryTimes`), and leaves the processes that a test started when it is told to end.
 *
 * Suites that depend on real time may fail because the machine was busy. Each of their files that failed
 * runs once more, alone, after all others. If it passes then, the run passes and prints the file as flaky;
 * if it fails again, or if it belongs to another suite, the run fails.
 *
 *     --times N    runs everything N times, and ends with all flaky cases
 *     --busy N     beside N processes that do nothing but use the processor
 *     --record     writes how long each file took (scripts/test-seconds.json), by which later runs are ordered
 *     --repeat     only runs what earlier calls have left in the file MAJORDOMO_REPEAT (see below)
 *
 * Several calls that run at the same time cannot repeat a file alone. With MAJORDOMO_REPEAT=FILE each
 * writes its failed files there instead, and a last call with --repeat runs them. MAJORDOMO_FLAKY=FILE
 * gets a line for each flaky case, and MAJORDOMO_SECONDS=FILE one with the seconds of each file.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { nameOf, SECONDS_FILE } from './jest-order.mjs';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const NODE_OPTIONS = ['--enable-source-maps', '--no-warnings'];
const JEST = join(ROOT, 'node_modules', 'jest', 'bin', 'jest.js');

/** Suites whose processes, sockets and timers depend on how much of the machine they get. */
const REAL_TIME = new Set([
  'browser',
  'disk',
  'hostile',
  'integration',
  'interop',
  'pair',
  'postgres',
  'process',
  'shipped',
  'smoke',
  'upgrade',
]);

/** The signals that end the tests. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** The lines of this process. */
const flaky = [];
/** `--record` */
let records = false;

/** What `itWithTool` appends to the title of a case that cannot run here (test/support/tools.ts). */
const NEEDS = /\[needs .+\]$/;

const MEMORY = '/dev/shm';
/** Bytes: more than the stores and clusters of a run together need, beside its processes. */
const FREE_BYTES = 6 * 2 ** 30;

/** Ends with this process, also where that is killed. */
const BUSY = 'const { ppid } = process; while (process.ppid === ppid);';

/** Whether a failure of this file (`test/SUITE/…`) may be the machine's. */
function isRealTime(name) {
  return REAL_TIME.has(name.split('/')[1]);
}

/** The line that reports a case which failed and then passed. */
function flakyLine({ name, title }) {
  return `flaky: ${name} "${title}"`;
}

/**
 * A folder for the stores and clusters of a run, in memory if there is enough: they sync each commit, for
 * which a disk takes milliseconds, and no test switches the machine off. It goes with the run.
 */
function makeScratch() {
  const inMemory = process.platform === 'linux' && hasMemory();
  const folder = mkdtempSync(join(inMemory ? MEMORY : tmpdir(), 'mdp-'));
  // The user of a PostgreSQL server passes through it.
  chmodSync(folder, 0o711);
  return folder;
}

function hasMemory() {
  if (!existsSync(MEMORY)) return false;
  const { bavail, bsize } = statfsSync(MEMORY);
  if (Math.min(bavail * bsize, process.availableMemory()) < FREE_BYTES) return false;
  try {
    // Some tests make programs there, which containers often forbid.
    const folder = mkdtempSync(join(MEMORY, 'mdp-'));
    const program = join(folder, 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o700 });
    const { status } = spawnSync(program);
    rmSync(folder, { recursive: true });
    return status === 0;
  } catch {
    return false;
  }
}

/** Notes how long each file took, for whoever asks for it. */
function noteSeconds(files) {
  const took = files.map(({ name, startTime, endTime }) => {
    return [nameOf(name), Math.round((endTime - startTime) / 100) / 10];
  });
  const list = process.env.MAJORDOMO_SECONDS;
  if (list) appendFileSync(list, took.map(([name, seconds]) => `${seconds} ${name}\n`).join(''));
  if (!records) return;
  const before = JSON.parse(readFileSync(SECONDS_FILE, 'utf8'));
  const exists = ([name]) => existsSync(join(ROOT, name));
  const all = Object.entries({ ...before, ...Object.fromEntries(took) }).filter(exists);
  const long = all.filter(([, seconds]) => seconds >= 1).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(SECONDS_FILE, `${JSON.stringify(Object.fromEntries(long), null, 2)}\n`);
}

/** What failed of a file, according to Jest's report. */
function failureOf({ name: file, message, assertionResults }) {
  const failed = assertionResults
    .filter(({ status }) => status === 'failed')
    .map(({ fullName, failureMessages }) => {
      return { title: fullName, message: failureMessages.join('\n') };
    });
  const cases = failed.length > 0 ? failed : [{ title: '(the whole file)', message }];
  return { file, name: nameOf(file), cases };
}

/** Ends a process group, if it is still there. */
function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * @param node the Node.js to run it on: a fault of one version does not show on another
 * @returns its exit status, and what failed: `{node, name, cases: [{title, message}]}` for each file
 */
async function jest(args, node = process.execPath) {
  const folder = mkdtempSync(join(tmpdir(), 'majordomo-test-'));
  const report = join(folder, 'report.json');
  const scratch = makeScratch();
  // A process group of its own: a signal ends Jest, its workers and what the tests have started.
  const child = spawn(node, [...NODE_OPTIONS, JEST, '--json', '--outputFile', report, ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    detached: true,
    env: { ...process.env, MAJORDOMO_SCRATCH: scratch },
  });
  let stoppedBy = 0;
  const stop = (_signal, number) => {
    stoppedBy = number;
    signalGroup(child.pid, 'SIGTERM');
  };
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    const [status] = await once(child, 'close');
    // (Without a report, Jest has not come to its end.)
    const files = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : [];
    const absent = files.flatMap(({ assertionResults }) =>
      assertionResults.filter(
        ({ status, fullName }) => status === 'pending' && NEEDS.test(fullName),
      ),
    );
    noteSeconds(files);
    if (absent.length > 0) console.error('\nSkipped, because this machine lacks a tool:');
    for (const { fullName } of absent) console.error(`  ${fullName}`);
    const failed = files.filter((each) => each.status === 'failed');
    return { status: status ?? 1, failed: failed.map((each) => ({ node, ...failureOf(each) })) };
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
    // What a test has stopped, or what drains for long.
    if (stoppedBy > 0) signalGroup(child.pid, 'SIGKILL');
    for (const each of [folder, scratch]) rmSync(each, { recursive: true, force: true });
    if (stoppedBy > 0) process.exit(128 + stoppedBy);
  }
}

/** Runs the file alone. @returns whether it passes */
async function passesAlone({ node, file, name, cases }) {
  console.error(`\nOnce more, alone: ${name}`);
  const args = ['--config', 'jest.config.js', '--runInBand', '--runTestsByPath', file];
  const { status } = await jest(args, node);
  if (status !== 0) {
    console.error(`\nFailed twice: ${name}`);
    return false;
  }
  for (const { title, message } of cases) {
    const line = flakyLine({ name, title });
    console.error(`\n${line}\nIt failed with:\n${message}\nIt passed alone (above).`);
    flaky.push(line);
    if (process.env.MAJORDOMO_FLAKY) appendFileSync(process.env.MAJORDOMO_FLAKY, `${line}\n`);
  }
  return true;
}

/** @returns the exit status of all of them */
async function eachAlone(failed) {
  let status = 0;
  for (const each of failed) if (!(await passesAlone(each))) status = 1;
  return status;
}

/** @returns the exit status of a run after what is repeated */
async function outcome({ status, failed }) {
  if (status === 0) return 0;
  if (failed.length === 0 || !failed.every(({ name }) => isRealTime(name))) return 1;
  const later = process.env.MAJORDOMO_REPEAT;
  if (later) {
    for (const each of failed) appendFileSync(later, `${JSON.stringify(each)}\n`);
    console.error(`\n${failed.length} failed files will run once more, alone, at the end.`);
    return 0;
  }
  return await eachAlone(failed);
}

async function repeat() {
  const file = process.env.MAJORDOMO_REPEAT;
  const lines = file && existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  const failed = lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  if (failed.length === 0) console.error('Nothing to run once more.');
  return await eachAlone(failed);
}

/** Takes `NAME N` out of the arguments. */
function number(args, name, otherwise, least) {
  const at = args.indexOf(name);
  if (at === -1) return otherwise;
  const [, text] = args.splice(at, 2);
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  console.error(`test: ${name} takes a whole number, at least ${least}, not ${text ?? 'nothing'}`);
  process.exit(64);
}

/** Takes an option without a value out of the arguments. */
function flag(args, name) {
  const at = args.indexOf(name);
  if (at !== -1) args.splice(at, 1);
  return at !== -1;
}

async function main(args) {
  if (args[0] === '--repeat') return await repeat();
  const times = number(args, '--times', 1, 1);
  const busy = number(args, '--busy', 0, 0);
  records = flag(args, '--record');
  const loops = Array.from({ length: busy }, () => spawn(process.execPath, ['-e', BUSY]));
  try {
    let status = 0;
    for (let run = 0; run < times; run++) {
      status = Math.max(status, await outcome(await jest(args)));
    }
    if (times > 1) console.error(`\n${times} runs. ${flaky.join('\n') || 'Nothing was flaky.'}`);
    return status;
  } finally {
    for (const loop of loops) loop.kill('SIGKILL');
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
