/** How long no client is served when the active node is killed, and when it hands over. */
import { codeOf } from '../../src/core/errors.js';
import { Client } from '../../src/sdk/client.js';
import { otherOf, startPairOfDaemons } from '../../test/support/pair-daemons.js';
import { echoWorker, SERVICE } from './load.js';

/** For kills: from the signal to the next reply, in milliseconds. */
export async function kills(
  heartbeatIntervalMs: number,
  rounds: number,
  progress: (text: string) => void,
): Promise<number[]> {
  const pair = await startPairOfDaemons({ heartbeatIntervalMs });
  const worker = echoWorker(pair.endpoints);
  const client = new Client({ endpoints: pair.endpoints, timeoutMs: 252_500 });
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const active = await pair.inSync();
    await client.request(SERVICE, 'before');
    // The node that takes over must have workers: after its start they reconnect after a while.
    await pair.node(otherOf(active)).waitFor('worker.registered');
    progress(`kill -9 at ${heartbeatIntervalMs} ms, ${round + 1} of ${rounds}`);
    const began = performance.now();
    await pair.node(active).kill();
    await client.request(SERVICE, 'after');
    took.push(performance.now() - began);
    await pair.until(otherOf(active), 'active', ({ state }) => state === 'active');
    await pair.start(active);
  }
  await pair.inSync();
  await client.close();
  await worker.close({ graceMs: 0 });
  return took;
}

export interface Switchovers {
  /** For each handover: the longest time without a reply, in milliseconds. */
  readonly silences: readonly number[];
  readonly errors: readonly string[];
}

export async function switchovers(
  rounds: number,
  progress: (text: string) => void,
): Promise<Switchovers> {
  const pair = await startPairOfDaemons({ heartbeatIntervalMs: 1000 });
  const worker = echoWorker(pair.endpoints);
  const client = new Client({ endpoints: pair.endpoints, timeoutMs: 10_000 });
  const errors: string[] = [];
  const silences: number[] = [];
  let isOver = false;
  let answeredAt = performance.now();
  let silenceMs = 0;
  const lane = async (): Promise<void> => {
    while (!isOver) {
      try {
        await client.request(SERVICE, 'hi');
        const now = performance.now();
        silenceMs = Math.max(silenceMs, now - answeredAt);
        answeredAt = now;
      } catch (error) {
        errors.push(codeOf(error) ?? String(error));
      }
    }
  };
  const lanes = Array.from({ length: 8 }, lane);
  for (let round = 0; round < rounds; round++) {
    const active = await pair.inSync();
    progress(`switchover ${round + 1} of ${rounds}`);
    silenceMs = 0;
    const why = await pair.switchover(active);
    if (why !== null) throw new Error(why);
    await pair.inSync();
    silences.push(silenceMs);
  }
  isOver = true;
  await Promise.all(lanes);
  await client.close();
  await worker.close({ graceMs: 0 });
  return { silences, errors };
}
