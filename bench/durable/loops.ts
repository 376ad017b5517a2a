/** The loads: one after the other at so many outstanding, and at a rate whatever is answered. */
import { createHistogram, performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Desk } from './contenders.js';

/** Milliseconds. */
export interface Latencies {
  readonly p50: number;
  readonly p99: number;
}

/** Receipts a second. */
export async function closedLoop(
  desk: Desk,
  outstanding: number,
  seconds: number,
): Promise<number> {
  let stored = 0;
  const start = performance.now();
  const until = start + seconds * 1000;
  const one = async (): Promise<void> => {
    while (performance.now() < until) {
      await desk.store();
      stored++;
    }
  };
  await Promise.all(Array.from({ length: outstanding }, one));
  return stored / ((performance.now() - start) / 1000);
}

/** Latency counts from the time of the plan: a stall is seen by all that were due during it. */
export async function openLoop(
  ask: () => Promise<unknown>,
  rate: number,
  seconds: number,
): Promise<Latencies> {
  const latency = createHistogram({ lowest: 1, highest: 600e9, figures: 3 });
  const asked: Promise<void>[] = [];
  const one = async (due: number): Promise<void> => {
    await ask();
    latency.record(Math.max(1, Math.round((performance.now() - due) * 1e6)));
  };
  const start = performance.now();
  const total = rate * seconds;
  while (asked.length < total) {
    const now = performance.now();
    for (;;) {
      const due = start + (asked.length * 1000) / rate;
      if (due > now || asked.length >= total) break;
      asked.push(one(due));
    }
    // A timer's millisecond would be most of what is measured.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(asked);
  await sleep(50);
  return { p50: latency.percentile(50) / 1e6, p99: latency.percentile(99) / 1e6 };
}
