/**
 * Requests with large bodies: libzmq's peers, against libzmq's own `zmq_proxy`; then durable requests, HTTP, the SDKs and
 * NATS. Needs gcc and libzmq3-dev; where nats-server or Python's zmq is absent, that is left out.
 *
 *     npm run bench:bodies                       # prints; about a quarter of an hour
 *     npm run bench:bodies -- --write            # writes docs/performance-bodies.md, too
 *     npm run bench:bodies -- --rounds 2 --seconds 1
 *     npm run bench:bodies -- --only http --only 1000000
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { packageVersion } from '../src/core/version.js';
import { removeDaemons } from '../test/support/daemon.js';
import { closeRelays } from '../test/support/tcp-relay.js';
import {
  type Lane,
  libzmqLanes,
  OURS,
  otherLanes,
  type Standing,
  type Tools,
  WORKERS,
} from './bodies/lanes.js';
import { type Measured, renderBodies, type Way } from './bodies/report.js';
import { findBrokers } from './brokers.js';
import { compile, compileGenerator } from './generator.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, publish } from './others.js';
import { HOST } from './ports.js';

const DOCUMENT = join(process.cwd(), 'docs', 'performance-bodies.md');
const SIZES = [1000, 100_000, 1_000_000, 10_000_000, 50_000_000] as const;
const OUTSTANDING = 4;
/** The size of the bodies beside which a small request is sent, and of which so many are outstanding. */
const BESIDE_BYTES = 10_000_000;
const FULL_OUTSTANDING = 100;
const WARM_UP_SECONDS = 1;
/** At most, of what has no target. */
const OTHER_ROUNDS = 3;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    only: { type: 'string', multiple: true, default: [] },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const only = values.only.map((pattern) => new RegExp(pattern, 'i'));
if (values.write && only.length > 0) throw new Error('--write wants all of them');

/** All lanes stand together, and take turns. */
async function measure(
  all: readonly Lane[],
  what: Omit<Measured, 'ways'>,
  roundsMax = rounds,
): Promise<Measured[]> {
  const { bytes, kind, outstanding } = what;
  const lanes = all.filter(({ title }) =>
    only.every((pattern) => pattern.test(`${title}, ${kind}, ${bytes}`)),
  );
  const standing: { readonly at: Standing; readonly way: Way }[] = [];
  try {
    for (const { title, start } of lanes) {
      standing.push({ at: await start(), way: { title, results: [] } });
    }
    for (let round = 0; round < Math.min(rounds, roundsMax); round++) {
      for (const { at, way } of standing) {
        process.stderr.write(`${way.title}, ${kind}, ${bytes} bytes, round ${round + 1}\n`);
        const window = { seconds, warmupSeconds: WARM_UP_SECONDS };
        way.results.push(await at.run(bytes, outstanding, window));
      }
    }
  } finally {
    await Promise.all(standing.map(({ at }) => at.stop()));
  }
  return standing.length === 0 ? [] : [{ ...what, ways: standing.map(({ way }) => way) }];
}

async function measureAll(tools: Tools, others: readonly Lane[]): Promise<Measured[]> {
  const measured: Measured[] = [];
  const lanes = libzmqLanes(tools, false);
  const [bytes, outstanding] = [BESIDE_BYTES, OUTSTANDING];
  for (const each of SIZES) {
    measured.push(...(await measure(lanes, { kind: 'echo', bytes: each, outstanding })));
  }
  const beside = { kind: 'beside', bytes, outstanding } as const;
  measured.push(...(await measure(libzmqLanes(tools, true), beside)));
  const full = { kind: 'full', bytes, outstanding: FULL_OUTSTANDING } as const;
  const ours = lanes.filter(({ title }) => title === OURS);
  measured.push(...(await measure(ours, full, OTHER_ROUNDS)));
  for (const each of SIZES) {
    const other = { kind: 'others', bytes: each, outstanding } as const;
    measured.push(...(await measure(others, other, OTHER_ROUNDS)));
  }
  return measured;
}

const directory = mkdtempSync(join(tmpdir(), 'majordomo-bodies-'));
const othersUntilNow = countOthers();
try {
  const peers = join(directory, 'bodies');
  const source = join(process.cwd(), 'bench', 'peers', 'bodies.c');
  const failure = compile(peers, [source], ['-lzmq', '-lpthread']);
  if (failure !== null) throw new Error(failure);
  const found = findBrokers(directory, false);
  const tools = { directory, found, peers, generator: compileGenerator(directory) };
  const { lanes, absent } = otherLanes(tools);
  const measured = await measureAll(tools, lanes);
  closeRelays();
  const others = othersUntilNow();
  const nats = found.brokers.get('nats');
  const facts = [
    `measured ${new Date().toISOString().slice(0, 10)}`,
    ...machineFacts(),
    `Majordomo ${packageVersion()}${nats === undefined ? '' : `, NATS ${nats.version}`}`,
    `${HOST}, ${OUTSTANDING} outstanding, ${WORKERS} workers of credit 1`,
    `medians of ${rounds} rounds of ${seconds} s in turns, of ${Math.min(rounds, OTHER_ROUNDS)} of other ways`,
    ...absent.map((each) => `left out: ${each}`),
  ];
  publish(renderBodies({ facts, measured, others }), values.write ? DOCUMENT : null, others);
} finally {
  await removeDaemons();
  rmSync(directory, { recursive: true, force: true });
}
