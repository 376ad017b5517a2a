/**
 * CPU µs to seal and to open a frame with CURVE, in the cipher alone. With a DIRECTORY, where an
 * earlier version was built (`npm run build:test`), both are measured alternately, each time in a
 * fresh process.
 *
 *     npm run bench:curve [-- DIRECTORY] [--rounds 7]
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import type { Costs } from './curve/costs.js';
import { machineFacts } from './machine-facts.js';
import { median, ratioOf } from './measure.js';

const COST = join(import.meta.dirname, 'curve', 'cost.js');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '7' } },
});
if (positionals.length > 1) {
  process.stderr.write('usage: npm run bench:curve [-- DIRECTORY] [--rounds 7]\n');
  process.exit(64);
}
const rounds = Number(values.rounds);
const [before] = positionals;

function costsOf(directory: string): readonly Costs[] {
  const { stdout, status, stderr } = spawnSync(process.execPath, [COST, resolve(directory)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${directory}: ${stderr}`);
  return JSON.parse(stdout) as readonly Costs[];
}

function figure(all: readonly number[]): string {
  return `${median(all).toFixed(2)} µs (best ${Math.min(...all).toFixed(2)})`;
}

function print(title: string, now: readonly number[], then: readonly number[]): void {
  const figures = [figure(now)];
  if (then.length > 0) {
    const { median: middle, low, high } = ratioOf(now, then);
    const range = `${low.toFixed(2)}–${high.toFixed(2)}`;
    figures.push(`before ${figure(then)}`, `ratio ${middle.toFixed(2)} (${range})`);
  }
  process.stdout.write(`${title.padEnd(20)} ${figures.join('  ')}\n`);
}

const now: (readonly Costs[])[] = [];
const then: (readonly Costs[])[] = [];
for (let round = 0; round < rounds; round++) {
  now.push(costsOf(process.cwd()));
  if (before !== undefined) then.push(costsOf(before));
}
process.stdout.write(`${machineFacts().join('; ')}; ${rounds} rounds; CPU of a frame\n`);
for (const [index, { size }] of (now[0] ?? []).entries()) {
  const of = (all: typeof now, value: (costs: Costs) => number): number[] =>
    all.flatMap((costs) => costs.slice(index, index + 1).map(value));
  const title = `${size.toLocaleString('en')} B`;
  print(
    `seal ${title}`,
    of(now, ({ sealUs }) => sealUs),
    of(then, ({ sealUs }) => sealUs),
  );
  print(
    `open ${title}`,
    of(now, ({ openUs }) => openUs),
    of(then, ({ openUs }) => openUs),
  );
}
