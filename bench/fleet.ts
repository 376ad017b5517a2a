/**
 * What a fleet costs: durable requests in a database, and requests over NATS.
 *
 *     npm run bench -- fleet                       # all parts: some minutes
 *     npm run bench -- fleet --part store --rounds 3 --seconds 1
 *     npm run bench -- fleet --write               # writes docs/performance-fleet.md, too
 *
 * It does not write if the machine was busy with something else, and then ends with 1.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { setV8Flags } from '../src/cli/serve/v8-flags.js';
import { packageVersion } from '../src/core/version.js';
import { counted } from './fleet/counts.js';
import { moved } from './fleet/migrate.js';
import { overNats } from './fleet/nats.js';
import type { FleetPart } from './fleet/part.js';
import { inStore } from './fleet/store.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, othersText, publish } from './others.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance-fleet.md');
/** By the name of `--part`, in the order of the document. */
const PARTS: Readonly<Record<string, FleetPart>> = {
  store: inStore,
  counts: counted,
  migrate: moved,
  nats: overNats,
};

const { values } = parseArgs({
  options: {
    part: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const wanted = Object.entries(PARTS).filter(([name]) => [name, undefined].includes(values.part));
if (wanted.length === 0) throw new Error(`--part is one of: ${Object.keys(PARTS).join(', ')}`);

// Stores run in threads of this process, as they do in a broker.
setV8Flags();

const directory = mkdtempSync(join(tmpdir(), 'majordomo-fleet-'));
try {
  const othersUntilNow = countOthers();
  const sections: string[] = [];
  for (const [, part] of wanted) {
    sections.push(
      await part({
        directory,
        rounds: Number(values.rounds),
        seconds: Number(values.seconds),
        progress: (text) => process.stderr.write(`${text}\n`),
      }),
    );
  }
  const others = othersUntilNow();
  const facts = [
    `measured ${new Date().toISOString().slice(0, 10)}`,
    `\`npm run bench -- fleet --rounds ${values.rounds} --seconds ${values.seconds}\``,
    ...machineFacts(),
    `Majordomo: ${packageVersion()}`,
    othersText(others),
  ];
  const head = [
    '# Performance of a fleet',
    '<!-- Written by `npm run bench -- fleet --write`: run that instead of editing this. -->',
    facts.map((fact) => `- ${fact}`).join('\n'),
  ];
  const isWhole = wanted.length === Object.keys(PARTS).length;
  const report = `${[...head, ...sections].join('\n\n')}\n`;
  publish(report, values.write && isWhole ? DOCUMENT : null, others);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
