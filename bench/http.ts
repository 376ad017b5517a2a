/**
 * Programs that send requests over HTTP, against a bare `node:http` server that sends the body back. The load
 * generator needs gcc.
 *
 *     npm run bench:http                      # prints
 *     npm run bench:http -- --write           # writes docs/performance-http.md, too
 *     npm run bench:http -- --rounds 2 --seconds 1
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { packageVersion } from '../src/core/version.js';
import { removeDaemons } from '../test/support/daemon.js';
import { keepAwake } from './awake.js';
import { compileGenerator, type Generator, type Protocol, runLoad } from './generator.js';
import {
  type Held,
  type Lane,
  memoryVerdicts,
  renderHttp,
  type Round,
  type Verdict,
} from './http/report.js';
import { type Serving, startBare, startOurs } from './http/servers.js';
import { measureMemory } from './http/waiting.js';
import { machineFacts } from './machine-facts.js';
import { ratioOf } from './measure.js';
import { countOthers, publish } from './others.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance-http.md');
const BODY_BYTES = 200;
const OUTSTANDING = [1, 64] as const;
/** Of each at each load: V8 compiles for the first seconds after the load has changed. */
const WARM_UP_SECONDS = 3.5;
/** Of each run after that: until the connections stand. */
const RUN_UP_SECONDS = 0.1;
const WAYS: readonly Way[] = [
  { title: 'bare `node:http`', of: 'bare', protocol: 'http' },
  { title: 'Majordomo', of: 'ours', protocol: 'http' },
  { title: 'bare `node:http`, traced', of: 'bare', protocol: 'http-traced' },
  { title: 'Majordomo, traced', of: 'ours', protocol: 'http-traced' },
  { title: 'Majordomo, varied', of: 'ours', protocol: 'http-varied' },
  { title: 'Majordomo, parsed', of: 'ours', protocol: 'http-parsed' },
  { title: 'Majordomo, events', of: 'ours', protocol: 'http-events' },
  { title: 'Majordomo, durable', of: 'ours', protocol: 'http-durable' },
];
/** At most: servers are started anew for each round. */
const MEMORY_ROUNDS = 3;
const THREE_PROCESSES =
  'A request passes to a worker, which is another process, and back; the bare server answers by itself. A worker inside the broker would meet it, and could end the broker.';
const TARGETS = [
  {
    quantity: 'cpuUs',
    what: 'CPU of each',
    protocol: 'http',
    outstanding: 64,
    bound: 2,
    why: THREE_PROCESSES,
  },
  {
    quantity: 'p50Us',
    what: 'p50',
    protocol: 'http',
    outstanding: 1,
    bound: 2,
    why: THREE_PROCESSES,
  },
  {
    quantity: 'cpuUs',
    what: 'CPU of each, traced',
    protocol: 'http-traced',
    outstanding: 64,
    bound: 2,
    why: THREE_PROCESSES,
  },
] as const;

interface Way {
  readonly title: string;
  readonly of: 'bare' | 'ours';
  readonly protocol: Protocol;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

async function runOnce(
  generator: Generator,
  { port, pids: [pid = 0, ...morePids] }: Serving,
  { protocol }: Way,
  outstanding: number,
  warmupSeconds: number,
): Promise<Round> {
  const { requests, p50Us, ...used } = await runLoad(
    generator,
    { clients: outstanding, workers: 0, outstanding, size: BODY_BYTES },
    { protocol, port, pid, morePids },
    { seconds, warmupSeconds },
    null,
  );
  return {
    perSecond: requests / used.seconds,
    cpuUs: (used.brokerCpuSeconds * 1e6) / requests,
    p50Us,
    loadCpuUs: (used.loadCpuSeconds * 1e6) / requests,
  };
}

async function measure(
  generator: Generator,
  serving: Readonly<Record<Way['of'], Serving>>,
  outstanding: number,
): Promise<Lane[]> {
  const lanes = WAYS.map((way) => ({ ...way, outstanding, rounds: [] as Round[] }));
  for (const lane of lanes) {
    await runOnce(generator, serving[lane.of], lane, outstanding, WARM_UP_SECONDS);
  }
  for (let round = 0; round < rounds; round++) {
    for (const lane of lanes) {
      process.stderr.write(`${lane.title}, ${outstanding} outstanding, round ${round + 1}\n`);
      const result = await runOnce(generator, serving[lane.of], lane, outstanding, RUN_UP_SECONDS);
      lane.rounds.push(result);
    }
  }
  return lanes;
}

function verdicts(lanes: readonly Lane[]): Verdict[] {
  return TARGETS.map(({ quantity, what, protocol, outstanding, bound, why }) => {
    const of = (server: Way['of']): number[] => {
      const ways = WAYS.filter((way) => way.protocol === protocol && way.of === server);
      const at = lanes.filter((lane) => lane.outstanding === outstanding);
      const lane = at.find(({ title }) => title === ways[0]?.title);
      return lane?.rounds.map((round) => round[quantity]) ?? [];
    };
    const about = `${what} at ${outstanding} outstanding, to the bare server`;
    return { about, ratio: ratioOf(of('ours'), of('bare')), bound, why };
  });
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-http-'));
const othersUntilNow = countOthers();
const started: Serving[] = [];
try {
  const generator = compileGenerator(directory);
  const sleepAgain = keepAwake(generator);
  const lanes: Lane[] = [];
  const held: Held[] = [];
  try {
    const bare = await startBare();
    started.push(bare);
    const ours = await startOurs();
    started.push(ours);
    for (const outstanding of OUTSTANDING) {
      lanes.push(...(await measure(generator, { bare, ours }, outstanding)));
    }
    for (const each of started.splice(0)) await each.stop();
    const progress = (text: string): boolean => process.stderr.write(`${text}\n`);
    held.push(...(await measureMemory(Math.min(rounds, MEMORY_ROUNDS), progress)));
  } finally {
    for (const each of started) await each.stop();
    await sleepAgain();
  }
  const others = othersUntilNow();
  const facts = [
    `measured ${new Date().toISOString().slice(0, 10)}`,
    ...machineFacts(),
    `Majordomo ${packageVersion()}`,
  ];
  const report = { facts, rounds, seconds, bodyBytes: BODY_BYTES, lanes, held, others };
  const text = renderHttp({ ...report, verdicts: [...verdicts(lanes), ...memoryVerdicts(held)] });
  publish(text, values.write ? DOCUMENT : null, others);
} finally {
  await removeDaemons();
  rmSync(directory, { recursive: true, force: true });
}
