/**
 * A broker attacked by one peer without a key: how long others wait, and what the broker uses.
 *
 *     npm run bench:hostile                      # prints; about six minutes
 *     npm run bench:hostile -- --write           # writes docs/performance-hostile.md, too
 *     npm run bench:hostile -- --seconds 3 --only flood-50 --only waits
 *     npm run bench:hostile -- --only services --profile DIR   # and a CPU profile of the broker
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { packageVersion } from '../src/core/version.js';
import { removeDaemons } from '../test/support/daemon.js';
import { measure, type Measured } from './hostile/measure.js';
import { renderHostile } from './hostile/report.js';
import { SCENES } from './hostile/scenes.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, publish } from './others.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance-hostile.md');
/** Small, so that memory beyond it is noticed. */
const MEMORY_BYTES = 256 * 2 ** 20;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', multiple: true, default: [] },
    profile: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const unknown = values.only.filter((only) => !SCENES.some(({ name }) => name === only));
if (unknown.length > 0) {
  const names = SCENES.map(({ name }) => name).join(', ');
  throw new Error(`no attack ${unknown.join(', ')}; there are ${names}`);
}
if (values.write && values.only.length > 0) throw new Error('--write wants all attacks');

try {
  const othersUntilNow = countOthers();
  const measured: Measured[] = [];
  for (const scene of SCENES) {
    if (values.only.length > 0 && !values.only.includes(scene.name)) continue;
    process.stderr.write(`${scene.name}: ${scene.title}\n`);
    const profiles = values.profile ?? null;
    measured.push(await measure(scene, { seconds, memoryBytes: MEMORY_BYTES, profiles }));
  }
  await removeDaemons();
  const others = othersUntilNow();
  const report = renderHostile({
    facts: [
      `measured ${new Date().toISOString().slice(0, 10)}`,
      `\`npm run bench:hostile -- --seconds ${seconds}\``,
      ...machineFacts(),
      `Majordomo: ${packageVersion()}`,
    ],
    measured,
    seconds,
    memoryBytes: MEMORY_BYTES,
    others,
  });
  publish(report, values.write ? DOCUMENT : null, others);
} finally {
  await removeDaemons();
}
