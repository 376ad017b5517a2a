/**
 * The broker machine alone: no sockets, a sink that only keeps tokens. Prints what a request costs
 * (read, queue, dispatch, reply), and how that grows with workers, services and the queue.
 *
 *     npm run bench:machine
 */
import { performance } from 'node:perf_hooks';

import { Broker } from '../src/broker/broker.js';
import type { BrokerOptions } from '../src/broker/options.js';
import type { BrokerSink } from '../src/broker/sink.js';
import { Frames } from '../src/core/frames.js';
import { secureRandom } from '../src/core/random.js';

const options: BrokerOptions = {
  heartbeatIntervalMs: 2500,
  heartbeatLiveness: 3,
  requestTtlMs: 60_000,
  busyTimeoutMs: 600_000,
  maxDeliveries: 3,
  listeners: [{ client: true, worker: true }],
  limits: {
    services: 20_000,
    workers: 20_000,
    queuedRequests: 2_000_000,
    queuedBytes: 2 ** 32,
    queuedRequestsPerService: 2_000_000,
    messageBytes: 2 ** 24,
  },
};

/** Keeps whom a request went to, and under which token. */
class TokenSink implements BrokerSink {
  readonly tokens: Buffer[] = [];
  readonly peers: number[] = [];
  count = 0;
  replies = 0;

  request(peer: number, _version: 1 | 2, token: Buffer): void {
    const slot = (this.tokens[this.count] ??= Buffer.alloc(token.length));
    token.copy(slot);
    this.peers[this.count++] = peer;
  }

  heartbeat(): void {
    this.replies += 0;
  }

  disconnect(): void {
    throw new Error('a worker was sent away');
  }

  reply(): void {
    this.replies++;
  }

  close(): void {
    throw new Error('a client was closed');
  }
}

interface Setting {
  readonly workers: number;
  readonly services: number;
  readonly credit: number;
  /** Requests that wait all the while, for a service without workers. */
  readonly queued: number;
}

const BATCH = 500;
const CLIENTS = 32;
const BODY = Buffer.alloc(16, 'x');

class Stage {
  readonly sink = new TokenSink();
  readonly broker: Broker;
  readonly #requests: Frames[];
  readonly #reply = Frames.of('MDPW02', Buffer.from([4]), '', '', BODY);
  #now = 0;
  #sent = 0;

  constructor(setting: Setting) {
    this.broker = new Broker(options, this.sink, { emit: () => undefined }, secureRandom);
    for (let peer = 0; peer < CLIENTS + setting.workers; peer++) {
      const routingId = Buffer.alloc(5);
      this.broker.connected(peer, { listener: 0, routingId, ownRoutingId: false, key: null });
    }
    for (let index = 0; index < setting.workers; index++) {
      const service = `service-${index % setting.services}`;
      const ready = Frames.of('MDPW02', Buffer.from([1]), service, String(setting.credit));
      this.broker.message(CLIENTS + index, ready, 0);
    }
    const waiting = Frames.of('id', '', 'MDPC02', Buffer.from([1]), 'nobody', BODY);
    for (let index = 0; index < setting.queued; index++) {
      this.broker.message(index % CLIENTS, waiting, 0);
    }
    this.#requests = Array.from({ length: setting.services }, (_, index) =>
      Frames.of('id', '', 'MDPC02', Buffer.from([1]), `service-${index}`, BODY),
    );
  }

  /** One batch of requests, dispatched and answered. Returns how many were answered. */
  turn(): number {
    this.#now += 0.5;
    for (let index = 0; index < BATCH; index++) {
      const request = this.#requests[this.#sent++ % this.#requests.length];
      if (request !== undefined) this.broker.message(index % CLIENTS, request, this.#now);
    }
    this.broker.run(this.#now);
    const answered = this.sink.count;
    for (let index = 0; index < answered; index++) {
      const token = this.sink.tokens[index];
      if (token === undefined) break;
      this.#reply.buffers[2] = token;
      this.#reply.ends[2] = token.length;
      this.broker.message(this.sink.peers[index] ?? 0, this.#reply, this.#now);
    }
    this.sink.count = 0;
    return answered;
  }
}

/** Nanoseconds per request: the best of several runs, since others' work can only add. */
function measure(setting: Setting, turns = 400, runs = 5): number {
  const stage = new Stage(setting);
  for (let warm = 0; warm < turns; warm++) stage.turn();
  let best = Infinity;
  for (let run = 0; run < runs; run++) {
    let answered = 0;
    const start = performance.now();
    for (let turn = 0; turn < turns; turn++) answered += stage.turn();
    best = Math.min(best, ((performance.now() - start) * 1e6) / answered);
  }
  return best;
}

function print(title: string, text: string): void {
  process.stdout.write(`${title.padEnd(64)} ${text}\n`);
}

function costs(): void {
  const base = { workers: 100, services: 1, credit: 10, queued: 0 };
  const ns = measure(base);
  print('100 workers at credit 10', `${Math.round(ns)} ns/request, ${Math.round(1e9 / ns)}/s`);
  const one = measure({ workers: 1, services: 1, credit: 1000, queued: 0 });
  const many = measure({ workers: 10_000, services: 1000, credit: 10, queued: 0 });
  print('1 worker, 1 service', `${Math.round(one)} ns/request`);
  print('10,000 workers, 1,000 services', `${Math.round(many)} ns/request`);
  print('  ratio (bound 1.3)', (many / one).toFixed(2));
  const full = measure({ ...base, queued: 1_000_000 });
  print('100 workers, 1,000,000 requests queued', `${Math.round(full)} ns/request`);
  print('  ratio to an empty queue (bound 1.3)', (full / ns).toFixed(2));
}

/** The longest single call while a million requests are queued, expire, drain or are dropped. */
function stalls(): void {
  const million = { workers: 0, services: 1, credit: 1, queued: 1_000_000 };
  global.gc?.();
  const before = process.memoryUsage();
  const stage = new Stage(million);
  global.gc?.();
  const after = process.memoryUsage();
  const bytes =
    after.heapUsed + after.external - before.heapUsed - before.external - 1_000_000 * BODY.length;
  print('bytes per queued request beside its body (bound 160)', (bytes / 1e6).toFixed(0));
  print('  longest turn while they expire, ms', longestRun(stage.broker, 120_000).toFixed(1));
  const gone = new Stage(million);
  for (let peer = 0; peer < CLIENTS; peer++) gone.broker.disconnected(peer, 1);
  print('  longest turn while clients are gone, ms', longestRun(gone.broker, 1).toFixed(1));
  const served = new Stage(million);
  served.broker.connected(CLIENTS, {
    listener: 0,
    routingId: Buffer.alloc(5),
    ownRoutingId: false,
    key: null,
  });
  const ready = Frames.of('MDPW02', Buffer.from([1]), 'nobody', '10000');
  served.broker.message(CLIENTS, ready, 1);
  let longest = longestRun(served.broker, 1);
  for (let turn = 0; turn < 200; turn++) longest = Math.max(longest, drainTurn(served));
  print('  longest turn while they drain, ms', longest.toFixed(1));
}

function drainTurn(stage: Stage): number {
  const reply = Frames.of('MDPW02', Buffer.from([4]), '', '', BODY);
  const taken = Math.min(stage.sink.count, BATCH);
  const start = performance.now();
  for (let index = 0; index < taken; index++) {
    const token = stage.sink.tokens[stage.sink.count - 1 - index];
    if (token === undefined) break;
    reply.buffers[2] = token;
    reply.ends[2] = token.length;
    stage.broker.message(CLIENTS, reply, 2);
  }
  stage.sink.count -= taken;
  stage.broker.run(2);
  return performance.now() - start;
}

function longestRun(broker: Broker, now: number): number {
  let longest = 0;
  for (let more = true; more;) {
    const start = performance.now();
    more = broker.run(now);
    longest = Math.max(longest, performance.now() - start);
  }
  return longest;
}

stalls();
costs();
