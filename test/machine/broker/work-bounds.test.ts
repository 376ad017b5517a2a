import { Frames } from '../../../src/core/frames.js';
import { endStages, stage, type Stage } from '../../support/stage.js';
import { pirateStage, simple } from '../../support/stage-pirates.js';
import type { ClientActor, WorkerActor } from '../../support/stage-peers.js';

afterEach(endStages);

const MANY = 200_000;
/** Requests of one kind of work that one `run` handles. */
const BUDGET = 2048;

/** So many requests of one client, without the trouble of a codec for each. */
function queued(s: Stage, count: number, service = 'echo', address = '127.0.0.1'): ClientActor {
  s.alone();
  const client = s.client(`floods ${service}`, { address });
  const before = s.broker.load.requests;
  const frames = Frames.of('MDPC02', '\x01', service, 'x');
  for (let at = 0; at < count; at++) s.broker.message(client.connection.peer, frames, s.now);
  s.turn();
  expect(s.broker.load.requests).toBe(before + count);
  return client;
}

/** Runs until nothing more is due. */
function runs(s: Stage): { readonly runs: number; readonly effectsMost: number } {
  for (let count = 1, most = 0; ; count++) {
    const { more, effects } = s.runOnce();
    most = Math.max(most, effects);
    if (!more) return { runs: count, effectsMost: most };
  }
}

describe('200,000 waiting requests', () => {
  it('that expire at once do so over many turns, each within its budget', () => {
    const s = stage();
    queued(s, MANY);
    s.now += 60_000;
    const seen = runs(s);
    expect(seen.effectsMost).toBeLessThanOrEqual(BUDGET);
    expect(seen.runs).toBeLessThanOrEqual(MANY / BUDGET + 2);
    expect(s.broker.counters.requestsExpired).toBe(MANY);
    expect(s.broker.load).toMatchObject({ requests: 0, bytes: 0, services: 0 });
  });

  it('whose client goes away are dropped over many turns, each within its budget (D26)', () => {
    const s = stage();
    const client = queued(s, MANY);
    s.unrun(() => {
      client.disconnect();
    });
    const seen = runs(s);
    expect(seen.effectsMost).toBeLessThanOrEqual(BUDGET);
    expect(seen.runs).toBeLessThanOrEqual(MANY / BUDGET + 2);
    expect(s.broker.counters.requestsDropped).toBe(MANY);
    expect(s.broker.load).toMatchObject({ requests: 0, bytes: 0, clients: 0 });
  });

  it('are refused over many turns when the broker drains, each within its budget', () => {
    const s = stage();
    queued(s, MANY);
    s.unrun(() => s.broker.drain(s.now));
    const seen = runs(s);
    expect(seen.effectsMost).toBeLessThanOrEqual(BUDGET);
    expect(s.broker.counters.requestsRefused.draining).toBe(MANY);
  });
});

describe('clients that go away', () => {
  it('have their requests dropped in turns of their identities (D103)', () => {
    const s = stage();
    const few = queued(s, 500, 'few', '10.0.0.2');
    const many = queued(s, MANY, 'many', '10.0.0.1');
    s.unrun(() => {
      few.disconnect();
      many.disconnect();
    });
    s.runOnce();
    // None of `few` is left, and the rest of the turn was for the others.
    expect(s.broker.load.services).toBe(1);
    expect(s.broker.load.requests).toBeLessThan(MANY - 1500);
    runs(s);
    expect(s.broker.counters.requestsDropped).toBe(MANY + 500);
  });
});

describe('70,000 requests that are out for too long at workers that live', () => {
  it('are looked at over several turns', () => {
    const s = stage({ busyTimeoutMs: 5000 });
    const workers = Array.from({ length: 7 }, (_, at) => s.worker(`w${at}`));
    s.batch(() => {
      for (const worker of workers) worker.ready('echo', { credit: 10_000 });
    });
    queued(s, 70_000);
    s.after(3000);
    for (const worker of workers) worker.heartbeat();
    s.now += 2000;
    expect(runs(s).runs).toBe(2);
    expect(s.broker.load).toMatchObject({ workers: 7, requestsOut: 70_000 });
  });
});

describe('50,000 waiting requests', () => {
  it('are handed out over many turns, each within its budget', () => {
    const s = stage();
    queued(s, 50_000);
    const workers = Array.from({ length: 5 }, (_, at) => s.worker(`w${at}`));
    s.unrun(() => {
      for (const worker of workers) worker.ready('echo', { credit: 10_000 });
    });
    const seen = runs(s);
    expect(seen.effectsMost).toBeLessThanOrEqual(BUDGET + workers.length);
    expect(s.broker.load.requestsOut).toBe(50_000);
  });
});

describe('workers that are lost all at once', () => {
  it('give their requests back over many turns, before anything is handed out (D5, D6)', () => {
    const s = stage();
    const workers = Array.from({ length: 300 }, (_, at) => s.worker(`w${at}`));
    const survivor = s.worker('survivor');
    s.batch(() => {
      for (const worker of workers) worker.ready('echo', { credit: 100 });
    });
    queued(s, 30_000);
    expect(s.broker.load.requestsOut).toBe(30_000);
    s.after(1500);
    for (const worker of workers) worker.heartbeat();
    s.now += 3000;
    s.unrun(() => {
      survivor.ready('echo', { credit: 10_000 });
    });
    expect(s.runOnce()).toMatchObject({ more: true });
    expect(survivor.inbox()).toEqual([]);
    const seen = runs(s);
    expect(seen.effectsMost).toBeLessThanOrEqual(2 * (BUDGET + 100));
    expect(seen.runs).toBeLessThan(40);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 30_000, requestsOut: 10_000 });
    expect(survivor.inbox()).toHaveLength(10_000);
  });
});

describe('two workers with 10,000 requests each, lost in one turn', () => {
  /** Each request has its number as its body. */
  function busy(): { readonly s: Stage; readonly w1: WorkerActor; readonly w2: WorkerActor } {
    const s = stage();
    const [w1, w2] = [s.worker('w1'), s.worker('w2')];
    s.batch(() => {
      for (const worker of [w1, w2]) worker.ready('echo', { credit: 10_000 });
    });
    s.alone();
    const { peer } = s.client('c1').connection;
    for (let n = 0; n < 20_000; n++) {
      s.broker.message(peer, Frames.of('MDPC02', '\x01', 'echo', String(n)), s.now);
    }
    s.turn();
    expect(s.broker.load.requestsOut).toBe(20_000);
    return { s, w1, w2 };
  }

  function numbersOf(worker: WorkerActor): number[] {
    return worker.inbox().map((line) => Number(line.replace('REQUEST ', '')));
  }

  it('give them back over many turns, while others are served (D103)', () => {
    const { s, w1, w2 } = busy();
    const other = s.worker('other').ready('quick');
    s.unrun(() => {
      for (const worker of [w1, w2]) worker.disconnect();
      s.client('c2').request('quick', 'hi');
    });
    expect(s.runOnce()).toMatchObject({ more: true });
    expect(other.inbox()).toEqual(['REQUEST hi']);
    expect(s.broker.load.requestsOut).toBeGreaterThanOrEqual(20_000 - 2 * BUDGET);
    expect(runs(s).runs).toBeGreaterThan(20_000 / BUDGET - 3);
    expect(s.broker.load).toMatchObject({ requests: 20_001, requestsOut: 1, workers: 1 });
  });

  it('have them dispatched when all are back, those of each worker in their order (D6)', () => {
    const { s, w1, w2 } = busy();
    const ofFirst = new Set(numbersOf(w1));
    const next = s.worker('next');
    s.unrun(() => {
      for (const worker of [w1, w2]) worker.disconnect();
      next.ready('echo', { credit: 10_000 });
    });
    s.runOnce();
    expect(next.inbox()).toEqual([]);
    runs(s);
    const numbers = numbersOf(next);
    expect(numbers).toHaveLength(10_000);
    for (const isFirst of [true, false]) {
      const own = numbers.filter((number) => ofFirst.has(number) === isFirst);
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });

  it('may still answer what has not gone back (D8), and register again meanwhile', () => {
    const { s, w1, w2 } = busy();
    s.after(1500);
    for (const worker of [w1, w2]) worker.heartbeat();
    s.now += 3000;
    s.runOnce();
    expect(s.broker.load.workers).toBe(0);
    s.unrun(() => {
      w1.reconnects();
      // The oldest go back last.
      w1.final('late');
      w1.ready('echo', { credit: 5 });
      w1.final('later');
    });
    expect(s.broker.counters).toMatchObject({ requestsReplied: 2, unexpected: 0 });
    expect(s.broker.load.workers).toBe(1);
    runs(s);
    expect(s.broker.load).toMatchObject({ requests: 19_998, requestsOut: 5 });
  });
});

describe('one kind of work', () => {
  it('does not hold up dispatch, however much of it is due: expiry', () => {
    const s = stage();
    queued(s, 10_000, 'idle');
    s.after(59_000);
    s.client('c1').request('echo', 'hi');
    const w1 = s.worker('w1');
    s.now += 1000;
    s.unrun(() => {
      w1.ready('echo');
    });
    expect(s.runOnce().more).toBe(true);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
  });

  it('does not hold up dispatch, however much of it is due: clients that went away (D26)', () => {
    const s = stage();
    const gone = queued(s, 10_000, 'idle');
    const c1 = s.client('c1').request('echo', 'hi');
    const w1 = s.worker('w1');
    s.unrun(() => {
      gone.disconnect();
      w1.ready('echo');
    });
    expect(s.runOnce().more).toBe(true);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
  });

  it('lets no overdue request slip through to a worker while it is not finished (D9)', () => {
    const s = stage();
    queued(s, 10_000);
    const w1 = s.worker('w1');
    s.now += 60_000;
    s.unrun(() => {
      w1.ready('echo', { credit: 10_000 });
    });
    runs(s);
    expect(w1.inbox()).toEqual([]);
    expect(s.broker.counters.requestsExpired).toBe(10_000);
  });

  it('for one service leaves the next turn to the others', () => {
    const s = stage();
    queued(s, 10_000, 'greedy');
    s.client('c2').request('modest', 'x');
    const greedy = s.worker('w1');
    const modest = s.worker('w2');
    s.unrun(() => {
      greedy.ready('greedy', { credit: 10_000 });
      modest.ready('modest');
    });
    s.runOnce();
    s.runOnce();
    expect(modest.inbox()).toEqual(['REQUEST x']);
    runs(s);
    expect(greedy.inbox()).toHaveLength(10_000);
  });
});

describe('10,000 REQ sockets on a listener for workers', () => {
  it('that say nothing are taken for workers over many turns, each within its budget (D36)', () => {
    const s = pirateStage({ limits: { workers: 10_000 } });
    s.alone();
    for (let at = 0; at < 10_000; at++) simple(s, `w${at}`);
    s.now += 1000;
    const seen = runs(s);
    expect(seen.effectsMost).toBeLessThanOrEqual(BUDGET);
    expect(s.broker.load.workers).toBe(10_000);
  });
});
