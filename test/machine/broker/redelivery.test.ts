import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

describe('the request of a lost worker', () => {
  it('goes to the front of the queue and to the next worker (D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2');
    s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    w1.disconnect();
    w2.ready('echo');
    expect(w2.inbox()).toEqual(['REQUEST 1']);
    w2.final('-');
    expect(w2.inbox()).toEqual(['REQUEST 2']);
    expect(s.events('request.requeued')).toEqual([
      { name: 'request.requeued', service: 'echo', reason: 'lost', deliveries: 1 },
    ]);
  });

  it('goes to a waiting worker in the same turn (D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    s.client('c1').request('echo', '1');
    w1.disconnect();
    expect(w2.inbox()).toEqual(['REQUEST 1']);
  });

  it.each(['expired', 'DISCONNECT', 'connection', 'protocol'])(
    'is kept when it was %s (D6)',
    (how) => {
      const s = stage({ busyTimeoutMs: 5000 });
      const w1 = s.worker('w1').ready('echo');
      const c1 = s.client('c1').request('echo', '1');
      if (how === 'expired') s.after(5000);
      if (how === 'DISCONNECT') w1.saysDisconnect();
      if (how === 'connection') w1.disconnect();
      if (how === 'protocol') w1.connection.sends('MDPW02', '\x09');
      expect(s.broker.load).toMatchObject({ workers: 0, requests: 1, requestsOut: 0 });
      const w2 = s.worker('w2').ready('echo');
      w2.final('one');
      expect(c1.inbox()).toEqual(['FINAL echo one']);
    },
  );

  it('keeps its place among those of a worker with credit: the order of their dispatch (D6, D23)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const c1 = s.client('c1');
    for (const body of ['1', '2', '3', '4', '5']) c1.request('echo', body);
    w1.disconnect();
    const w2 = s.worker('w2').ready('echo', { credit: 10 });
    expect(w2.inbox()).toEqual(['1', '2', '3', '4', '5'].map((body) => `REQUEST ${body}`));
  });

  it('is delivered maxDeliveries times in all, then abandoned, counted and told of (D6)', () => {
    const s = stage({ maxDeliveries: 3 });
    const c1 = s.client('c1').request('echo', 'deadly');
    for (const name of ['w1', 'w2', 'w3']) {
      const worker = s.worker(name).ready('echo');
      expect(worker.inbox()).toEqual(['REQUEST deadly']);
      worker.disconnect();
    }
    expect(s.broker.counters).toMatchObject({ requestsAbandoned: 1, requestsRequeued: 2 });
    expect(s.events('request.abandoned')).toMatchObject([{ service: 'echo', deliveries: 3 }]);
    expect(s.worker('w4').ready('echo').inbox()).toEqual([]);
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.load.requests).toBe(0);
  });

  it('is delivered once where maxDeliveries is 1 (D6)', () => {
    const s = stage({ maxDeliveries: 1 });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    w1.saysDisconnect();
    expect(s.broker.counters).toMatchObject({ requestsAbandoned: 1, requestsRequeued: 0 });
  });

  it('may be delivered far more often than a byte counts, with each late reply known (D6, D8)', () => {
    const s = stage({ maxDeliveries: 1000 });
    const c1 = s.client('c1').request('echo', 'hi');
    let last = s.worker('w0');
    for (let at = 0; at < 300; at++) {
      last = s.worker(`w${at}`).ready('echo');
      expect(last.inbox()).toEqual(['REQUEST hi']);
      last.disconnect();
    }
    last.connection.connect();
    last.final('late');
    expect(c1.inbox()).toEqual(['FINAL echo late']);
  });

  it('has its time to live from its arrival: it expires while it waits again (D6)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    s.after(6000);
    w1.disconnect();
    s.after(3999);
    expect(s.broker.load.requests).toBe(1);
    s.after(1);
    expect(s.broker.load.requests).toBe(0);
    expect(s.events('request.expired')).toEqual([
      { name: 'request.expired', service: 'echo', waitedMs: 10_000, reason: 'no_answer' },
    ]);
  });

  it('expires at once when its time to live ended at the worker (D6)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').heartbeatsEvery(1000);
    s.client('c1').request('echo', 'hi');
    s.after(10_000);
    expect(s.broker.counters.requestsExpired).toBe(0);
    w2.ready('echo');
    w1.disconnect();
    expect(s.broker.counters.requestsExpired).toBe(1);
    expect(w2.inbox()).not.toContain('REQUEST hi');
  });

  it('expires at once, too, when nobody else is there to take it (D6)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', 'hi');
    s.after(11_000);
    w1.disconnect();
    expect(s.broker.counters).toMatchObject({ requestsExpired: 1, requestsRequeued: 0 });
    expect(s.broker.load).toMatchObject({ requests: 0, services: 0 });
  });

  it('is not ended by its time to live while it is at a worker (D6, D9)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    s.after(50_000);
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
  });

  it('is not delivered again once a PARTIAL of it went to its client (D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.partial('a').disconnect();
    expect(w2.inbox()).toEqual([]);
    expect(c1.inbox()).toEqual(['PARTIAL echo a']);
    expect(s.broker.counters).toMatchObject({ requestsAbandoned: 1, requestsRequeued: 0 });
    expect(s.broker.load.requests).toBe(0);
  });

  it('is delivered again though its client was told of progress (D6, D82)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.partial(['MDPP01', '50 %']).disconnect();
    w2.partial(['MDPP01', '20 %']).final('y');
    expect(c1.inbox()).toEqual([
      ...['PARTIAL echo MDPP01|50 %', 'PARTIAL echo MDPP01|20 %', 'FINAL echo y'],
    ]);
    const c2 = s.client('c2', { version: 1 }).request('echo', 'hi');
    w2.partial(['MDPP01', '50 %']).final('z');
    expect(c2.inbox()).toEqual(['REPLY echo z']);
  });

  it('is delivered again though PARTIALs of it are held, which are thrown away (D6, D10)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1', { version: 1 }).request('echo', 'hi');
    w1.partial('a').partial('b').disconnect();
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    w2.partial('x').final('y');
    expect(c1.inbox()).toEqual(['REPLY echo x|y']);
  });
});

describe('DISCONNECT from a worker', () => {
  it('gives its request back, and nothing more is sent to it (18/MDP)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', '1').request('echo', '2');
    expect(w1.inbox()).toEqual(['REQUEST 1']);
    w1.saysDisconnect();
    s.after(5000);
    expect([w1.inbox(), w1.heartbeats()]).toEqual([[], 0]);
    expect(s.broker.counters.workersLost.disconnected).toBe(1);
    expect(s.broker.load.requests).toBe(2);
  });

  it('is ignored from a peer that is not registered (18/MDP)', () => {
    const s = stage();
    const w1 = s.worker('w1').saysDisconnect();
    expect(w1.inbox()).toEqual([]);
    expect(s.broker.counters.unexpected).toBe(0);
  });
});
