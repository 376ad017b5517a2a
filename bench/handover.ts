/**
 * Measures the cost of reading ZMTP in one thread and running the broker in another: a thread reads
 * a stream of requests and passes them on in batches, through a ring in shared memory or with
 * postMessage of transferred buffers; for comparison, the same in one thread. Both ends are this
 * project's code: the connection machine that parses messages, and the codec that parses requests.
 *
 *     npm run bench:handover
 */
import { cpus } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { Frames } from '../src/core/frames.js';
import { Inbound } from '../src/wire/inbound.js';
import { threadCpuNs } from './handover/cpu.js';
import { readRecord, type Receive, ringMemory, RingReader } from './handover/ring.js';
import { type Load, type MechanismName, prepare } from './handover/stream.js';
import { GO, type Note, TAKEN, type Task, type Way } from './handover/task.js';

const RUNS = 5;
const MESSAGES: Readonly<Record<MechanismName, number>> = { NULL: 256_000, CURVE: 32_000 };
const ONE_BY_ONE_MESSAGES = 10_000;

/** Nanoseconds per message. */
interface Cost {
  /** CPU time of the thread that runs the broker. */
  readonly main: number;
  /** CPU time of the thread that reads. */
  readonly thread: number;
  /** From the first byte to the last message. */
  readonly wall: number;
}

interface Batch {
  readonly batch: ArrayBuffer;
  readonly bytes: number;
}

/** The broker thread's work on a message before it makes any decision. */
class Reader {
  requests = 0;
  readonly #inbound = new Inbound();

  readonly receive = (frames: Frames): void => {
    this.#inbound.read(frames);
    if (this.#inbound.kind === 'request') this.requests++;
  };

  readonly receiveOf: Receive = (_peer, frames) => {
    this.receive(frames);
  };
}

function costOf(load: Load, main: number, thread: number, wallMs: number): Cost {
  const each = (ns: number): number => ns / load.messages;
  return { main: each(main), thread: each(thread), wall: each(wallMs * 1e6) };
}

async function inOneThread(load: Load): Promise<Cost> {
  const reader = new Reader();
  const { connection, reads } = await prepare(load, reader.receive);
  const start = performance.now();
  const cpu = threadCpuNs();
  for (const read of reads) connection.receive(read, 0);
  const main = threadCpuNs() - cpu;
  check(reader, load);
  return costOf(load, main, 0, performance.now() - start);
}

async function handedOver(load: Load, way: Way, oneByOne: boolean): Promise<Cost> {
  const signals = new Int32Array(new SharedArrayBuffer(8));
  const memory = ringMemory();
  const task: Task = { load, way, oneByOne, memory, signals: signals.buffer };
  const worker = new Worker(new URL('./handover/thread.js', import.meta.url), { workerData: task });
  const reader = new Reader();
  const frames = new Frames();
  const [prepared, ended] = [settable<undefined>(), settable<number>()];
  worker.on('error', (error) => {
    prepared.reject(error);
    ended.reject(error);
  });
  worker.on('message', (message: Note | Batch) => {
    if (message === 'prepared') {
      prepared.resolve(undefined);
    } else if ('cpuNs' in message) {
      ended.resolve(message.cpuNs);
    } else {
      const bytes = Buffer.from(message.batch);
      let at = 0;
      while (at < message.bytes) at = readRecord(bytes, at, frames, reader.receiveOf);
      Atomics.add(signals, TAKEN, 1);
      Atomics.notify(signals, TAKEN);
    }
  });
  await prepared.promise;
  const start = performance.now();
  const cpu = threadCpuNs();
  Atomics.store(signals, GO, 1);
  Atomics.notify(signals, GO);
  if (way === 'ring') await readRing(new RingReader(memory, frames), reader, load.messages);
  const thread = await ended.promise;
  const main = threadCpuNs() - cpu;
  const wallMs = performance.now() - start;
  check(reader, load);
  await worker.terminate();
  return costOf(load, main, thread, wallMs);
}

async function readRing(ring: RingReader, reader: Reader, messages: number): Promise<void> {
  for (;;) {
    ring.read(reader.receiveOf);
    if (reader.requests >= messages) return;
    // Even if more is available already, other events get their turn first.
    await (ring.more() ?? nextTurn());
  }
}

interface Settable<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function settable<T>(): Settable<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function check(reader: Reader, load: Load): void {
  if (reader.requests === load.messages) return;
  throw new Error(`${reader.requests} of ${load.messages} requests arrived`);
}

/**
 * The median of several runs, for each figure separately; the first run is a warm-up and does not
 * count.
 */
async function median(run: () => Promise<Cost>): Promise<Cost> {
  await run();
  const costs: Cost[] = [];
  for (let count = 0; count < RUNS; count++) costs.push(await run());
  const of = (figure: keyof Cost): number =>
    costs.map((cost) => cost[figure]).sort((a, b) => a - b)[RUNS >> 1] ?? NaN;
  return { main: of('main'), thread: of('thread'), wall: of('wall') };
}

function row(...cells: readonly (string | number)[]): void {
  const texts = cells.map((cell) =>
    (typeof cell === 'number' ? cell.toFixed(0) : cell).padStart(9),
  );
  process.stdout.write(`${texts.join('')}\n`);
}

const [processor] = cpus();
process.stdout.write(
  `Node ${process.version}, ${cpus().length} × ${processor?.model.trim() ?? '?'}; ` +
    `medians of ${RUNS} runs, ns per message\n` +
    'main, thread: processor time of the broker’s and the reading thread; wall: elapsed\n\n',
);
row('', 'messages', 'in one', 'ring:', '', '', 'post:', '', '');
row('', 'per read', 'thread', 'main', 'thread', 'wall', 'main', 'thread', 'wall');
for (const mechanism of ['NULL', 'CURVE'] as const) {
  for (const perRead of [1, 10, 100, 1000]) {
    const load: Load = { mechanism, messages: MESSAGES[mechanism], perRead };
    const one = await median(() => inOneThread(load));
    const ring = await median(() => handedOver(load, 'ring', false));
    const post = await median(() => handedOver(load, 'post', false));
    const { main, thread, wall } = post;
    row(mechanism, perRead, one.main, ring.main, ring.thread, ring.wall, main, thread, wall);
  }
}
process.stdout.write(
  '\none message at a time: the next is sent when the previous one has been taken\n',
);
const load: Load = { mechanism: 'NULL', messages: ONE_BY_ONE_MESSAGES, perRead: 1 };
const ring = await median(() => handedOver(load, 'ring', true));
const post = await median(() => handedOver(load, 'post', true));
row('NULL', 1, '', ring.main, ring.thread, ring.wall, post.main, post.thread, post.wall);
