/**
 * A pair that is killed, handed over and left behind: how long clients wait, and the cost.
 *
 *     npm run bench:failover                     # prints; 100 kills at each heartbeat, a quarter of an hour
 *     npm run bench:failover -- --write          # writes docs/performance-pair.md, too
 *     npm run bench:failover -- --rounds 5 --seconds 1 --behind 10000
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { packageVersion } from '../src/core/version.js';
import { removePairs } from '../test/support/pair-daemons.js';
import { kills, switchovers } from './failover/changes.js';
import { replication } from './failover/replication.js';
import { type Kills, renderFailover } from './failover/report.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, type Others, publish } from './others.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance-pair.md');
const TARGETS = [
  { heartbeatIntervalMs: 1000, p99MsMax: 4000 },
  { heartbeatIntervalMs: 200, p99MsMax: 1200 },
] as const;
const SWITCHOVERS_MAX = 20;
const RECEIPT_ROUNDS_MAX = 5;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '5' },
    behind: { type: 'string', default: '100000' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, seconds, behind] = [values.rounds, values.seconds, values.behind].map(Number);

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function measure(): Promise<{ readonly report: string; readonly others: Others }> {
  const count = rounds ?? NaN;
  const othersUntilNow = countOthers();
  const killed: Kills[] = [];
  for (const target of TARGETS) {
    const took = await kills(target.heartbeatIntervalMs, count, progress);
    killed.push({ ...target, took });
    await removePairs();
  }
  const handed = await switchovers(Math.min(count, SWITCHOVERS_MAX), progress);
  await removePairs();
  const replicated = await replication(
    {
      rounds: Math.min(count, RECEIPT_ROUNDS_MAX),
      seconds: seconds ?? NaN,
      behind: behind ?? NaN,
    },
    progress,
  );
  await removePairs();
  const others = othersUntilNow();
  const report = renderFailover({
    facts: [
      `measured ${new Date().toISOString().slice(0, 10)}`,
      `\`npm run bench:failover -- --rounds ${count} --seconds ${seconds} --behind ${behind}\``,
      ...machineFacts(),
      `Majordomo: ${packageVersion()}`,
    ],
    kills: killed,
    switchovers: handed,
    replication: replicated,
    others,
  });
  return { report, others };
}

try {
  const { report, others } = await measure();
  publish(report, values.write ? DOCUMENT : null, others);
} finally {
  await removePairs();
}
