/**
 * The loads: a closed loop with a number outstanding, and an open loop at a fixed rate; by the
 * generator or our SDK.
 */
import { performance } from 'node:perf_hooks';

import { Client } from '../../src/sdk/client.js';
import { type Generator, type LoadResult, runLoad, type Window } from '../generator.js';
import type { ContenderName, Running } from './contenders.js';

/** Milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p99: number;
}

export const BODY_BYTES = 1024;

/** How a life is asked for, in the load generator: `titanic-call` in one exchange. */
export type LifeProtocol = ContenderName | 'titanic-call';

/** Receipts per second. */
export async function closedLoop(
  generator: Generator,
  { contender, port, pid }: Running,
  outstanding: number,
  window: Window,
): Promise<number> {
  const { requests, seconds } = await runLoad(
    generator,
    { clients: 1, workers: 0, outstanding, size: BODY_BYTES },
    { protocol: contender.name, port, pid },
    window,
    null,
  );
  return requests / seconds;
}

/** Eight workers for each store; the credit is ours, because one of theirs takes one job at a time. */
const WORKERS = 8;
const CREDIT = 100;

/**
 * Requests per second that were stored, executed by a worker and are gone again. For us: submitted,
 * replied, fetched, closed, or in one exchange, when nobody waits for the close; for beanstalkd and Redis put or pushed, reserved, deleted; for Restate called
 * and answered, each over a connection of its own.
 */
export async function wholeLives(
  generator: Generator,
  { contender, port, pid }: Running,
  outstanding: number,
  window: Window,
  protocol: LifeProtocol = contender.name,
): Promise<number> {
  const isCall = contender.name === 'restate';
  const { requests, seconds } = await runLoad(
    generator,
    {
      clients: isCall ? outstanding : 1,
      workers: contender.worker === undefined ? WORKERS : 0,
      credit: CREDIT,
      outstanding,
      size: BODY_BYTES,
      life: !isCall,
    },
    { protocol, port, pid },
    window,
    null,
  );
  return requests / seconds;
}

/** Latency counts from the planned time: every request that was due during a stall shows it. */
export async function openLoop(
  generator: Generator,
  { contender, port, pid }: Running,
  rate: number,
  window: Window,
): Promise<Latencies> {
  const result = await runLoad(
    generator,
    { clients: 1, workers: 0, outstanding: 1, size: BODY_BYTES, rate },
    { protocol: contender.name, port, pid },
    window,
    null,
  );
  return latencies(result);
}

export function latencies({ p50Us, p99Us }: LoadResult): Latencies {
  return { p50: p50Us / 1000, p99: p99Us / 1000 };
}

/** Receipts per second for a program that uses the SDK. */
export async function closedLoopOfSdk(
  port: number,
  outstanding: number,
  { seconds, warmupSeconds }: Window,
): Promise<number> {
  const client = new Client({ endpoints: [`tcp://127.0.0.1:${port}`], timeoutMs: 30_000 });
  const body = Buffer.alloc(BODY_BYTES, 'x');
  const start = performance.now() + warmupSeconds * 1000;
  const until = start + seconds * 1000;
  let stored = 0;
  const one = async (): Promise<void> => {
    for (let now = performance.now(); now < until; now = performance.now()) {
      const { frames } = await client.request('titanic.request', ['nobody', body]);
      if (frames[0]?.toString() !== '200') throw new Error(`titanic: ${String(frames[0])}`);
      if (now >= start) stored++;
    }
  };
  try {
    await Promise.all(Array.from({ length: outstanding }, one));
    return stored / ((performance.now() - start) / 1000);
  } finally {
    await client.close();
  }
}
