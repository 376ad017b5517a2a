/** Resident memory of our broker: idle, and for each idle connection. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { startBroker } from './brokers.js';
import { runLoad } from './generator.js';
import { type Bench, median } from './measure.js';

const CONNECTIONS = 5000;
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
      const load = { clients: 0, workers: 0, outstanding: 1, idle: CONNECTIONS };
      const window = { seconds: 1, warmupSeconds: 1 };
      const cpu = bench.pins?.load ?? null;
      const after = await runLoad(bench.generator, load, broker, window, cpu);
      idle.push(before);
      each.push((after.brokerResidentBytes - before) / CONNECTIONS);
    } finally {
      await broker.stop();
    }
  }
  return { idleBytes: median(idle), connections: CONNECTIONS, bytesPerConnection: median(each) };
}

function residentBytes(pid: number): number {
  const pages = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1];
  return Number(pages) * PAGE_BYTES;
}
