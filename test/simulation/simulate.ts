/** `npm run simulate -- [--stored | --shared | --map | --freelance | --sessions | --fleet | --pair [--calm | --parted] [--map]] --seeds N --from S [--without 1,2]` */
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/core/errors.js';
import { Tally } from './actors/tally.js';
import { runFleetSeed } from './fleet/seeds.js';
import { runFreelanceSeed } from './freelance/seeds.js';
import { runMapSeed } from './map/seeds.js';
import { runPairSeed } from './pair/seeds.js';
import { runSessionsSeed } from './sessions/seeds.js';
import { runSharedSeed } from './shared/seeds.js';
import { runStoredSeed } from './stored/seeds.js';
import { runSeed } from './world/seeds.js';

const PROGRESS_EVERY_SEEDS = 1000;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    without: { type: 'string', default: '' },
    /** Worlds of `titanic.*` instead of those of the broker alone. */
    stored: { type: 'boolean', default: false },
    /** Worlds of brokers that share a database. */
    shared: { type: 'boolean', default: false },
    /** Worlds of a map at a standalone node; of a pair, all with a map. */
    map: { type: 'boolean', default: false },
    /** Worlds of three brokers and clients with the strategy `freelance`. */
    freelance: { type: 'boolean', default: false },
    /** Worlds of brokers with sessions, and the SDK's clients and workers. */
    sessions: { type: 'boolean', default: false },
    /** Worlds of brokers of a fleet on a lossy bus. */
    fleet: { type: 'boolean', default: false },
    /** Worlds of two nodes and their clients. */
    pair: { type: 'boolean', default: false },
    /** The two nodes have no faults: 600 seeds are an hour of their time. */
    calm: { type: 'boolean', default: false },
    /** Neither node dies, but links are cut, and writers of the map stand still. */
    parted: { type: 'boolean', default: false },
  },
});

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (text !== '' && Number.isSafeInteger(value) && value >= 0) return value;
  process.stderr.write(`simulate: --${name} is a whole number, not ${text}\n`);
  process.exit(64);
}

async function main(): Promise<number> {
  const seeds = wholeNumber('seeds', values.seeds);
  const from = wholeNumber('from', values.from);
  const left = values.without.split(',').filter((each) => each !== '');
  const without = new Set(left.map((each) => wholeNumber('without', each)));
  const tally = new Tally();
  const began = process.hrtime.bigint();
  for (let done = 0; done < seeds; done++) {
    if (done > 0 && done % PROGRESS_EVERY_SEEDS === 0) {
      process.stdout.write(`${done} of ${seeds} seeds, ${tally.requests} requests\n`);
    }
    try {
      const { calm: isCalm, map: hasMap, parted: isParted } = values;
      if (values.pair) runPairSeed(from + done, tally, { isCalm, hasMap, isParted });
      else if (values.fleet) runFleetSeed(from + done, tally);
      else if (values.map) runMapSeed(from + done, tally);
      else if (values.freelance) runFreelanceSeed(from + done, tally);
      else if (values.sessions) runSessionsSeed(from + done, tally);
      else if (values.shared) await runSharedSeed(from + done, tally);
      else if (values.stored) runStoredSeed(from + done, tally);
      else runSeed(from + done, tally, { without });
    } catch (error) {
      process.stdout.write(`${messageOf(error)}\n`);
      return 1;
    }
  }
  for (const [what, count] of [...[...tally.faults].sort(), ...tally.figures]) {
    process.stdout.write(`${String(count).padStart(9)}  ${what}\n`);
  }
  const seconds = Number((process.hrtime.bigint() - began) / 1_000_000n) / 1000;
  process.stdout.write(
    `${seeds} seeds from ${from} in ${seconds.toFixed(1)} s: ${tally.requests} requests, ` +
      `${tally.replies} replies, ${tally.faultCount} faults injected; every invariant held\n`,
  );
  return 0;
}

process.exitCode = await main();
