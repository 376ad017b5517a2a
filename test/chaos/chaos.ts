/**
 * Injects faults into daemons at random moments, under load, and checks every receipt.
 *
 *     npm run chaos -- --cycles 50               # kill -9 of one daemon
 *     npm run chaos -- --failing --cycles 50     # workers that fail and are killed
 *     npm run chaos -- --pair --cycles 50        # a pair: kills, pauses, cut links, hand-overs
 *     npm run chaos -- --pair --minutes 30 --seed 7
 *     npm run chaos -- --pair --hosts --cycles 50  # on hosts of their own, as root: their cables are cut
 *     npm run chaos -- --pair --minutes 10 --faultless   # nobody hurts it: nothing may happen
 */
import { parseArgs } from 'node:util';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { SimRandom } from '../simulation/world/random.js';
import { removeHosts } from '../support/hosts.js';
import { removePairs } from '../support/pair-daemons.js';
import { failWorkers } from './failing.js';
import { loadPair } from './pair-faultless.js';
import { hurtPair } from './pair-faults.js';
import { killTitanic } from './titanic-kill.js';

const USAGE = 64;

const { values } = parseArgs({
  options: {
    failing: { type: 'boolean', default: false },
    pair: { type: 'boolean', default: false },
    hosts: { type: 'boolean', default: false },
    faultless: { type: 'boolean', default: false },
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
