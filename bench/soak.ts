/**
 * A pair under a steady load for hours, with a restart every ten minutes: nothing is lost, nothing is done twice beyond
 * what is promised, and nothing grows.
 *
 *     npm run soak -- --hours 2              # prints; `--write`: writes its section of docs/performance.md, too
 *     npm run soak -- --hours 0.2 --every 60 # seconds between restarts
 *     npm run soak -- --short                # with the searches (scripts/soak.mjs): about 45 seconds
 *
 * Exit status 1 if something is wrong, or if a node or a process of the SDK surely grows by more than 1 MB an hour, or one
 * descriptor, in a run of an hour or more. `--write` takes a run of an hour or more, and writes it only if nothing is wrong.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { messageOf } from '../src/core/errors.js';
import { packageVersion } from '../src/core/version.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, othersText, writeUnlessBusy } from './others.js';
import { renderSoak, verdictOf, withSection } from './soak/report.js';
import { HOUR_MS } from './soak/samples.js';
import { Soak } from './soak/soak.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance.md');
const EVERY_SECONDS = 600;
/** Of `--short`. */
const SHORT = { hours: 45 / 3600, everySeconds: 10 };
const LOG_BYTES = 8000;
const USAGE = 64;

const { values } = parseArgs({
  options: {
    hours: { type: 'string' },
    every: { type: 'string' },
    short: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  process.stderr.write(`soak: --${name} takes a number above 0, not ${text}\n`);
  process.exit(USAGE);
}

const hours = values.short ? SHORT.hours : numberOf('hours', values.hours ?? '');
const everySeconds = values.short
  ? SHORT.everySeconds
  : numberOf('every', values.every ?? String(EVERY_SECONDS));

const forMs = hours * HOUR_MS;
/** A shorter run says nothing about an hour. */
const isJudged = forMs >= HOUR_MS;
if (values.write && !isJudged) {
  process.stderr.write('soak: --write takes a run of an hour or more\n');
  process.exit(USAGE);
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-soak-'));
let isKept = true;
process.once('exit', () => {
  if (isKept) process.stdout.write(`kept: ${directory}\n`);
  else rmSync(directory, { recursive: true, force: true });
});
// Brokers and the load end with this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(1));
}

const othersUntilNow = countOthers();
const soak = await Soak.open(directory, everySeconds * 1000);
try {
  await soak.run(forMs);
  const { isGood, text } = verdictOf(soak.checker, soak.judged, isJudged);
  const others = othersUntilNow();
  const report = renderSoak({
    facts: [
      `measured ${new Date().toISOString().slice(0, 10)}`,
      `\`npm run soak -- --hours ${Number(hours.toFixed(3))} --every ${everySeconds}\``,
      ...machineFacts(),
      `Majordomo: ${packageVersion()}`,
      `the nodes used ${(soak.cores * 100).toFixed(0)} % of one core together. ${othersText(others)}`,
    ],
    nodes: soak.nodes,
    load: soak.load,
    checker: soak.checker,
    restarts: soak.restarts,
    logged: soak.logged,
    verdict: text,
  });
  process.stdout.write(`${report}\n`);
  if (!isGood) process.exitCode = 1;
  else if (values.write) writeUnlessBusy(DOCUMENT, (old) => withSection(old, report), others);
  isKept = !isGood;
} catch (error) {
  process.exitCode = 1;
  process.stdout.write(`FAILED: ${messageOf(error)}\n${soak.pair.told(LOG_BYTES)}\n`);
} finally {
  await soak.close();
}
process.exit();
