/**
 * The SDK's client as users write it, with the given number of requests outstanding; prints the
 * same as the load generator (generator.ts, `LoadResult`).
 *
 *     node sdk/client.js ENDPOINT TRANSPORT OUTSTANDING SECONDS WARMUP_SECONDS BROKER_PID [BODY_BYTES]
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client } from '../../src/sdk/client.js';
import type { LoadResult } from '../generator.js';

const PAGE_BYTES = 4096;
const [endpoint = '', transport = '', ...numbers] = process.argv.slice(2);
const [outstanding = 1, seconds = 1, warmupSeconds = 1, pid = 0, bytes = 16] = numbers.map(Number);
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const body = Buffer.alloc(bytes, 'x');
const client = new Client({
  endpoints: [endpoint],
  transport: transport === 'libzmq' ? 'libzmq' : 'zmtp',
});

/** Duration of each request of the window, in milliseconds. */
let latencies: number[] = [];
let running = true;

async function loop(): Promise<void> {
  while (running) {
    const start = performance.now();
    await client.request('echo', body);
    latencies.push(performance.now() - start);
  }
}

function brokerCpuSeconds(): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The fields after the name in parentheses: user and system time are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

const loops = Array.from({ length: outstanding }, loop);
await sleep(warmupSeconds * 1000);
latencies = [];
const start = performance.now();
const cpu = process.cpuUsage();
const brokerCpu = brokerCpuSeconds();
await sleep(seconds * 1000);
const measured = latencies;
latencies = [];
const elapsed = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpu);
const usedByBroker = brokerCpuSeconds() - brokerCpu;
running = false;
await Promise.all(loops);
await client.close();

const sorted = Float64Array.from(measured).sort();
const us = (share: number): number =>
  (sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0) * 1000;
const result: LoadResult = {
  requests: sorted.length,
  seconds: elapsed,
  p50Us: us(0.5),
  p99Us: us(0.99),
  p999Us: us(0.999),
  loadCpuSeconds: (user + system) / 1e6,
  brokerCpuSeconds: usedByBroker,
  brokerResidentBytes:
    Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
