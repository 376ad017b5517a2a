/**
 * kill -9 of the daemon at random moments, under load.
 *
 * Clients submit, fetch and close, workers come, go and fail, and in each cycle the daemon is killed
 * and started again, sometimes before it was ready. All the while, and for every receipt at the end:
 * a request that was acknowledged is never unknown before its close, and its reply is its own. In
 * the end all are closed, so the store must be empty: what was sent twice was stored once.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { run } from '../support/child.js';
import { Daemon, startDaemon, temporaryDirectory } from '../support/daemon.js';
import type { SimRandom } from '../simulation/world/random.js';
import { Load, SERVICES } from './load.js';
import { Workers } from './workers.js';

/** A daemon is killed after at most this many acknowledgements and executions, and a short pause. */
const STEPS_MAX = 1500;
const MOMENT_MS = 30;
/** Sometimes it is killed within this time after its start, ready or not. */
const START_MS = 700;
/** Clients and workers that were cut off often return late; the test waits no longer than this. */
const PATIENCE_MS = 4000;
const PROGRESS_EVERY_CYCLES = 10;

const SETS = [
  'broker.heartbeatIntervalMs=200',
  'titanic.maxAttempts=1000',
  'titanic.retryBaseMs=10',
  'titanic.retryMaxMs=100',
];

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

export async function killTitanic(
  cycles: number,
  random: SimRandom,
  say: (text: string) => void,
): Promise<string> {
  const dataDir = temporaryDirectory();
  const first = await startDaemon({ dataDir, sets: SETS });
  const { endpoint } = first;
  await first.kill();
  const load = new Load([endpoint], random);
  const workers = new Workers([endpoint], SERVICES, random);
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
  if (load.failures.size > 0) throw new Error(`failed: ${[...load.failures.keys()].join(' ')}`);
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
