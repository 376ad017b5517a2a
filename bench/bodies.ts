/**
 * Requests with large bodies, libzmq at both ends, against libzmq's own `zmq_proxy` in the middle. Needs gcc and
 * libzmq3-dev.
 *
 *     npm run bench:bodies                       # prints
 *     npm run bench:bodies -- --write            # writes docs/performance-bodies.md, too
 *     npm run bench:bodies -- --rounds 2 --seconds 1
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { packageVersion } from '../src/core/version.js';
import { type Figures, type Measured, renderBodies } from './bodies/report.js';
import { type Broker, findBrokers, type RunningBroker, startBroker } from './brokers.js';
import { compile, resultOf } from './generator.js';
import { HOST } from './ports.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, publish } from './others.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance-bodies.md');
const SIZES = [1000, 100_000, 1_000_000, 10_000_000, 50_000_000] as const;
const OUTSTANDING = 4;
/** The size of the bodies beside which the times of a small request are taken. */
const BESIDE_BYTES = 10_000_000;
const WARM_UP_SECONDS = 1;
const SETS = ['limits.messageBytes=64MiB', 'limits.outputBytes=256MiB'] as const;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);

function proxyOf(program: string): Broker {
  return {
    name: 'proxy',
    version: '',
    protocol: 'mdp',
    hasWorkerPort: true,
    command: (port, _sets, workerPort) => [program, 'proxy', String(port), String(workerPort)],
  };
}

async function measureOnce(
  program: string,
  { port, workerPort = port, pid }: RunningBroker,
  kind: 'proxy' | 'mdp',
  bytes: number,
  isBeside: boolean,
): Promise<Figures> {
  const numbers = [port, workerPort, pid, bytes, OUTSTANDING, values.seconds, WARM_UP_SECONDS];
  const args = ['load', kind, ...numbers.map(String), ...(isBeside ? ['small'] : [])];
  const { requests, seconds, brokerCpuSeconds, ...times } = await resultOf(program, args);
  return {
    cpuUs: (brokerCpuSeconds * 1e6) / requests,
    perSecond: requests / seconds,
    p50Us: times.p50Us,
    p99Us: times.p99Us,
    residentBytes: times.brokerResidentBytes,
  };
}

async function measure(
  program: string,
  ours: Broker,
  bytes: number,
  isBeside: boolean,
): Promise<Measured> {
  const standing: RunningBroker[] = [];
  const measured: Measured = { bytes, isBeside, ours: [], proxy: [] };
  try {
    const proxy = await startBroker(proxyOf(program), [], null);
    standing.push(proxy);
    const broker = await startBroker(ours, SETS, null);
    standing.push(broker);
    for (let round = 0; round < rounds; round++) {
      process.stderr.write(`${bytes} bytes${isBeside ? ', beside' : ''}, round ${round + 1}\n`);
      measured.proxy.push(await measureOnce(program, proxy, 'proxy', bytes, isBeside));
      measured.ours.push(await measureOnce(program, broker, 'mdp', bytes, isBeside));
    }
  } finally {
    await Promise.all(standing.map((each) => each.stop()));
  }
  return measured;
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-bodies-'));
const othersUntilNow = countOthers();
try {
  const program = join(directory, 'bodies');
  const source = join(process.cwd(), 'bench', 'peers', 'bodies.c');
  const failure = compile(program, [source], ['-lzmq', '-lpthread']);
  const ours = findBrokers(directory, false).brokers.get('zmtp');
  if (failure !== null || ours === undefined) throw new Error(failure ?? 'no broker');
  const measured: Measured[] = [];
  for (const bytes of SIZES) measured.push(await measure(program, ours, bytes, false));
  measured.push(await measure(program, ours, BESIDE_BYTES, true));
  const others = othersUntilNow();
  const facts = [
    `measured ${new Date().toISOString().slice(0, 10)}`,
    ...machineFacts(),
    `Majordomo ${packageVersion()}, ${HOST}, ${OUTSTANDING} outstanding, 4 workers of credit 1`,
  ];
  const seconds = Number(values.seconds);
  const text = renderBodies({ facts, rounds, seconds, measured, others });
  publish(text, values.write ? DOCUMENT : null, others);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
