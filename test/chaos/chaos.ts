/**
 * Injects faults into daemons at random moments, under load, and checks every receipt.
 *
 *     npm run chaos -- --cycles 50               # kill -9 of one daemon
 *     npm run chaos -- --failing --cycles 50     # workers that fail and are killed
 *     npm run chaos -- --pair --cycles 50        # a pair: kills, pauses, cut links, hand-overs
 *     npm run chaos -- --pair --minutes 30 --seed 7
 *     npm run chaos -- --pair --hosts --cycles 50  # on hosts of their own, as root: their cables are cut
 *     npm run chaos -- --pair --minutes 10 --faultless   # nobody hurts it: nothing may happen
 *     npm run chaos -- --handovers --cycles 50  # switchovers, and 2 restarts for 5 of them: no request runs twice
 *     npm run chaos -- --bridge --cycles 200    # REP servers behind a worker --to; then as many web servers
 */
import { parseArgs } from 'node:util';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { SimRandom } from '../simulation/world/random.js';
import { killPrograms } from '../interop/support/program.js';
import { killAll } from '../support/child.js';
import { removeDaemons } from '../support/daemon.js';
import { removeHosts } from '../support/hosts.js';
import { removePairs } from '../support/pair-daemons.js';
import { hurtServers } from './bridge.js';
import { failWorkers } from './failing.js';
import { handOver } from './handovers.js';
import { loadPair } from './pair-faultless.js';
import { hurtPair } from './pair-faults.js';
import { killTitanic } from './titanic-kill.js';

const USAGE = 64;
const RESTARTS_PER_SWITCHOVER = 0.4;
/** How long a request takes while nodes hand over. */
const HANDLER_MS = 3000;

const { values } = parseArgs({
  options: {
    failing: { type: 'boolean', default: false },
    pair: { type: 'boolean', default: false },
    hosts: { type: 'boolean', default: false },
    faultless: { type: 'boolean', default: false },
    handovers: { type: 'boolean', default: false },
    bridge: { type: 'boolean', default: false },
    cycles: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string', default: '' },
  },
});

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (text !== '' && Number.isSafeInteger(value) && value > 0) return value;
  process.stderr.write(`chaos: --${name} is a whole number above 0, not ${text}\n`);
  process.exit(USAGE);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** @throws if a request ran twice, or failed */
async function handedOver(switchovers: number): Promise<string> {
  const restarts = Math.ceil(switchovers * RESTARTS_PER_SWITCHOVER);
  const tally = await handOver({ switchovers, restarts, handlerMs: HANDLER_MS }, say);
  const text = `${switchovers} switchovers, ${restarts} restarts: ${JSON.stringify(tally)}`;
  if (tally.secondRuns > 0 || Object.keys(tally.failed).length > 0) throw new Error(text);
  return text;
}

/** @throws if a client hangs */
async function bridged(count: number): Promise<string> {
  try {
    const tallies = [];
    for (const kind of ['rep', 'web'] as const) {
      tallies.push({ kind, ...(await hurtServers({ kind, count, stopEach: 2 }, say)) });
    }
    return tallies.map((tally) => JSON.stringify(tally)).join('\n');
  } finally {
    await killPrograms();
    await killAll();
    await removeDaemons();
  }
}

async function main(): Promise<number> {
  const { pair, minutes } = values;
  if (minutes !== undefined && (!pair || values.cycles !== undefined)) {
    process.stderr.write('chaos: --minutes goes with --pair, and without --cycles\n');
    return USAGE;
  }
  if (values.hosts && (!pair || values.faultless)) {
    process.stderr.write('chaos: --hosts goes with --pair, and without --faultless\n');
    return USAGE;
  }
  if (values.handovers && (pair || values.failing)) {
    process.stderr.write('chaos: --handovers goes without --pair and --failing\n');
    return USAGE;
  }
  if (values.bridge && (pair || values.failing || values.handovers)) {
    process.stderr.write('chaos: --bridge goes without --pair, --failing and --handovers\n');
    return USAGE;
  }
  if (values.failing && pair) {
    process.stderr.write('chaos: --failing goes without --pair\n');
    return USAGE;
  }
  if (values.faultless && minutes === undefined) {
    process.stderr.write('chaos: --faultless goes with --pair --minutes\n');
    return USAGE;
  }
  const forMs = minutes === undefined ? Infinity : wholeNumber('minutes', minutes) * 60_000;
  const cycles = minutes === undefined ? wholeNumber('cycles', values.cycles ?? '50') : Infinity;
  const seed = values.seed === '' ? Date.now() % 1_000_000 : wholeNumber('seed', values.seed);
  say(`seed ${seed}: it decides what is done, not when the operating system does it`);
  const random = new SimRandom(seed);
  try {
    let result;
    if (values.failing) result = await failWorkers(cycles, random);
    else if (values.faultless) result = await loadPair(forMs, random, say);
    else if (values.handovers) result = await handedOver(cycles);
    else if (values.bridge) result = await bridged(cycles);
    else if (pair) result = await hurtPair({ cycles, forMs, onHosts: values.hosts }, random, say);
    else result = await killTitanic(cycles, random, say);
    await removePairs();
    removeHosts();
    say(result);
    return 0;
  } catch (error) {
    say(`FAILED: ${codeOf(error) ?? ''} ${messageOf(error)}`);
    await removePairs();
    removeHosts();
    return 1;
  }
}

process.exit(await main());
