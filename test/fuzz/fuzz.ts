/**
 * Fuzzing with oracles: `npm run fuzz -- --minutes N [--target NAME] [--seed N] [--input FILE]`.
 * Exit status 1 if something was found; the input is then in test/fuzz/corpus/found, shortened.
 */
import { basename } from 'node:path';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { Campaign, type Finding, shortened } from './campaign.js';
import { keep, seedsOf } from './corpora.js';
import type { Target } from './target.js';
import { TARGETS } from './targets.js';

const ROUND_MS = 4000;
const MINUTE_MS = 60_000;
const SHORTENED_MAX_MS = 30_000;

function now(): number {
  return performance.now();
}

function heapUsed(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

async function targetOf(name: string): Promise<Target> {
  const make = TARGETS[name];
  if (make === undefined) {
    throw new Error(`no target ${name}; there are ${Object.keys(TARGETS).join(', ')}`);
  }
  return await make();
}

/** The beginning of what is wrong: by it the same finding is known when it is shortened. */
function kindOf(what: string): string {
  return (what.split('\n')[0] ?? '').replaceAll(/[\d"].*$/g, '');
}

function report({ target: name, input, what }: Finding, target: Target, seed: number): void {
  const until = now() + SHORTENED_MAX_MS;
  const isWrong = (candidate: Buffer): boolean => {
    if (now() > until) return false;
    try {
      target.run(candidate);
      return false;
    } catch (error) {
      return kindOf(String(error)) === kindOf(what);
    }
  };
  const file = keep(name, isWrong(input) ? shortened(input, isWrong) : input);
  console.error(`\n${name}: ${what}\n`);
  console.error(`  npm run fuzz -- --input ${file}     (of --target ${name} --seed ${seed})\n`);
}

async function replay(file: string, name: string | undefined): Promise<void> {
  const target = await targetOf(name ?? basename(file).replace(/-.*$/, ''));
  target.run(readFileSync(file));
  target.end?.();
  console.log(`${file}: nothing is wrong`);
}

interface Fought {
  readonly name: string;
  readonly target: Target;
  readonly campaign: Campaign;
}

/** Rounds in turns over all targets, so that a run that is cut short has tried all. */
async function fight(names: readonly string[], minutes: number, seed: number): Promise<boolean> {
  const fought: Fought[] = [];
  for (const name of names) {
    const target = await targetOf(name);
    const campaign = new Campaign(target, seedsOf(name), seed, now);
    fought.push({ name, target, campaign });
  }
  const rounds = Math.max(1, Math.round((minutes * MINUTE_MS) / (ROUND_MS * names.length)));
  const roundMs = (minutes * MINUTE_MS) / (rounds * names.length);
  for (let round = 0; round < rounds; round++) {
    for (const { campaign } of fought) if (campaign.finding === null) campaign.round(roundMs);
  }
  print(fought);
  let isClean = true;
  // At the end: whoever keeps only the last lines of a run sees them.
  for (const { target, campaign } of fought) {
    if (campaign.finding === null) continue;
    isClean = false;
    report(campaign.finding, target, seed);
  }
  return isClean;
}

function print(fought: readonly Fought[]): void {
  const row = (...cells: readonly (string | number)[]): string =>
    cells.map((cell, at) => String(cell)[at === 0 ? 'padEnd' : 'padStart'](12)).join('');
  console.log(row('target', 'inputs', 'a second', 'corpus', 'reached', 'found'));
  let [all, allMs] = [0, 0];
  for (const { name, campaign } of fought) {
    const { inputs, ms, corpus, reached } = campaign.figures;
    all += inputs;
    allMs += ms;
    const rate = Math.round((inputs / Math.max(ms, 1)) * 1000);
    console.log(row(name, inputs, rate, corpus, reached, campaign.finding === null ? 0 : 1));
  }
  console.log(row('all', all, Math.round((all / Math.max(allMs, 1)) * 1000), '', '', ''));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      target: { type: 'string' },
      seed: { type: 'string' },
      input: { type: 'string' },
    },
  });
  if (values.input !== undefined) {
    await replay(values.input, values.target);
    return 0;
  }
  const names = values.target === undefined ? Object.keys(TARGETS) : values.target.split(',');
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}, ${values.minutes} minutes`);
  const before = heapUsed();
  const isClean = await fight(names, Number(values.minutes), seed);
  console.log(
    `heap: ${(heapUsed() / 2 ** 20).toFixed(0)} MiB, ${(before / 2 ** 20).toFixed(0)} before`,
  );
  return isClean ? 0 : 1;
}

process.exitCode = await main();
