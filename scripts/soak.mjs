/**
 * Looks for faults for as long as one likes. `npm run build:test` must have run.
 *
 *     npm run soak -- --hours N [--write]            # a pair under load (bench/soak.ts)
 *     npm run soak -- --search --hours N [--seed N]  # searches
 *     npm run soak -- --short [--seed N]             # one short turn of everything
 *
 * The searches: simulations with new seeds, crashes of real processes and fuzzing take turns. A failure
 * does not end it: its output is printed with the command that repeats it, and again in the report.
 * Ctrl-C ends it with the report. Exit status 1 if anything failed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SEEDS_MAX = 1_000_000_000;

const NODE = 'node --enable-source-maps';
const PAIR = `${NODE} build/bench/soak.js`;

const { values } = parseArgs({
  options: {
    hours: { type: 'string' },
    every: { type: 'string' },
    seed: { type: 'string' },
    search: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

function refuse(text) {
  console.error(`soak: ${text}`);
  process.exit(64);
}

function positive(name, text, otherwise) {
  const value = text === undefined ? otherwise : Number(text);
  if (value > 0) return value;
  return refuse(`--${name} takes a number above 0${text === undefined ? '' : `, not ${text}`}`);
}

const { short } = values;
if (short && values.hours !== undefined) refuse('--short has no --hours');
if (short || values.search) {
  if (values.every !== undefined) refuse('--every does not go with --search or --short');
  if (values.write) refuse('--write does not go with --search or --short');
} else {
  if (values.seed !== undefined) refuse('--seed goes with --search or --short');
  const line = [...PAIR.split(' ').slice(1), ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, line, { cwd: ROOT, stdio: 'inherit' });
  process.exit(status ?? 1);
}
const hours = short ? Infinity : positive('hours', values.hours);
let seed = positive('seed', values.seed, 1 + Math.floor(Math.random() * SEEDS_MAX));

const CHAOS = `${NODE} build/test/chaos/chaos.js`;
const FUZZ = `${NODE} --expose-gc build/test/fuzz/fuzz.js`;

function simulate(options, seeds) {
  const command = `${NODE} build/test/simulation/simulate.js ${options}`.trimEnd();
  return {
    size: seeds,
    short: seeds / 10,
    command: (size, from) => `${command} --seeds ${size} --from ${from}`,
  };
}

function crash(options, cycles) {
  const command = `${CHAOS} ${options}`.trimEnd();
  return {
    size: cycles,
    short: cycles / 4,
    command: (size, seed) => `${command} --cycles ${size} --seed ${seed}`,
  };
}

/** Runs that take a minute or two each; those of `--short`, a few seconds. */
const TURNS = [
  simulate('', 2000),
  simulate('--pair', 200),
  crash('--pair', 12),
  simulate('--stored', 300),
  simulate('--shared', 100),
  crash('', 20),
  simulate('--map', 400),
  simulate('--pair --map', 60),
  simulate('--pair --parted', 60),
  {
    size: 2,
    short: 0.2,
    command: (minutes, seed) => `${FUZZ} --minutes ${minutes} --seed ${seed}`,
  },
  simulate('--freelance', 300),
  simulate('--sessions', 300),
  simulate('--fleet', 10),
  crash('--failing', 20),
  simulate('--pair --calm', 60),
];
/** It has hours of its own, and no seed. */
if (short) TURNS.push({ command: () => `${PAIR} --short` });

const end = performance.now() + hours * 3_600_000;
const failed = [];
let runs = 0;
let stopped = false;
let child = null;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    stopped = true;
    // Its group: a shell, the program and its processes.
    if (child !== null) process.kill(-child.pid, 'SIGKILL');
  });
}

function run(command) {
  return new Promise((resolve) => {
    const output = [];
    child = spawn(command, {
      cwd: ROOT,
      shell: true,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => output.push(chunk));
    }
    child.on('close', (status) => {
      child = null;
      resolve({ status, output: Buffer.concat(output).toString() });
    });
  });
}

const turns = short ? TURNS.length : Infinity;
for (let turn = 0; turn < turns && !stopped && performance.now() < end; turn++) {
  const { size, short: shortSize, command: commandFor } = TURNS[turn % TURNS.length];
  const command = commandFor(short ? shortSize : size, seed);
  // No simulation has so many seeds: none is tried twice.
  seed = (seed + 10_000) % SEEDS_MAX;
  const began = performance.now();
  const { status, output } = await run(command);
  if (stopped) break;
  runs++;
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(
    `${new Date().toISOString()}  ${status === 0 ? 'ok    ' : 'FAILED'}  ${seconds} s  ${command}`,
  );
  if (status === 0) continue;
  failed.push(command);
  console.log(output);
}

console.log(
  `\n${runs} runs, ${failed.length} failed${failed.length > 0 ? '; to repeat them:' : ''}`,
);
for (const command of failed) console.log(`  ${command}`);
process.exitCode = failed.length > 0 ? 1 : 0;
