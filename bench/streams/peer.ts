/**
 * A publisher, or a subscriber, of the SDK, for bench/streams.ts: obeys the same lines as
 * `bench/peers/stream.c`.
 *
 *     node streams/peer.js pub ENDPOINT TOPICS SIZE
 *     node streams/peer.js sub ENDPOINT TOPIC [TOPIC ...]
 *     node streams/peer.js shard ENDPOINT TOPIC [TOPIC ...]    one shard: a thread with a handler
 */
import { createInterface } from 'node:readline';
import { setImmediate as turn } from 'node:timers/promises';
import { BroadcastChannel } from 'node:worker_threads';

import { Publisher, Subscriber } from '../../src/sdk/stream.js';

/** After so many messages the program lets others work, as a program does that has other work. */
const PER_TURN = 500;
const [role, endpoint = '', ...rest] = process.argv.slice(2);

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function publish(topics: number, size: number): Promise<void> {
  const publisher = new Publisher({ listen: endpoint });
  await publisher.open();
  const names = Array.from({ length: topics }, (_, at) => `t${String(at).padStart(5, '0')}.`);
  const body = Buffer.alloc(size);
  let number = 0;
  say('ready');
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'cpu') {
      say(String(cpuUs()));
      continue;
    }
    const count = Number(line.slice('publish '.length));
    for (let at = 0; at < count; at++) {
      const topic = names[number % topics] ?? '';
      body.writeUInt32LE(++number, 0);
      publisher.publish(topic, body);
      if (at % PER_TURN === PER_TURN - 1) await turn();
    }
    say('done');
  }
  await publisher.close();
}

/** Answers the lines of a subscriber: how many messages it has and its CPU time, or when it has so many. */
class Counter {
  received = 0;
  #wanted = 0;
  #reached: (() => void) | null = null;

  add(count: number): void {
    this.received += count;
    if (this.#reached !== null && this.received >= this.#wanted) this.#reached();
  }

  async answer(): Promise<void> {
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.startsWith('until ')) await this.#until(Number(line.slice('until '.length)));
      say(`${this.received} ${cpuUs()}`);
    }
  }

  async #until(wanted: number): Promise<void> {
    if (this.received >= wanted) return;
    this.#wanted = wanted;
    await new Promise<void>((resolve) => {
      this.#reached = resolve;
    });
    this.#reached = null;
  }
}

async function subscribe(topics: readonly string[]): Promise<void> {
  const subscriber = new Subscriber({ endpoints: endpoint, topics });
  const counter = new Counter();
  let sum = 0;
  const reading = (async () => {
    for await (const message of subscriber) {
      sum += message.bytes[message.bodyStart] ?? 0;
      counter.add(1);
    }
  })();
  say('ready');
  await counter.answer();
  await subscriber.close();
  await reading;
  // So that the sum is needed.
  if (sum < 0) say(String(sum));
}

async function shard(topics: readonly string[]): Promise<void> {
  const handler = new URL('handler.js', import.meta.url);
  const subscriber = new Subscriber({ endpoints: endpoint, shards: [topics], handler });
  const counter = new Counter();
  const counted = new BroadcastChannel('counted');
  counted.onmessage = ({ data }: { data?: unknown }) => {
    counter.add((data as { readonly count: number }).count);
  };
  const connected = new Promise((resolve) => subscriber.on('connected', resolve));
  const running = subscriber.run();
  await connected;
  say('ready');
  await counter.answer();
  counted.close();
  await subscriber.close();
  await running;
}

if (role === 'pub') await publish(Number(rest[0]), Number(rest[1]));
else if (role === 'shard') await shard(rest);
else await subscribe(rest);
