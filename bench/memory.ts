/** Resident memory of our broker: idle, and for each idle connection. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { startBroker } from './brokers.js';
import { type LoadTarget, runLoad } from './generator.js';
import { type Bench, median } from './measure.js';

/**
 * The cost per connection is the slope between the two, which excludes the process's fixed memory.
 */
const CONNECTIONS = [3000, 8000] as const;
const PAUSE_MS = 1000;
const PAGE_BYTES = 4096;

export interface Memory {
  readonly idleBytes: number;
  readonly connections: number;
  readonly bytesPerConnection: number;
}

export async function measureMemory(bench: Bench): Promise<Memory> {
  const zmtp = bench.brokers.get('zmtp');
  if (zmtp === undefined) throw new Error('our own broker is missing');
  const idle: number[] = [];
  const each: number[] = [];
  for (let round = 0; round < bench.rounds; round++) {
    bench.progress(`resident memory (${round + 1}/${bench.rounds})`);
    const broker = await startBroker(zmtp, [], bench.pins?.broker ?? null);
    try {
      await sleep(PAUSE_MS);
      const before = residentBytes(broker.pid);
      const [fewer, more] = CONNECTIONS;
      const few = await residentWith(bench, broker, fewer);
      const many = await residentWith(bench, broker, more);
      idle.push(before);
      each.push((many - few) / (more - fewer));
    } finally {
      await broker.stop();
    }
  }
  const [fewer, more] = CONNECTIONS;
  return {
    idleBytes: median(idle),
    connections: more - fewer,
    bytesPerConnection: median(each),
  };
}

async function residentWith(bench: Bench, broker: LoadTarget, idle: number): Promise<number> {
  const load = { clients: 0, workers: 0, outstanding: 1, idle };
  const window = { seconds: 1, warmupSeconds: 1 };
  const cpu = bench.pins?.load ?? null;
  const result = await runLoad(bench.generator, load, broker, window, cpu);
  return result.brokerResidentBytes;
}

function residentBytes(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1];
  return Number(pages) * PAGE_BYTES;
}
