/** The disk's own time for a kilobyte: an append and `fdatasync`, one after the other. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createHistogram, performance } from 'node:perf_hooks';

import { BODY_BYTES, type Latencies } from './load.js';

export function bareDisk(directory: string, seconds: number): Latencies {
  const body = Buffer.alloc(BODY_BYTES, 'x');
  const latency = createHistogram({ lowest: 1, highest: 600e9, figures: 3 });
  const file = openSync(join(directory, 'bare'), 'a');
  const until = performance.now() + seconds * 1000;
  try {
    for (let began = performance.now(); began < until; began = performance.now()) {
      writeSync(file, body);
      fdatasyncSync(file);
      latency.record(Math.max(1, Math.round((performance.now() - began) * 1e6)));
    }
  } finally {
    closeSync(file);
  }
  return { p50: latency.percentile(50) / 1e6, p99: latency.percentile(99) / 1e6 };
}
