/**
 * kill -9 of the daemon at random moments, under load.
 *
 * Clients submit, fetch and close, workers come, go and fail, and in each cycle the daemon is killed
 * and started again, sometimes before it was ready. All the while, and for every receipt at the end:
 * a request that was acknowledged is never unknown before its close, and its reply is its own. In
 * the end all are closed, so the store must be empty of them: what was sent twice was stored once.
 * Beside them are records of the other kinds, and a map (kinds.ts).
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { run } from '../support/child.js';
import { Daemon, startDaemon, temporaryDirectory } from '../support/daemon.js';
import type { SimRandom } from '../simulation/world/random.js';
import { KindsLoad } from './kinds.js';
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

interface Life {
  readonly steps: () => number;
  readonly endpoint: string;
  readonly dataDir: string;
  readonly kinds: KindsLoad;
  readonly random: SimRandom;
}

/** One life of the daemon, and its end. */
async function cycle({ steps, endpoint, dataDir, kinds, random }: Life): Promise<void> {
  const options = { endpoint, dataDir, sets: [...SETS, ...kinds.sets] };
  if (random.chance(0.2)) {
    const daemon = new Daemon(options);
    await pause(random.int(0, START_MS));
    await daemon.kill();
    return;
  }
  const daemon = await startDaemon(options);
  kinds.daemon = daemon;
  const enough = steps() + random.int(0, STEPS_MAX);
  const deadline = Date.now() + PATIENCE_MS;
  while (steps() < enough && Date.now() < deadline) await pause(1);
  await pause(random.int(0, MOMENT_MS));
  kinds.daemon = null;
  await daemon.kill();
}

/** The store after its daemon has ended; everything of the load was closed. */
async function checkStore(dataDir: string, kinds: KindsLoad): Promise<string> {
  const path = join(dataDir, 'titanic.db');
  const { status, stdout, stderr } = await run(['verify', path, '-o', 'json']);
  if (status !== 0) throw new Error(`verify: ${stdout}${stderr}`);
  return await kinds.check(path);
}

export async function killTitanic(
  cycles: number,
  random: SimRandom,
  say: (text: string) => void,
): Promise<string> {
  const dataDir = temporaryDirectory();
  const before = await startDaemon({ dataDir, sets: SETS });
  const { endpoint } = before;
  await before.kill();
  const kinds = await KindsLoad.open(endpoint, random);
  const sets = [...SETS, ...kinds.sets];
  const first = await startDaemon({ endpoint, dataDir, sets });
  const load = new Load([endpoint], random);
  const workers = new Workers([endpoint], SERVICES, random);
  const began = Date.now();
  const steps = (): number => load.receipts.count + workers.answered;
  load.start();
  workers.start();
  await kinds.start();
  await first.kill();
  for (let done = 1; done <= cycles; done++) {
    await cycle({ steps, endpoint, dataDir, kinds, random });
    load.receipts.throwIfLost();
    kinds.throwIfWrong();
    if (done % PROGRESS_EVERY_CYCLES === 0) {
      say(`${done} of ${cycles} cycles: ${load.receipts.told}`);
    }
  }
  const last = await startDaemon({ endpoint, dataDir, sets });
  await kinds.stop(last);
  await load.stop();
  await workers.settle();
  await load.finish();
  await kinds.finish();
  load.receipts.throwIfLost();
  if (load.failures.size > 0) throw new Error(`failed: ${[...load.failures.keys()].join(' ')}`);
  await load.close();
  await workers.close();
  await kinds.close();
  await last.stop();
  const proven = await checkStore(dataDir, kinds);
  const seconds = Math.round((Date.now() - began) / 1000);
  const { count, checked } = load.receipts;
  if (checked !== count) throw new Error(`${checked} of ${count} receipts were checked`);
  const ran = `${workers.answered} runs`;
  return (
    `${cycles} kills in ${seconds} s, ${ran}: ${checked} receipts checked, and none was lost; ` +
    proven
  );
}
