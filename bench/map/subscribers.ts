/**
 * A process with many subscribers of a map's updates. Values begin with the time of sending, in
 * nanoseconds of the machine's monotonic clock; for each key `/echo/…` of which all have the update,
 * it prints a line: the delays of all subscribers, in microseconds.
 */
import { Subscriber } from '../../src/sdk/stream.js';

const [endpoint = '', count = ''] = process.argv.slice(2);
const subscribers = Number(count);
const delays = new Map<string, number[]>();
const NS_PER_US = 1000;

let ready = 0;

async function receive(): Promise<void> {
  const subscriber = new Subscriber({
    endpoints: [endpoint],
    topics: ['/echo/', 'HUGZ'],
    stamp: false,
  });
  let isReady = false;
  for await (const message of subscriber) {
    const name = message.topic;
    if (name === 'HUGZ') {
      if (!isReady && ++ready === subscribers) process.stdout.write('"ready"\n');
      isReady = true;
      continue;
    }
    const sentAt = BigInt(message.frames.at(-1)?.toString() ?? '');
    const us = Number(process.hrtime.bigint() - sentAt) / NS_PER_US;
    const all = delays.get(name) ?? [];
    all.push(us);
    delays.set(name, all);
    if (all.length < subscribers) continue;
    delays.delete(name);
    process.stdout.write(`${JSON.stringify(all.map(Math.round))}\n`);
  }
}

await Promise.all(Array.from({ length: subscribers }, receive));
