/**
 * `npm run chaos -- --cycles N [--seed S]`: kill -9 of the daemon at random moments, under load.
 *
 * Clients submit, fetch and close, workers come, go and fail, and in each cycle the daemon is killed
 * and started again, sometimes before it was ready. All the while, and for every receipt at the end:
 * a request that was acknowledged is never unknown before its close, and its reply is its own. In
 * the end all are closed, so the store must be empty: what was sent twice was stored once.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { codeOf, messageOf } from '../../src/core/errors.js';
import { Client } from '../../src/sdk/client.js';
import { run } from '../support/child.js';
import { Daemon, removeDaemons, startDaemon, temporaryDirectory } from '../support/daemon.js';
import { SimRandom } from '../simulation/world/random.js';
import { type Receipt, Receipts } from './receipts.js';
import { Workers } from './workers.js';

const CLIENTS = 2;
const LANES = 24;
/** Requests that a lane submits at once. */
const BURST_MAX = 16;
const SERVICES = ['alpha', 'beta', 'gamma', 'delta'] as const;
/** So many open ones are enough. */
const OPEN_MAX = 3000;
/** A daemon is killed after at most so many acknowledgements and executions, and a moment. */
const STEPS_MAX = 1500;
const MOMENT_MS = 30;
/** Now and then it is killed at the latest so long after its start, ready or not. */
const START_MS = 700;
/** Clients and workers that were cut off often come back late; it is not waited for longer. */
const PATIENCE_MS = 4000;
const PROGRESS_EVERY_CYCLES = 10;

const SETS = [
  'broker.heartbeatIntervalMs=200',
  'titanic.maxAttempts=1000',
  'titanic.retryBaseMs=10',
  'titanic.retryMaxMs=100',
];

const { values } = parseArgs({
  options: { cycles: { type: 'string', default: '50' }, seed: { type: 'string', default: '' } },
});

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (text !== '' && Number.isSafeInteger(value) && value > 0) return value;
  process.stderr.write(`chaos: --${name} is a whole number above 0, not ${text}\n`);
  process.exit(64);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

class Load {
  readonly receipts = new Receipts();
  readonly #clients: Client[];
  readonly #random: SimRandom;
  readonly #lanes: Promise<void>[] = [];
  #stopped = false;

  constructor(endpoint: string, random: SimRandom) {
    this.#random = random;
    this.#clients = Array.from(
      { length: CLIENTS },
      () =>
        new Client({
          endpoints: [endpoint],
          timeoutMs: 1000,
          retries: 300,
          retryBaseMs: 20,
          retryMaxMs: 100,
        }),
    );
  }

  start(): void {
    for (const client of this.#clients) {
      for (let lane = 0; lane < LANES; lane++) this.#lanes.push(this.#lane(client));
    }
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** Fetches, checks and closes every request that is open. */
  async finish(): Promise<void> {
    const open = this.receipts.open();
    const lane = async (client: Client): Promise<void> => {
      for (let receipt = open.pop(); receipt !== undefined; receipt = open.pop()) {
        await this.receipts.fetch(client, receipt, 60_000);
        await this.receipts.close(client, receipt);
      }
    };
    await Promise.all(
      this.#clients.flatMap((client) => Array.from({ length: LANES }, () => lane(client))),
    );
  }

  async #lane(client: Client): Promise<void> {
    const random = this.#random;
    while (!this.#stopped) {
      if (this.receipts.openCount >= OPEN_MAX || random.chance(0.3)) {
        await this.#fetchOne(client, this.receipts.any(random));
      } else {
        const burst = Array.from({ length: random.int(1, BURST_MAX) }, () =>
          this.receipts.submit(client, random.pick(SERVICES), random),
        );
        const [receipt] = await Promise.all(burst);
        if (random.chance(0.3)) await this.#fetchOne(client, receipt);
      }
      if (random.chance(0.2)) await this.receipts.look(client, this.receipts.any(random));
    }
  }

  async #fetchOne(client: Client, receipt: Receipt | undefined): Promise<void> {
    if (receipt === undefined) return;
    const fetched = await this.receipts.fetch(client, receipt, 200);
    if (fetched && this.#random.chance(0.7)) await this.receipts.close(client, receipt);
  }
}

/** One life of the daemon, and its end. */
async function cycle(
  steps: () => number,
  endpoint: string,
  dataDir: string,
  random: SimRandom,
): Promise<void> {
  if (random.chance(0.2)) {
    const daemon = new Daemon({ endpoint, dataDir, sets: SETS });
    await pause(random.int(0, START_MS));
    await daemon.kill();
    return;
  }
  const daemon = await startDaemon({ endpoint, dataDir, sets: SETS });
  const enough = steps() + random.int(0, STEPS_MAX);
  const deadline = Date.now() + PATIENCE_MS;
  while (steps() < enough && Date.now() < deadline) await pause(1);
  await pause(random.int(0, MOMENT_MS));
  await daemon.kill();
}

/** The store after its daemon has ended; everything was closed. */
async function checkStore(dataDir: string): Promise<void> {
  const { status, stdout, stderr } = await run([
    'verify',
    join(dataDir, 'titanic.db'),
    '-o',
    'json',
  ]);
  if (status !== 0) throw new Error(`verify: ${stderr}`);
  const { pending, replied, dead } = JSON.parse(stdout) as Record<string, number>;
  if (pending === 0 && replied === 0 && dead === 0) return;
  throw new Error(`all are closed, and the store has ${stdout}: something was stored twice`);
}

async function chaos(cycles: number, seed: number, dataDir: string): Promise<string> {
  const random = new SimRandom(seed);
  const first = await startDaemon({ dataDir, sets: SETS });
  const { endpoint } = first;
  await first.kill();
  const load = new Load(endpoint, random);
  const workers = new Workers(endpoint, SERVICES, random);
  const began = Date.now();
  const steps = (): number => load.receipts.count + workers.answered;
  load.start();
  workers.start();
  for (let done = 1; done <= cycles; done++) {
    await cycle(steps, endpoint, dataDir, random);
    load.receipts.throwIfLost();
    if (done % PROGRESS_EVERY_CYCLES === 0) {
      say(`${done} of ${cycles} cycles: ${load.receipts.told}`);
    }
  }
  const last = await startDaemon({ endpoint, dataDir, sets: SETS });
  await load.stop();
  await workers.settle();
  await load.finish();
  load.receipts.throwIfLost();
  await load.close();
  await workers.close();
  await last.stop();
  await checkStore(dataDir);
  const seconds = Math.round((Date.now() - began) / 1000);
  const { count, checked } = load.receipts;
  if (checked !== count) throw new Error(`${checked} of ${count} receipts were checked`);
  const ran = `${workers.answered} runs`;
  return `${cycles} kills in ${seconds} s, ${ran}: ${checked} receipts checked, and none was lost`;
}

async function main(): Promise<number> {
  const cycles = wholeNumber('cycles', values.cycles);
  const seed = values.seed === '' ? Date.now() % 1_000_000 : wholeNumber('seed', values.seed);
  say(`seed ${seed}: it decides what is done, not when the operating system does it`);
  const dataDir = temporaryDirectory();
  try {
    const result = await chaos(cycles, seed, dataDir);
    await removeDaemons();
    say(result);
    return 0;
  } catch (error) {
    say(`FAILED: ${codeOf(error) ?? ''} ${messageOf(error)}`);
    await removeDaemons();
    return 1;
  }
}

process.exit(await main());
