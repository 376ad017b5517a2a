/**
 * Receipts a second against what else keeps requests on disk, where it is installed. The load
 * generator needs gcc.
 *
 *     npm run bench:durable                      # prints
 *     npm run bench:durable -- --write           # writes docs/performance-durable.md, too
 *     npm run bench:durable -- --rounds 1 --seconds 0.5
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { keepAwake } from './awake.js';
import { bareDisk } from './durable/bare-disk.js';
import {
  type Contender,
  type ContenderName,
  findContenders,
  findWithSdk,
  type Running,
  startContender,
} from './durable/contenders.js';
import {
  closedLoop,
  closedLoopOfSdk,
  type Latencies,
  type LifeProtocol,
  openLoop,
  wholeLives,
} from './durable/load.js';
import { type Rates, renderDurable, type Verdict } from './durable/report.js';
import { slowDisk } from './durable/slow-disk.js';
import { compileGenerator, type Generator } from './generator.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, type Others, publish } from './others.js';

interface Target {
  /** What is compared; absent: `titanic`. */
  readonly mine?: 'titanic-call';
  readonly against: ContenderName;
  readonly outstanding: number;
  readonly bound: number;
  /** What holds it back where it is missed, and what would meet it. */
  readonly why?: string;
}

const LONE =
  'A receipt passes to the store’s thread and back, and waits for a commit of SQLite, which writes more pages than an append. Committing on the thread of the loop would meet it, and one slow sync would delay all plain requests; a journal before SQLite was tried, and cost more than it gained once its rows were in their tables.';
const SMALL_BATCHES =
  'At 64 the batches are small, so what each commit costs anyway counts, and the two changes of thread. Larger batches would meet it, as at 1,000, and be later.';
const THREE_COMMITS =
  'One life at a time is three commits in a row, so the syncs of the disk decide for both. Fewer would meet it, but a reply has to be on disk before its client reads it, and the close comes after that.';
const TWO_COMMITS =
  'One call at a time is two commits in a row, of which neither can be left out: a receipt and a reply have to be on disk.';
const DOCUMENT = join(process.cwd(), 'docs', 'performance-durable.md');
const OUTSTANDING = [1, 64, 1000] as const;
const TARGETS: readonly Target[] = [
  { against: 'beanstalkd', outstanding: 1, bound: 0.55, why: LONE },
  { against: 'redis', outstanding: 64, bound: 1.15, why: SMALL_BATCHES },
  { against: 'beanstalkd', outstanding: 64, bound: 6.5 },
  { against: 'redis', outstanding: 1000, bound: 1.8 },
];
const CALL_TITLE = 'Majordomo: `titanic.call`, `Worker`, close';
const CALLED = 'by `titanic.call`';
const LIVES_OUTSTANDING = [1, 64] as const;
const LIFE_TARGETS: readonly Target[] = [
  { against: 'beanstalkd', outstanding: 64, bound: 1.5 },
  { against: 'restate', outstanding: 1, bound: 3, why: THREE_COMMITS },
  { against: 'restate', outstanding: 64, bound: 10 },
  { mine: 'titanic-call', against: 'titanic', outstanding: 1, bound: 1.5, why: TWO_COMMITS },
  { mine: 'titanic-call', against: 'titanic', outstanding: 64, bound: 1.35 },
  { mine: 'titanic-call', against: 'restate', outstanding: 1, bound: 3, why: TWO_COMMITS },
  { mine: 'titanic-call', against: 'restate', outstanding: 64, bound: 10 },
];
/** Of each at each load: V8 compiles for the first seconds after the load has changed. */
const WARM_UP_SECONDS = 3.5;
/** Of each run after that: until the connection stands. */
const RUN_UP_SECONDS = 0.1;
const OPEN_RATE = 5000;
const P50_TIMES_MAX = 3.3;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

interface Measured {
  readonly title: string;
  readonly name: LifeProtocol | 'sdk';
  readonly perSecond: readonly number[];
}

interface Lane extends Measured {
  readonly perSecond: number[];
  readonly run: (warmupSeconds: number) => Promise<number>;
}

async function measure(
  generator: Generator,
  standing: readonly Running[],
  outstanding: number,
): Promise<Measured[]> {
  const lanes: Lane[] = standing.map((running) => ({
    title: running.contender.title,
    name: running.contender.name,
    run: (warmupSeconds: number) =>
      closedLoop(generator, running, outstanding, { seconds, warmupSeconds }),
    perSecond: [],
  }));
  const [ours] = standing;
  if (ours === undefined) throw new Error('nothing to measure');
  lanes.push({
    title: 'Majordomo, requests from `Client`',
    name: 'sdk',
    run: (warmupSeconds) => closedLoopOfSdk(ours.port, outstanding, { seconds, warmupSeconds }),
    perSecond: [],
  });
  await inTurns(lanes, `${outstanding} outstanding`);
  return lanes;
}

interface Lives {
  readonly rates: readonly Rates[];
  readonly verdicts: readonly Verdict[];
}

/** With stores of their own: the receipts' requests are for nobody. */
async function measureLives(
  generator: Generator,
  found: readonly Contender[],
  directory: string,
): Promise<Lives> {
  const standing: Running[] = [];
  const rates: Rates[] = [];
  const judged: Verdict[] = [];
  try {
    for (const contender of found) standing.push(await startContender(contender, directory));
    for (const outstanding of LIVES_OUTSTANDING) {
      const lanes: Lane[] = standing.map((running) => ({
        title: running.contender.lifeTitle,
        name: running.contender.name,
        run: (warmupSeconds: number) =>
          wholeLives(generator, running, outstanding, { seconds, warmupSeconds }),
        perSecond: [],
      }));
      const [ours] = standing;
      if (ours?.contender.worker !== undefined) {
        lanes.push({
          title: CALL_TITLE,
          name: 'titanic-call',
          run: (warmupSeconds) =>
            wholeLives(generator, ours, outstanding, { seconds, warmupSeconds }, 'titanic-call'),
          perSecond: [],
        });
      }
      const what = `whole lives/s at ${outstanding} outstanding`;
      await inTurns(lanes, what);
      const targets = LIFE_TARGETS.filter((target) => target.outstanding === outstanding);
      judged.push(...verdicts(targets, what, lanes));
      for (const { title, perSecond } of lanes) rates.push({ title, outstanding, perSecond });
    }
    return { rates, verdicts: judged };
  } finally {
    await Promise.all(standing.map((each) => each.stop()));
  }
}

async function inTurns(lanes: readonly Lane[], what: string): Promise<void> {
  for (const { run } of lanes) await run(WARM_UP_SECONDS);
  for (let round = 0; round < rounds; round++) {
    for (const { title, run, perSecond } of lanes) {
      process.stderr.write(`${title}, ${what}, round ${round + 1}\n`);
      perSecond.push(await run(RUN_UP_SECONDS));
    }
  }
}

function verdicts(
  targets: readonly Omit<Target, 'outstanding'>[],
  what: string,
  measured: readonly Measured[],
): Verdict[] {
  const of = (name: Measured['name']): readonly number[] | undefined =>
    measured.find((each) => each.name === name)?.perSecond;
  return targets.flatMap(({ mine, against, bound, why }): Verdict[] => {
    const theirs = of(against);
    const ours = of(mine ?? 'titanic');
    if (theirs === undefined || ours === undefined) return [];
    const ratios = ours.map((each, round) => each / (theirs[round] ?? Number.NaN));
    const whose =
      mine === undefined
        ? against
        : `${CALLED} to ${against === 'titanic' ? 'three questions' : against}`;
    return [{ about: `${whose}, ${what}`, ratios, bound, isMost: false, why }];
  });
}

/** Receipts at a rate and the bare disk in turns. */
async function latencies(
  generator: Generator,
  ours: Running,
  directory: string,
): Promise<[Latencies, Latencies][]> {
  const pairs: [Latencies, Latencies][] = [];
  const window = { seconds: 2 * seconds, warmupSeconds: RUN_UP_SECONDS };
  for (let round = 0; round < rounds; round++) {
    process.stderr.write(`open loop, round ${round + 1}\n`);
    const open = await openLoop(generator, ours, OPEN_RATE, window);
    pairs.push([open, bareDisk(directory, seconds)]);
  }
  return pairs;
}

function medians(all: readonly Latencies[]): Latencies {
  const of = (value: (latencies: Latencies) => number): number =>
    all.map(value).toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN;
  return { p50: of(({ p50 }) => p50), p99: of(({ p99 }) => p99) };
}

async function run(
  directory: string,
): Promise<{ readonly report: string; readonly others: Others }> {
  const { found, absent } = findContenders();
  const withSdk = findWithSdk();
  const generator = compileGenerator(directory);
  const othersUntilNow = countOthers();
  const sleepAgain = keepAwake(generator);
  const standing: Running[] = [];
  const rates: Rates[] = [];
  const judged: Verdict[] = [];
  try {
    for (const contender of found) standing.push(await startContender(contender, directory));
    for (const outstanding of OUTSTANDING) {
      const measured = await measure(generator, standing, outstanding);
      const targets = TARGETS.filter((target) => target.outstanding === outstanding);
      judged.push(...verdicts(targets, `receipts/s at ${outstanding} outstanding`, measured));
      for (const { title, perSecond } of measured) rates.push({ title, outstanding, perSecond });
    }
    const [ours] = standing;
    if (ours === undefined) throw new Error('nothing to measure');
    const pairs = await latencies(generator, ours, directory);
    judged.push({
      about: `a bare append and fdatasync, p50 at ${OPEN_RATE.toLocaleString('en')}/s`,
      ratios: pairs.map(([open, bare]) => open.p50 / bare.p50),
      bound: P50_TIMES_MAX,
      isMost: true,
      why: LONE,
    });
    const slow = await slowDisk(generator, ours.contender, directory, 3 * seconds);
    await Promise.all(standing.splice(0).map((each) => each.stop()));
    const lives = await measureLives(generator, found, directory);
    const sdkLives = await measureLives(generator, withSdk.found, directory);
    judged.push(...lives.verdicts, ...sdkLives.verdicts);
    await sleepAgain();
    const others = othersUntilNow();
    const report = renderDurable({
      facts: [
        `measured ${new Date().toISOString().slice(0, 10)}`,
        ...machineFacts(),
        ...[...found, ...withSdk.found.slice(1)].map(
          ({ title, version }) => `${title}: ${version}`,
        ),
      ],
      absent: [...absent, ...withSdk.absent],
      rounds,
      seconds,
      openRate: OPEN_RATE,
      rates,
      lives: [...lives.rates, ...sdkLives.rates],
      verdicts: judged,
      open: medians(pairs.map(([open]) => open)),
      bare: medians(pairs.map(([, bare]) => bare)),
      slow,
      others,
    });
    return { report, others };
  } finally {
    await Promise.all([sleepAgain(), ...standing.map((each) => each.stop())]);
  }
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-durable-'));
try {
  const { report, others } = await run(directory);
  publish(report, values.write ? DOCUMENT : null, others);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
