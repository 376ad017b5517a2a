import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

const TIMES = { heartbeatIntervalMs: 1000, heartbeatLiveness: 3, busyTimeoutMs: 20_000 };

describe('an idle worker', () => {
  it('is lost exactly at interval × liveness of silence, not before (D5)', () => {
    const s = stage(TIMES);
    s.worker('w1').ready('echo');
    s.losesWorkerAfter(3000);
    expect(s.broker.counters.workersLost.expired).toBe(1);
    expect(s.events('worker.lost')).toMatchObject([
      { name: 'worker.lost', service: 'echo', worker: 1, reason: 'expired', inFlight: 0 },
    ]);
  });

  it('loses its connection in the turn in which it is lost, and nothing is heard over it (D102)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.after(2999);
    expect(w1.connection.closedByBroker).toBe(false);
    s.after(1);
    expect(w1.connection.closedByBroker).toBe(true);
    w1.ready('echo');
    expect([w1.inbox(), s.broker.load.workers]).toEqual([[], 0]);
  });

  it('is told DISCONNECT if it goes on over another connection (18/MDP)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.after(3000);
    w1.reconnects().heartbeat();
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    w1.ready('echo');
    expect(s.broker.load.workers).toBe(1);
  });

  it('lives as long as it sends HEARTBEATs (18/MDP §Heartbeating)', () => {
    const s = stage(TIMES);
    s.worker('w1').ready('echo').heartbeatsEvery(2999);
    s.after(60_000);
    expect(s.broker.load.workers).toBe(1);
  });

  it('lives as long as messages of it wait to be read behind those of others (D76)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    for (let second = 0; second < 10; second++) {
      w1.connection.waitsToBeRead();
      s.after(2999);
    }
    expect(s.broker.load.workers).toBe(1);
    s.after(1);
    expect(s.broker.load.workers).toBe(0);
  });

  it('has any command taken as a sign of life (18/MDP §Heartbeating)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', '1');
    s.after(2500);
    w1.final('1');
    s.after(2500);
    c1.request('echo', '2');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2']);
    w1.final('2');
    s.losesWorkerAfter(3000);
  });

  it('has what it asks as a client not taken as a sign of life (18/MDP §Heartbeating)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.after(2000);
    s.client('as client', { over: w1.connection }).request('mmi.services', '');
    s.after(1000);
    expect(s.broker.load.workers).toBe(0);
  });

  it('that is overdue is expired before requests are dispatched in that turn (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo').heartbeatsEvery(500);
    s.after(2999);
    s.now += 1;
    s.client('c1').request('echo', 'hi');
    expect(w1.inbox()).toEqual([]);
    expect(w2.inbox()).toEqual(['REQUEST hi']);
  });

  it('of several is lost each at its own time (D5)', () => {
    const s = stage(TIMES);
    s.worker('w1').ready('echo');
    s.after(100);
    const w2 = s.worker('w2').ready('echo');
    s.after(100);
    s.worker('w3').ready('echo');
    w2.heartbeat();
    s.after(2800);
    expect(s.broker.load.workers).toBe(2);
    s.after(200);
    expect(s.broker.load.workers).toBe(0);
  });
});

describe('a busy worker', () => {
  it('that never sent a HEARTBEAT while busy is lost at busyTimeoutMs after the dispatch (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.after(1500);
    s.client('c1').request('echo', 'hi');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    s.losesWorkerAfter(20_000);
    expect(w1.connection.closedByBroker).toBe(true);
    expect(s.broker.counters.requestsRequeued).toBe(1);
  });

  it('of which nothing was heard is lost at busyTimeoutMs, though it is short (D5)', () => {
    const s = stage({ ...TIMES, busyTimeoutMs: 500 });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    s.after(100);
    w1.heartbeat();
    s.losesWorkerAfter(400);
  });

  it('that has sent a HEARTBEAT while busy is lost at interval × liveness of silence (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    s.after(1001);
    w1.heartbeat();
    s.losesWorkerAfter(3000);
  });

  it('proves nothing by a HEARTBEAT within one interval of the dispatch (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    s.after(1000);
    w1.heartbeat();
    s.losesWorkerAfter(19_000);
  });

  it('once known to heartbeat while busy is held to it with every later request (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', '1');
    s.after(1500);
    w1.heartbeat().final('1');
    c1.request('echo', '2');
    s.losesWorkerAfter(3000);
  });

  it('that heartbeats may work for longer than busyTimeoutMs (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(1000);
    const c1 = s.client('c1').request('echo', 'hi');
    s.after(100_000);
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
  });

  it('that heartbeats does not hide another one that is overdue (D5)', () => {
    const s = stage(TIMES);
    s.worker('w1').ready('echo').heartbeatsEvery(1000);
    const c1 = s.client('c1').request('echo', '1');
    s.after(500);
    s.worker('w2').ready('echo');
    c1.request('echo', '2');
    s.losesWorkerAfter(20_000, 1);
  });

  it('that is idle again is expired as an idle one, from its reply on (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    s.after(10_000);
    w1.final('HI');
    s.losesWorkerAfter(3000);
  });

  it('that sends PARTIALs is not silent, also after busyTimeoutMs (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    for (let at = 0; at < 30; at++) {
      s.after(1000);
      w1.partial(String(at));
    }
    w1.final('end');
    expect(c1.inbox()).toHaveLength(31);
  });

  it('that falls silent after its PARTIALs, busyTimeoutMs over, is lost exactly one time-out later (D5)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.worker('w2').ready('other').heartbeatsEvery(700);
    s.client('c1').request('echo', 'hi');
    s.after(18_000);
    w1.partial('a');
    s.losesWorkerAfter(3000, 1);
  });
});

describe('a worker whose connection is lost', () => {
  it('is lost at once, as by its expiry: its request goes to the next, in front (D15, D6)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2');
    s.client('c1').request('echo', '1').request('echo', '2');
    w1.disconnect();
    w2.ready('echo');
    expect(w2.inbox()).toEqual(['REQUEST 1']);
    expect(s.broker.counters.workersLost.connection).toBe(1);
  });

  it('may still have its reply used, which comes over a new connection (D15, D8)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.disconnect();
    w1.connection.connect();
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    w1.ready('echo');
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
  });
});

describe('HEARTBEAT to a worker', () => {
  it('is sent once per interval, to idle and to busy ones (18/MDP §Heartbeating)', () => {
    const s = stage({ ...TIMES, heartbeatLiveness: 100 });
    const idle = s.worker('w1').ready('idle');
    const busy = s.worker('w2', { version: 1 }).ready('busy');
    s.client('c1').request('busy', 'hi');
    s.after(999);
    expect([idle.heartbeats(), busy.heartbeats()]).toEqual([0, 0]);
    s.after(1);
    expect([idle.heartbeats(), busy.heartbeats()]).toEqual([1, 1]);
    s.after(10_000);
    expect([idle.heartbeats(), busy.heartbeats()]).toEqual([10, 10]);
  });

  it('is not sent within an interval of something else (18/MDP §Heartbeating)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    s.after(600);
    s.client('c1').request('echo', 'hi');
    s.after(999);
    expect(w1.heartbeats()).toBe(0);
    s.after(1);
    expect(w1.heartbeats()).toBe(1);
  });

  it('is not sent to a worker that is lost (18/MDP §Heartbeating)', () => {
    const s = stage(TIMES);
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo').saysDisconnect();
    s.after(3000);
    expect([w1.heartbeats(), w2.heartbeats()]).toEqual([2, 0]);
    s.after(10_000);
    expect([w1.heartbeats(), w2.heartbeats()]).toEqual([0, 0]);
  });
});
