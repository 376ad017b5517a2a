/**
 * Measures our broker and every other one that is installed, and writes docs/performance.md.
 *
 *     npm run bench                        # everything: about 15 minutes
 *     npm run bench -- --quick             # one short run each; prints, writes nothing
 *     npm run bench -- --only PATTERN      # rows whose title matches; prints, writes nothing
 *     npm run bench -- --rounds 9 --seconds 3 --warmup 1 --write
 *
 * It does not write if the machine was busy with something else, and then ends with 1.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { messageOf } from '../src/core/errors.js';
import { keepAwake } from './awake.js';
import { BROKER_TITLES, findBrokers } from './brokers.js';
import { compileGenerator } from './generator.js';
import { machineFacts, pins } from './machine-facts.js';
import { countOthers, othersText, writeUnlessBusy } from './others.js';
import { type Bench, measureRow, type RowResult } from './measure.js';
import { measureMemory, type Memory } from './memory.js';
import { renderReport } from './report.js';
import { ROWS } from './rows.js';
import { sectionOf, withSection } from './soak/report.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance.md');
const MEMORY_TITLE = 'resident memory';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    warmup: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-bench-'));
const failed: string[] = [];
try {
  const generator = compileGenerator(directory);
  const { brokers, absent } = findBrokers(directory, generator.hasCurve);
  const placed = pins();
  const bench: Bench = {
    generator,
    brokers,
    window: {
      seconds: Number(values.seconds ?? (values.quick ? 1 : 2)),
      warmupSeconds: Number(values.warmup ?? (values.quick ? 0.5 : 1)),
    },
    rounds: Number(values.rounds ?? (values.quick ? 1 : 5)),
    pins: placed,
    progress,
  };
  const only = values.only === undefined ? null : new RegExp(values.only, 'i');
  const othersUntilNow = countOthers();
  const sleepAgain = keepAwake(generator);
  const rows: RowResult[] = [];
  for (const row of ROWS) {
    if (only?.test(`${row.section}: ${row.title}`) === false) continue;
    try {
      const result = await measureRow(bench, row);
      if (result !== null) rows.push(result);
    } catch (error) {
      failed.push(`${row.title}: ${messageOf(error)}`);
    }
  }
  let memory: Memory | null = null;
  if (only?.test(MEMORY_TITLE) !== false) {
    try {
      memory = await measureMemory(bench);
    } catch (error) {
      failed.push(`${MEMORY_TITLE}: ${messageOf(error)}`);
    }
  }
  progress('');
  await sleepAgain();
  const others = othersUntilNow();
  const report = renderReport({
    date: new Date().toISOString().slice(0, 10),
    machine: machineFacts(),
    versions: [...brokers.values()]
      .filter(({ curve }) => curve === undefined)
      .map(({ name, version }) => `${BROKER_TITLES[name]}: ${version}`),
    absent,
    failed,
    rounds: bench.rounds,
    seconds: bench.window.seconds,
    pinned: pinnedText(placed),
    others: othersText(others),
    rows,
    memory,
  });
  const isWritten = values.write || (!values.quick && only === null);
  process.stdout.write(report);
  const keepSoak = (old: string): string => withSection(report, sectionOf(old));
  if (isWritten) writeUnlessBusy(DOCUMENT, keepSoak, others);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function pinnedText(placed: Bench['pins']): string {
  return placed === null
    ? 'Nothing was pinned to cores.'
    : `Brokers ran on core ${placed.broker.join(', ')} and the generator on core ${placed.load}; the SDK’s processes could use all cores.`;
}
