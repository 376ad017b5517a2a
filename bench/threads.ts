/**
 * Measures what it would save and cost to have the sockets of a broker in a thread of their own: the broker's
 * machine with its sockets in the same thread, and with sockets, ZMTP and CURVE in another one. The threads pass
 * packed messages through rings in shared memory. A thread that has nothing to do waits for the memory
 * (`Atomics.waitAsync`), or is woken by `postMessage`. All run at the same time and are measured in turn.
 *
 *     npm run bench:threads [-- --rounds 7] [--seconds 2]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { loadSodium } from '../src/zmtp/curve/sodium.js';
import { keepAwake } from './awake.js';
import { compileGenerator, type Load, type LoadTarget, runLoad } from './generator.js';
import { machineFacts } from './machine-facts.js';
import { table, times, whole } from './markdown.js';
import { median, ratioOf } from './measure.js';
import type { Way } from './threads/broker.js';

const WAYS: Readonly<Record<Way, string>> = {
  one: 'one thread',
  memory: 'two, waiting for the memory',
  post: 'two, woken by `postMessage`',
};

interface Row {
  readonly title: string;
  readonly load: Load;
  readonly hasCurve?: boolean;
}

const many = { clients: 32, workers: 32, credit: 1 };
const single = { clients: 1, workers: 1, outstanding: 1 };
const ROWS: readonly Row[] = [
  { title: '32 workers, credit 1, 16 B, 100 outstanding', load: { ...many, outstanding: 100 } },
  { title: 'the same, 20,000/s', load: { ...many, outstanding: 100, rate: 20_000 } },
  {
    title: '32 workers, credit 1, 1 KB, 1,000 outstanding',
    load: { ...many, outstanding: 1000, size: 1024 },
  },
  {
    title: '4 workers, credit 100, 16 B, 1,000 outstanding, peers batch',
    load: { clients: 4, workers: 4, credit: 100, outstanding: 1000 },
  },
  { title: 'one outstanding, 16 B', load: single },
  {
    title: 'CURVE, 32 workers, credit 1, 1 KB, 100 outstanding',
    load: { ...many, outstanding: 100, size: 1024 },
    hasCurve: true,
  },
  {
    title: 'the same with CURVE, 5,000/s',
    load: { ...many, outstanding: 100, size: 1024, rate: 5000 },
    hasCurve: true,
  },
  { title: 'CURVE, one outstanding, 16 B', load: single, hasCurve: true },
];

/** µs of CPU per request; of the thread with the machine, and of all. */
interface Figures {
  readonly rate: number;
  readonly main: number;
  readonly all: number;
  readonly p50: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
  },
});
const rounds = Number(values.rounds);
const crypto = await loadSodium();
const [ofBroker, ofPeers] = [crypto.keyPair(), crypto.keyPair()];
const curve = {
  serverKey: ofBroker.publicKey.toString('hex'),
  secretKey: ofPeers.secretKey.toString('hex'),
};
const directory = mkdtempSync(join(tmpdir(), 'majordomo-threads-'));

class RunningBroker {
  readonly target: LoadTarget;
  readonly figures: Figures[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, target: LoadTarget) {
    this.#child = child;
    this.target = target;
  }

  static async start(way: string, hasCurve: boolean): Promise<RunningBroker> {
    const script = join(import.meta.dirname, 'threads', 'broker.js');
    const args = [script, way, ...(hasCurve ? [ofBroker.secretKey.toString('hex')] : [])];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    const port = Number(/:(\d+)\n$/.exec(said.toString())?.[1]);
    const { pid = 0 } = child;
    const target = {
      protocol: 'mdp',
      port,
      workerPort: port,
      pid,
      ...(hasCurve && { curve }),
    } as const;
    return new RunningBroker(child, target);
  }

  /** CPU µs of the thread with the machine, and of all threads. */
  cpu(): readonly [main: number, all: number] {
    const { pid } = this.target;
    const of = (thread: string): number =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000;
    const threads = readdirSync(`/proc/${pid}/task`);
    return [of(String(pid)), threads.reduce((sum, thread) => sum + of(thread), 0)];
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

async function measure(broker: RunningBroker, load: Load): Promise<void> {
  const window = { seconds: Number(values.seconds), warmupSeconds: 0 };
  const before = broker.cpu();
  const { requests, seconds, p50Us } = await runLoad(generator, load, broker.target, window, null);
  const after = broker.cpu();
  broker.figures.push({
    rate: requests / seconds,
    main: (after[0] - before[0]) / requests,
    all: (after[1] - before[1]) / requests,
    p50: p50Us,
  });
}

function line(title: string, figures: readonly Figures[], base: readonly Figures[]): string[] {
  const of = (all: readonly Figures[], name: keyof Figures): number[] =>
    all.map((each) => each[name]);
  const cell = (name: keyof Figures, show: (value: number) => string): string => {
    const shown = show(median(of(figures, name)));
    return figures === base
      ? shown
      : `${shown} (${times(ratioOf(of(figures, name), of(base, name)).median)})`;
  };
  const us = (value: number): string => value.toFixed(2);
  return [title, cell('main', us), cell('all', us), cell('rate', whole), cell('p50', whole)];
}

async function measureRow({ title, load, hasCurve = false }: Row): Promise<string> {
  const brokers = new Map<string, RunningBroker>();
  try {
    for (const [way, name] of Object.entries(WAYS)) {
      const broker = await RunningBroker.start(way, hasCurve);
      brokers.set(name, broker);
      await measure(broker, load);
      broker.figures.length = 0;
    }
    for (let round = 0; round < rounds; round++) {
      for (const broker of brokers.values()) await measure(broker, load);
    }
  } finally {
    for (const broker of brokers.values()) await broker.stop();
  }
  const base = brokers.get(WAYS.one)?.figures ?? [];
  const head = [title, 'broker’s thread, µs', 'all threads, µs', 'requests/s', 'p50, µs'];
  return table(
    head,
    [...brokers].map(([name, { figures }]) => line(name, figures, base)),
  );
}

const generator = compileGenerator(directory);
const sleepAgain = keepAwake(generator);
try {
  process.stdout.write(`${machineFacts().join('; ')}; medians of ${rounds} rounds\n`);
  for (const row of ROWS) {
    if ((row.hasCurve ?? false) && !generator.hasCurve) continue;
    process.stdout.write(`\n${await measureRow(row)}\n`);
  }
} finally {
  await sleepAgain();
  rmSync(directory, { recursive: true, force: true });
}
