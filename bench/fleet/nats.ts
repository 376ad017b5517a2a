/**
 * Requests over NATS: two brokers and nats-server against one broker alone, and against a bare pair
 * of processes on the same library, in interleaved rounds.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { type Broker, findBrokers, type RunningBroker, startBroker } from '../brokers.js';
import { compileGenerator, type Generator, type LoadResult, runLoad } from '../generator.js';
import { type Judged, missedText, table, times, verdictOf, whole } from '../markdown.js';
import { median, ratioOf } from '../measure.js';
import { accepts, freePort, HOST } from '../ports.js';
import type { FleetBench } from './part.js';

const OUTSTANDING = [1, 64, 512] as const;
const BODY_BYTES = 1024;
const WARMUP_SECONDS = 1;
/** How long brokers work before anything is measured: one round of few requests compiles little code. */
const COMPILE_SECONDS = 5;
const COMPILE_OUTSTANDING = 512;
const ADDED_MS_MAX = 0.25;
const CPU_RATIO_MAX = 1.8;
const MOSTLY_NATS =
  'Most of it is the way through nats-server and its library, which the bare pair has, too. Connections between the brokers themselves would meet it, and be a second protocol between them.';
const TWO_BROKERS =
  'Two brokers do what the bare pair does not: both hold the request, count it, keep its limits, and speak ZMTP with its client or its worker. Fewer copies between the broker and the library of NATS would come nearer; no part stands out.';
const START_MS_MAX = 10_000;
const TICKS_PER_SECOND = 100;
const BARE = fileURLToPath(new URL('bare.js', import.meta.url));
const ENVIRONMENT = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

/** One measurement. CPU in microseconds a request. */
interface Figures {
  readonly p50Ms: number;
  readonly perSecond: number;
  readonly originUs: number;
  readonly holderUs: number;
  readonly serverUs: number;
}

interface Row {
  readonly outstanding: number;
  readonly alone: readonly Figures[];
  readonly fleet: readonly Figures[];
  readonly bare: readonly Figures[];
}

export async function overNats(bench: FleetBench): Promise<string> {
  const generator = compileGenerator(bench.directory);
  const broker = findBrokers(bench.directory, false).brokers.get('zmtp');
  if (broker === undefined) throw new Error('the broker is not built');
  const server = await startServer();
  if (server === null) return '## Over NATS\n\nNot measured: `nats-server` is not installed.';
  const started: RunningBroker[] = [];
  try {
    const start = async (name: string, sets: readonly string[]): Promise<RunningBroker> => {
      const all = [`node.name=${name}`, 'titanic.enabled=false', ...sets];
      const running = await startBroker(broker satisfies Broker, all, null);
      started.push(running);
      return running;
    };
    const alone = await start('alone', []);
    const inFleet = [`fleet.nats=nats://${HOST}:${server.port}`];
    const [origin, holder] = [await start('origin', inFleet), await start('holder', inFleet)];
    const bridged = { ...origin, workerPort: holder.port };
    const rows: Row[] = [];
    bench.progress('over NATS: warming up');
    const warming = { ...bench, seconds: COMPILE_SECONDS };
    await loaded(warming, generator, alone, COMPILE_OUTSTANDING, null, null);
    await loaded(warming, generator, bridged, COMPILE_OUTSTANDING, holder.pid, server.pid);
    for (const outstanding of OUTSTANDING) {
      const row = {
        outstanding,
        alone: [] as Figures[],
        fleet: [] as Figures[],
        bare: [] as Figures[],
      };
      // The first round only warms up.
      for (let round = 0; round <= bench.rounds; round++) {
        bench.progress(`over NATS, ${outstanding} outstanding: round ${round} of ${bench.rounds}`);
        const measured = {
          alone: await loaded(bench, generator, alone, outstanding, null, null),
          fleet: await loaded(bench, generator, bridged, outstanding, holder.pid, server.pid),
          bare: await bare(bench, outstanding, server),
        };
        if (round === 0) continue;
        for (const who of ['alone', 'fleet', 'bare'] as const) row[who].push(measured[who]);
      }
      rows.push(row);
    }
    return rendered(rows);
  } finally {
    await Promise.all(started.map((each) => each.stop()));
    await server.stop();
  }
}

// ---------------------------------------------------------------- measuring

/** @param holderPid, serverPid whose CPU counts as well; `null`: there is none */
async function loaded(
  bench: FleetBench,
  generator: Generator,
  target: RunningBroker,
  outstanding: number,
  holderPid: number | null,
  serverPid: number | null,
): Promise<Figures> {
  const pids = [target.pid, holderPid, serverPid];
  const load = { clients: 1, workers: 1, outstanding, credit: outstanding, size: BODY_BYTES };
  const window = { seconds: bench.seconds, warmupSeconds: WARMUP_SECONDS };
  const before = pids.map(cpuSecondsOf);
  const result: LoadResult = await runLoad(generator, load, target, window, null);
  const [ofOrigin = 0, ofHolder = 0, ofServer = 0] = pids.map(
    (pid, at) => cpuSecondsOf(pid) - (before[at] ?? 0),
  );
  // The generator counts the origin within the window. The others worked as long before it.
  const share = result.brokerCpuSeconds / ofOrigin;
  const us = (cpuSeconds: number): number => (cpuSeconds * 1e6) / result.requests;
  return {
    p50Ms: result.p50Us / 1000,
    perSecond: result.requests / result.seconds,
    originUs: us(result.brokerCpuSeconds),
    holderUs: us(ofHolder * share),
    serverUs: us(ofServer * share),
  };
}

/** User and system time of a process. */
function cpuSecondsOf(pid: number | null): number {
  if (pid === null) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is a name in parentheses, which may contain anything.
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) / TICKS_PER_SECOND;
}

interface BareResult {
  readonly requests: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly p50Us: number;
}

async function bare(bench: FleetBench, outstanding: number, server: Server): Promise<Figures> {
  const port = String(server.port);
  const numbers = [outstanding, BODY_BYTES, bench.seconds, WARMUP_SECONDS].map(String);
  const holder = new Program(['holder', port]);
  try {
    await holder.line();
    const origin = new Program(['origin', port, ...numbers]);
    await origin.line();
    const [holderFrom, serverFrom] = [Number(await holder.ask('cpu')), cpuSecondsOf(server.pid)];
    const { requests, seconds, cpuSeconds, p50Us } = JSON.parse(await origin.line()) as BareResult;
    const holderCpu = Number(await holder.ask('cpu')) - holderFrom;
    const us = (cpu: number): number => (cpu * 1e6) / requests;
    return {
      ...{ p50Ms: p50Us / 1000, perSecond: requests / seconds },
      ...{ originUs: us(cpuSeconds), holderUs: us(holderCpu) },
      serverUs: us(cpuSecondsOf(server.pid) - serverFrom),
    };
  } finally {
    await holder.end();
  }
}

/** One end of the bare pair. */
class Program {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [BARE, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('no standard output');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error('an end of the bare pair has ended');
    return next.value;
  }

  async ask(text: string): Promise<string> {
    this.#child.stdin?.write(`${text}\n`);
    return await this.line();
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}

interface Server {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** @returns `null`: it is not installed */
async function startServer(): Promise<Server | null> {
  const port = await freePort();
  const args = ['-a', HOST, '-p', String(port)];
  const child = spawn('nats-server', args, { env: ENVIRONMENT, stdio: 'ignore' });
  const failed = new Promise<null>((resolve) => {
    child.once('error', () => resolve(null));
  });
  await Promise.race([failed, once(child, 'spawn')]);
  const { pid } = child;
  if (pid === undefined) return null;
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  const until = Date.now() + START_MS_MAX;
  while (!(await accepts(port))) {
    if (Date.now() > until) {
      await stop();
      throw new Error('nats-server does not listen');
    }
    await sleep(50);
  }
  return { port, pid, stop };
}

// ---------------------------------------------------------------- the tables

function rendered(rows: readonly Row[]): string {
  const of = (figures: readonly Figures[], value: (each: Figures) => number): number =>
    median(figures.map(value));
  const ms = (value: number): string => `${value.toFixed(3)} ms`;
  const p50 = ({ p50Ms }: Figures): number => p50Ms;
  const judged: Judged[] = [];
  const latencies = rows.map(({ outstanding, alone, fleet, bare: pair }) => {
    const added = median(fleet.map((each, at) => each.p50Ms - (alone[at]?.p50Ms ?? NaN)));
    const isMet = added <= ADDED_MS_MAX;
    if (outstanding === 1) judged.push({ about: 'added to the p50', isMet, why: MOSTLY_NATS });
    return [
      ...[String(outstanding), ms(of(alone, p50)), ms(of(fleet, p50)), ms(added)],
      ...[
        outstanding === 1 ? `≤ ${ADDED_MS_MAX} ms: ${verdictOf({ isMet })}` : '',
        ms(of(pair, p50)),
      ],
      ...[fleet, alone].map((figures) => whole(of(figures, ({ perSecond }) => perSecond))),
    ];
  });
  const both = ({ originUs, holderUs }: Figures): number => originUs + holderUs;
  const us = (value: number): string => `${value.toFixed(1)} µs`;
  const costs = rows.flatMap(({ outstanding, alone, fleet, bare: pair }) => {
    const ratio = ratioOf(fleet.map(both), pair.map(both));
    const range = `${times(ratio.median)} (${times(ratio.low)} – ${times(ratio.high)})`;
    const isMet = ratio.median <= CPU_RATIO_MAX;
    if (outstanding === 512) judged.push({ about: 'CPU to a bare pair', isMet, why: TWO_BROKERS });
    const line = (
      title: string,
      figures: readonly Figures[],
      last: readonly string[],
    ): string[] => [
      ...[String(outstanding), title],
      ...[
        us(of(figures, ({ originUs }) => originUs)),
        us(of(figures, ({ holderUs }) => holderUs)),
        us(of(figures, ({ serverUs }) => serverUs)),
      ],
      ...last,
    ];
    const target = outstanding === 512 ? `≤ ${times(CPU_RATIO_MAX)}: ${verdictOf({ isMet })}` : '';
    return [
      line('two brokers', fleet, [range, target]),
      line('a bare pair', pair, ['', '']),
      line('one broker', alone, ['', '']),
    ];
  });
  return [
    '## Over NATS',
    `Requests of ${BODY_BYTES} bytes and their replies, one client and one worker, whose credit is the number outstanding. Two brokers: the client is\nat the origin, the worker at the holder. One broker: both are at the same. A bare pair: two Node processes on the same NATS library,\nwhich pack requests and replies as brokers do, without clients and workers. Brokers have worked at full load for ${COMPILE_SECONDS} s before; the\nprocesses of the bare pair are new in each round. Each measurement begins after a warm-up of ${WARMUP_SECONDS} s.`,
    table(
      [
        'outstanding',
        'p50, one broker',
        'two brokers',
        'added',
        'target',
        'bare pair',
        'requests/s, two brokers',
        'one broker',
      ],
      latencies,
    ),
    'CPU time a request, in user and system mode. The ratio is that of origin and holder together, round by round.',
    table(
      [
        'outstanding',
        'who',
        'origin',
        'holder',
        'nats-server',
        'two brokers to a bare pair',
        'target',
      ],
      costs,
    ),
    ...missedText(judged),
  ].join('\n\n');
}
