/** Sends stored requests and echoes in a closed loop, and measures how long each takes. */
import { Client } from '../../src/sdk/client.js';
import { Worker } from '../../src/sdk/worker.js';

const BODY = Buffer.alloc(1024, 'x');
export const SERVICE = 'echo';

export function echoWorker(endpoints: readonly string[]): Worker {
  const worker = new Worker(
    { endpoints, service: SERVICE, concurrency: 100 },
    ({ frames }) => frames,
  );
  // The bench kills brokers.
  worker.on('lost', () => undefined);
  void worker.run();
  return worker;
}

export interface Receipts {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

/** Stores requests of 1 KB for a service without workers. */
export async function receipts(
  endpoints: readonly string[],
  outstanding: number,
  seconds: number,
): Promise<Receipts> {
  const client = new Client({ endpoints, timeoutMs: 30_000 });
  const tookMs: number[] = [];
  const start = performance.now();
  const until = start + seconds * 1000;
  const lane = async (): Promise<void> => {
    for (let at = performance.now(); at < until;) {
      const { frames } = await client.request('titanic.request', ['nobody', BODY]);
      if (frames[0]?.toString() !== '200') throw new Error(`titanic: ${String(frames[0])}`);
      const now = performance.now();
      tookMs.push(now - at);
      at = now;
    }
  };
  try {
    await Promise.all(Array.from({ length: outstanding }, lane));
    const perSecond = tookMs.length / ((performance.now() - start) / 1000);
    return { perSecond, p50: quantile(tookMs, 0.5), p99: quantile(tookMs, 0.99) };
  } finally {
    await client.close();
  }
}

/** Stores this many requests. */
export async function store(
  endpoints: readonly string[],
  count: number,
  outstanding: number,
): Promise<void> {
  const client = new Client({ endpoints, timeoutMs: 30_000 });
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await client.request('titanic.request', ['nobody', BODY]);
  };
  try {
    await Promise.all(Array.from({ length: outstanding }, lane));
  } finally {
    await client.close();
  }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
