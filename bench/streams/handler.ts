/** The handler module of a shard: sums a field of each message, and reports how many there were. */
import { BroadcastChannel } from 'node:worker_threads';

import type { StreamMessage } from '../../src/sdk/stream.js';

/** The batches of the bench are multiples of it. */
const REPORT_EVERY = 10_000;
const channel = new BroadcastChannel('counted');
let sum = 0;
let count = 0;

export default function handle(message: StreamMessage): void {
  sum += message.bytes[message.bodyStart] ?? 0;
  if (++count % REPORT_EVERY === 0) channel.postMessage({ count: REPORT_EVERY, sum });
}
