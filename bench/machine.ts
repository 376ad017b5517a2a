/**
 * The broker machine alone: no sockets, a sink that keeps only tokens. Prints the CPU time of a
 * request (read, queue, dispatch, reply), and how it grows with workers, services and the queue.
 *
 *     npm run bench:machine
 */
import { performance } from 'node:perf_hooks';

import type { Broker } from '../src/broker/broker.js';
import { BROKER_EVENTS, type BrokerEvent, type BrokerEvents } from '../src/broker/broker-events.js';
import { monotonicMs } from '../src/core/clock.js';
import { Frames } from '../src/core/frames.js';
import { EventFeed } from '../src/admin/http/event-feed.js';
import { EventLog } from '../src/admin/log/event-log.js';
import { tee } from '../src/core/event-table.js';
import { SILENT } from '../test/support/logs.js';
import { Throttle } from '../src/admin/log/throttle.js';
import { setV8Flags } from '../src/cli/serve/v8-flags.js';
import { BATCH, BODY, CLIENTS, type Setting, Stage } from './machine/stage.js';

/** CPU time, in nanoseconds per request: the best of several runs, as other load can only add. */
function measure(setting: Setting, turns = 400, runs = 5): number {
  const stage = new Stage(setting);
  for (let warm = 0; warm < turns; warm++) stage.turn();
  let best = Infinity;
  for (let run = 0; run < runs; run++) {
    let answered = 0;
    const start = process.cpuUsage();
    for (let turn = 0; turn < turns; turn++) answered += stage.turn();
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, ((user + system) * 1000) / answered);
  }
  return best;
}

/** Events go to the log and the page, as in a daemon; nobody reads either. */
function told(): BrokerEvents {
  const feed = new EventFeed(Date.now, BROKER_EVENTS);
  const lines = new EventLog(SILENT, new Throttle(monotonicMs), BROKER_EVENTS);
  return tee<BrokerEvent>(lines, {
    emit: (event) => feed.emit(event, lines.levelOf),
  });
}

function print(title: string, text: string): void {
  process.stdout.write(`${title.padEnd(64)} ${text}\n`);
}

/** Requests that differ: those with groups must not be slower only because more memory is read. */
const GROUPS = 100_000;

function costs(): void {
  const base = { workers: 100, services: 1, credit: 10, queued: 0 };
  const ns = measure(base);
  print('100 workers at credit 10', `${Math.round(ns)} ns/request, ${Math.round(1e9 / ns)}/s`);
  const packed = measure({ ...base, packed: true });
  print('100 workers at credit 10, packed', `${Math.round(packed)} ns/request`);
  const failures = measure({ ...base, fails: true, events: told() });
  print('100 workers at credit 10, every request fails', `${Math.round(failures)} ns/request`);
  const one = measure({ workers: 1, services: 1, credit: 1000, queued: 0 });
  const many = measure({ workers: 10_000, services: 1000, credit: 10, queued: 0 });
  print('1 worker, 1 service', `${Math.round(one)} ns/request`);
  print('10,000 workers, 1,000 services', `${Math.round(many)} ns/request`);
  print('  ratio (bound 1.3)', (many / one).toFixed(2));
  const full = measure({ ...base, queued: 1_000_000 });
  print('100 workers, 1,000,000 requests queued', `${Math.round(full)} ns/request`);
  print('  ratio to an empty queue (bound 1.3)', (full / ns).toFixed(2));
  const headed = measure({ ...base, headed: GROUPS });
  const grouped = measure({ ...base, headed: GROUPS, grouped: true });
  print('100 workers, requests with headers', `${Math.round(headed)} ns/request`);
  print('100 workers, each request of another group', `${Math.round(grouped)} ns/request`);
  print('  ratio (bound 1.15)', (grouped / headed).toFixed(2));
  const sessions = measure({ ...base, packed: true, sessions: true });
  print('100 workers at credit 10, packed, with sessions', `${Math.round(sessions)} ns/request`);
}

/** The longest single call while a million requests are queued, expire, are drained or dropped. */
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
  served.broker.connected(
    CLIENTS,
    {
      listener: 0,
      routingId: Buffer.alloc(5),
      ownRoutingId: false,
      key: null,
      address: '127.0.0.1',
      identity: 'ip:127.0.0.1',
    },
    0,
  );
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

setV8Flags();
stalls();
costs();
