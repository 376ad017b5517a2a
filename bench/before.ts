/**
 * The cost of a change: this version against one built elsewhere (`npm run build:test` in a clone
 * of it), alternately, so that other load on the machine affects both. Prints ratios, pair by pair.
 *
 *     npm run bench:before -- DIRECTORY [--node PATH] [--rounds 7] [--seconds 2] [--only PATTERN]
 *
 * The other version runs on the Node.js at PATH, or on that of this program.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { V8_FLAGS } from '../src/cli/serve/v8-flags.js';
import { keepAwake } from './awake.js';
import { findBefore } from './brokers.js';
import { compileGenerator } from './generator.js';
import { machineFacts, pins } from './machine-facts.js';
import { type Bench, measureRow, ratioOf, type Ratio } from './measure.js';
import { beforeRows } from './rows.js';

const BOUND = 1.05;
const WHAT = { rate: 'requests/s', cpu: 'CPU', load: 'client CPU', p50: 'p50' } as const;
/** V8 optimises the same code now better, now worse, by up to a tenth of its time: the best of so many processes counts. */
const PROCESSES = 3;
/** A broker sets them itself. */
const FLAGS = Object.entries(V8_FLAGS).map(([name, value]) => `--${name}=${value}`);
const LINE = /^(.+?) {2,}([0-9]+) ns\/request/gm;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string' },
    node: { type: 'string', default: process.execPath },
  },
});
const [before] = positionals;
if (before === undefined || positionals.length > 1) {
  process.stderr.write('usage: npm run bench:before -- DIRECTORY\n');
  process.exit(64);
}
const root = resolve(before);
const { node } = values;
const rounds = Number(values.rounds);
const only = values.only === undefined ? null : new RegExp(values.only, 'i');

function print(title: string, what: string, ratio: Ratio, isMet: boolean): void {
  const { median, low, high } = ratio;
  const range = `${median.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`;
  process.stdout.write(
    `${title.padEnd(66)} ${what.padEnd(11)} ${range}${isMet ? '' : '  MISSED'}\n`,
  );
}

/** @throws if it cannot be run */
function versionOf(program: string): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
}

/** Keeps the best costs of the machine alone, in nanoseconds per request by the title of the line. */
function addMachineCosts(best: Map<string, number>, node: string, directory: string): void {
  const script = join(directory, 'build', 'bench', 'machine.js');
  const args = [...FLAGS, '--expose-gc', script];
  const { stdout, status, stderr } = spawnSync(node, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script}: ${stderr}`);
  for (const [, title = '', ns] of stdout.matchAll(LINE)) {
    best.set(title, Math.min(best.get(title) ?? Infinity, Number(ns)));
  }
}

function compareMachines(): void {
  const now: ReadonlyMap<string, number>[] = [];
  const then: ReadonlyMap<string, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    const [ours, theirs] = [new Map<string, number>(), new Map<string, number>()];
    for (let run = 0; run < PROCESSES; run++) {
      addMachineCosts(ours, process.execPath, process.cwd());
      addMachineCosts(theirs, node, root);
    }
    now.push(ours);
    then.push(theirs);
  }
  for (const title of now[0]?.keys() ?? []) {
    // The earlier version may not have this row.
    if (then[0]?.has(title) !== true) continue;
    const of = (costs: typeof now): number[] => costs.map((each) => each.get(title) ?? Number.NaN);
    const ratio = ratioOf(of(now), of(then));
    print(`machine: ${title}`, 'ns/request', ratio, ratio.median <= BOUND);
  }
}

async function compareBrokers(directory: string): Promise<void> {
  const generator = compileGenerator(directory);
  const sleepAgain = keepAwake(generator);
  const bench: Bench = {
    generator,
    brokers: findBefore(directory, { node, root }, generator.hasCurve),
    window: { seconds: Number(values.seconds), warmupSeconds: 1 },
    rounds,
    pins: pins(),
    progress: () => undefined,
  };
  for (const row of beforeRows(join(root, 'build', 'bench'))) {
    const title = `${row.section}: ${row.title}`;
    if (only?.test(title) === false) continue;
    const result = await measureRow(bench, row);
    for (const { quantity, ratio, met } of result?.verdicts ?? []) {
      print(title, WHAT[quantity], ratio, met);
    }
  }
  await sleepAgain();
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-before-'));
try {
  const on = node === process.execPath ? '' : ` on Node.js ${versionOf(node)}`;
  process.stdout.write(`${machineFacts().join('; ')}; ${rounds} rounds; now / before${on}\n`);
  if (only?.test('machine') !== false) compareMachines();
  await compareBrokers(directory);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
