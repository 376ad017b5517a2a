/**
 * What streams cost: our `Publisher` and `Subscriber` against the same programs in C on libzmq, in turns.
 * CPU is user and system time of all threads of the program that is measured.
 *
 *     npm run bench:streams                    # three minutes
 *     npm run bench:streams -- --rounds 3 --messages 100000
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { freePorts } from '../test/support/free-ports.js';
import { compile } from './generator.js';
import { machineFacts } from './machine-facts.js';
import { countOthers, othersText } from './others.js';

const BODY_BYTES = 100;
const TOPICS = 1000;
const SUBSCRIBERS = 10;
/** Published at once; then the subscribers catch up, so that nothing piles up. */
const BATCH = 20_000;
/** Before anything is measured: until then the figure is of the compiler. */
const WARM_UP = 10 * BATCH;
const PEER = fileURLToPath(new URL('streams/peer.js', import.meta.url));

type Kind = 'c' | 'ours' | 'shard';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    messages: { type: 'string', default: '400000' },
  },
});
const [rounds = NaN, messages = NaN] = [values.rounds, values.messages].map(Number);
const directory = mkdtempSync(join(tmpdir(), 'streams-'));
const inC = join(directory, 'stream');
const running: Peer[] = [];

/** A publisher or subscriber, in a process of its own. */
class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(kind: Kind, ...args: string[]) {
    const [program, first] = kind === 'c' ? [inC, []] : [process.execPath, [PEER]];
    const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
    this.#child = spawn(program, [...first, ...args], { stdio });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('no standard output');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
    running.push(this);
  }

  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error('a peer has ended');
    return next.value;
  }

  async ask(text: string): Promise<string> {
    this.#child.stdin?.write(`${text}\n`);
    return await this.line();
  }

  async end(): Promise<void> {
    running.splice(running.indexOf(this), 1);
    if (this.#child.exitCode !== null) return;
    this.#child.stdin?.end();
    await once(this.#child, 'exit');
  }
}

interface Counted {
  readonly received: number;
  readonly cpuUs: number;
}

async function counted(subscriber: Peer): Promise<Counted> {
  const [received = 0, cpuUs = 0] = (await subscriber.ask('count')).split(' ').map(Number);
  return { received, cpuUs };
}

async function inTime(answer: Promise<string>): Promise<void> {
  const late = new AbortController();
  const lateness = pause(20_000, 'late', { signal: late.signal }).catch(() => 'in time');
  if ((await Promise.race([answer, lateness])) === 'late') throw new Error('messages are missing');
  late.abort();
}

/** A publisher and its subscribers, all of which are connected. */
class Scene {
  readonly publisher: Peer;
  readonly subscribers: readonly Peer[];
  #published = 0;

  private constructor(publisher: Peer, subscribers: readonly Peer[]) {
    this.publisher = publisher;
    this.subscribers = subscribers;
  }

  static async open(
    publishes: Kind,
    subscribes: Kind,
    count: number,
    topics: readonly string[],
  ): Promise<Scene> {
    const [port = 0] = await freePorts(1);
    const endpoint = `tcp://127.0.0.1:${port}`;
    const publisher = new Peer(publishes, 'pub', endpoint, String(TOPICS), String(BODY_BYTES));
    await publisher.line();
    const subscribers = Array.from(
      { length: count },
      () => new Peer(subscribes, subscribes === 'shard' ? 'shard' : 'sub', endpoint, ...topics),
    );
    for (const subscriber of subscribers) await subscriber.line();
    const scene = new Scene(publisher, subscribers);
    // The subscriptions have arrived when messages do.
    await pause(300);
    await scene.publish(WARM_UP);
    return scene;
  }

  /** Publishes, and waits until every subscriber has all. */
  async publish(count: number): Promise<void> {
    for (let left = count; left > 0; left -= BATCH) {
      await this.publisher.ask(`publish ${BATCH}`);
      this.#published += BATCH;
      const wanted = `until ${this.#published}`;
      for (const subscriber of this.subscribers) await inTime(subscriber.ask(wanted));
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.publisher, ...this.subscribers].map((peer) => peer.end()));
  }
}

/** CPU of a subscriber for one message, in microseconds, and messages a second from end to end. */
async function receiving(
  kind: Kind,
): Promise<{ readonly cpuUs: number; readonly perSecond: number }> {
  const scene = await Scene.open('ours', kind, 1, ['t']);
  const [subscriber] = scene.subscribers;
  if (subscriber === undefined) throw new Error('no subscriber');
  const before = await counted(subscriber);
  const from = performance.now();
  await scene.publish(messages);
  const seconds = (performance.now() - from) / 1000;
  const after = await counted(subscriber);
  await scene.close();
  const count = after.received - before.received;
  return { cpuUs: (after.cpuUs - before.cpuUs) / count, perSecond: count / seconds };
}

/** CPU of a publisher for one delivery, in microseconds. */
async function publishing(kind: Kind, topics: readonly string[]): Promise<number> {
  const scene = await Scene.open(kind, 'c', SUBSCRIBERS, topics);
  const before = Number(await scene.publisher.ask('cpu'));
  const count = Math.ceil(messages / 4 / BATCH) * BATCH;
  await scene.publish(count);
  const after = Number(await scene.publisher.ask('cpu'));
  await scene.close();
  return (after - before) / (count * SUBSCRIBERS);
}

function spread(figures: readonly number[], digits: number): string {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.ceil(sorted.length * share) - 1] ?? NaN).toFixed(digits);
  return `${at(0.5)} (${at(0.01)}–${at(1)})`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Measures both in turns. */
async function compare(
  what: string,
  goal: number,
  kind: Kind,
  measure: (kind: Kind) => Promise<number>,
): Promise<void> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    theirs.push(await measure('c'));
    ours.push(await measure(kind));
  }
  const ratios = ours.map((cost, at) => cost / (theirs[at] ?? NaN));
  say(
    `${what}: ours ${spread(ours, 3)} µs, C ${spread(theirs, 3)} µs, ratio ${spread(ratios, 2)} (at most ${goal})`,
  );
}

try {
  const failure = compile(
    inC,
    [join(process.cwd(), 'bench', 'peers', 'stream.c')],
    ['-lzmq', '-lpthread'],
  );
  if (failure !== null) throw new Error(`the peers in C: ${failure}`);
  const othersUntilNow = countOthers();
  for (const fact of machineFacts()) say(fact);
  say(`${BODY_BYTES}-byte bodies, ${TOPICS} topics, CPU in user and system mode, ${rounds} rounds`);
  const rates: number[] = [];
  const receive = async (kind: Kind): Promise<number> => {
    const { cpuUs, perSecond } = await receiving(kind);
    if (kind === 'shard') rates.push(perSecond / 1e6);
    return cpuUs;
  };
  await compare('a message received, by a handler', 0.4, 'shard', receive);
  await compare('a message received, by `for await`', 0.4, 'ours', receive);
  say(`our publisher to one shard, million messages a second: ${spread(rates, 2)} (at least 2)`);
  await compare(`a delivery to one of ${SUBSCRIBERS}`, 0.4, 'ours', (kind) =>
    publishing(kind, ['t']),
  );
  const prefixes = Array.from({ length: TOPICS }, (_, at) => `t${String(at).padStart(5, '0')}.`);
  await compare(`the same, with ${TOPICS} prefixes each`, 0.6, 'ours', (kind) =>
    publishing(kind, prefixes),
  );
  const cores = cpus().length;
  if (cores < 3) say(`several shards: skipped, because this machine has ${cores} cores`);
  say(othersText(othersUntilNow()));
} finally {
  await Promise.all([...running].map((peer) => peer.end()));
  rmSync(directory, { recursive: true });
}
