import { endStages, stage } from '../../support/stage.js';
import { SENDERS, senderOn } from '../../support/stage-internal-client.js';

afterEach(endStages);

describe('limits of what waits', () => {
  it('limits.queuedRequests counts what waits and what is at workers', () => {
    const s = stage({ limits: { queuedRequests: 2 } });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    expect(s.broker.counters).toMatchObject({
      requestsReceived: 3,
      requestsRefused: { limit: 1 },
    });
    expect(s.events('request.refused')).toMatchObject([{ service: 'echo', reason: 'limit' }]);
    w1.final('one');
    c1.request('echo', '4');
    expect(s.broker.counters.requestsRefused.limit).toBe(1);
  });

  it('limits.queuedRequestsPerService keeps one service from starving the others', () => {
    const s = stage({ limits: { queuedRequestsPerService: 2 } });
    const c1 = s.client('c1');
    for (const body of ['1', '2', '3']) c1.request('echo', body);
    c1.request('other', '4');
    expect(s.broker.load.requests).toBe(3);
    expect(s.broker.counters.requestsRefused.limit).toBe(1);
  });

  it('limits.queuedBytes counts bodies and envelopes, waiting and at workers', () => {
    const s = stage({ limits: { queuedBytes: 3000 } });
    s.worker('w1').ready('echo');
    const c1 = s.client('c1', { envelope: ['x'.repeat(200)] });
    c1.request('echo', 'x'.repeat(1000)).request('echo', 'x'.repeat(1000));
    expect(s.broker.load.bytes).toBeGreaterThan(2400);
    expect(s.broker.load.bytes).toBeLessThan(2500);
    c1.request('echo', 'x'.repeat(1000));
    expect(s.broker.counters.requestsRefused.limit).toBe(1);
    c1.request('echo', 'x'.repeat(100));
    expect(s.broker.counters.requestsRefused.limit).toBe(1);
  });

  it('limits.services bounds the names that only have requests waiting', () => {
    const s = stage({ limits: { services: 2 } });
    s.worker('w1').ready('echo');
    const c1 = s.client('c1');
    for (const name of ['a', 'b', 'c', 'a', 'echo']) c1.request(name, 'hi');
    expect(s.broker.load.services).toBe(3);
    expect(s.broker.counters.requestsRefused.limit).toBe(1);
  });

  it('a refused request leaves nothing behind', () => {
    const s = stage({ limits: { queuedRequests: 0 } });
    s.client('c1').request('echo', 'hi');
    expect(s.broker.load).toMatchObject({ requests: 0, services: 0, bytes: 0, clients: 0 });
  });

  it('may change while requests wait; what is held already stays', () => {
    const s = stage();
    const c1 = s.client('c1').request('echo', '1').request('echo', '2');
    s.input((broker) => broker.setLimits({ ...s.options.limits, queuedRequests: 1, workers: 0 }));
    c1.request('echo', '3');
    expect(s.broker.load.requests).toBe(2);
    expect(s.worker('w1').ready('echo').inbox()).toEqual(['DISCONNECT']);
    s.input((broker) => broker.setLimits(s.options.limits));
    expect(s.worker('w2').ready('echo', { credit: 9 }).inbox()).toHaveLength(2);
  });
});

describe('a client that does not read', () => {
  it('is closed, what it sends meanwhile is ignored, its replies dropped and counted', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.client('c1').request('echo', '1').request('echo', '2').request('idle', '3');
    c1.connection.fills();
    expect(c1.connection.closedByBroker).toBe(true);
    expect(s.events('client.closed')).toEqual([
      { name: 'client.closed', reason: 'slow_client', key: null, address: '127.0.0.1' },
    ]);
    w1.final('one');
    c1.request('echo', '4');
    c1.disconnect();
    w1.final('two');
    expect(s.broker.counters).toMatchObject({
      requestsReceived: 3,
      requestsDropped: 1,
      repliesDropped: { slow_client: 2, client_gone: 0 },
    });
  });

  it('is closed once, however often it is reported', () => {
    const s = stage();
    const c1 = s.client('c1').request('echo', '1');
    c1.connection.fills();
    c1.connection.fills();
    c1.connection.drains();
    expect(s.events('client.closed')).toHaveLength(1);
  });

  it('is told no refusal any more (D11)', () => {
    const s = stage({ requestTtlMs: 5000 });
    const c1 = s.client('c1').hello().request('echo', '1');
    c1.connection.fills();
    s.after(5000);
    expect(c1.inbox()).toEqual([]);
  });

  it('with a routing id of its own is served again after its return (D26)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { routingId: 'alice' }).request('echo', '1');
    c1.connection.fills();
    c1.disconnect();
    c1.connection.connect();
    w1.final('one');
    expect(c1.inbox()).toEqual(['FINAL echo one']);
  });
});

describe('a worker that does not read', () => {
  it.each(SENDERS)(
    'gets nothing until it has read, and %s requests go to others meanwhile',
    (who) => {
      const s = stage();
      const send = senderOn(s, who);
      const w1 = s.worker('w1').ready('echo', { credit: 5 }).heartbeatsEvery(1000);
      const w2 = s.worker('w2').heartbeatsEvery(1000);
      send('1');
      w1.connection.fills();
      send('2');
      s.after(5000);
      expect([w1.inbox(), w1.heartbeats()]).toEqual([['REQUEST 1'], 0]);
      w2.ready('echo');
      expect(w2.inbox()).toContain('REQUEST 2');
      send('3');
      expect(w1.connection.closedByBroker).toBe(false);
      w1.connection.drains();
      expect(w1.inbox()).toEqual(['REQUEST 3']);
    },
  );

  it.each(SENDERS)(
    'gets no %s request for which its output has no room, others do, and the next once it has read',
    (who) => {
      let room = 100;
      const s = stage({ takesRequest: (_, bytes) => bytes <= room });
      const send = senderOn(s, who);
      const w1 = s.worker('w1').ready('echo', { credit: 5 });
      send('x'.repeat(60));
      room = 10;
      send('y'.repeat(60));
      expect(w1.inbox()).toHaveLength(1);
      room = 100;
      const w2 = s.worker('w2').ready('echo');
      expect([w1.inbox(), w2.inbox()]).toEqual([[], [`REQUEST ${'y'.repeat(60)}`]]);
      send('3');
      expect([w1.inbox(), w2.inbox()]).toEqual([[], []]);
      w1.connection.drains();
      expect(w1.inbox()).toEqual(['REQUEST 3']);
      expect(w1.connection.closedByBroker).toBe(false);
    },
  );

  it('may answer while it is full, and is given the next once it has read', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', '1').request('echo', '2');
    w1.connection.fills();
    w1.final('one');
    expect([c1.inbox(), w1.inbox()]).toEqual([['FINAL echo one'], ['REQUEST 1']]);
    w1.connection.drains();
    expect(w1.inbox()).toEqual(['REQUEST 2']);
  });

  it('is lost by its silence as any other (D5)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    w1.connection.fills();
    s.after(3000);
    expect(s.broker.load.workers).toBe(0);
    w1.connection.drains();
    expect(s.broker.load.workers).toBe(0);
  });

  it('is still full after it has left and registered again (D5)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    w1.connection.fills();
    w1.saysDisconnect().ready('echo');
    s.client('c1').request('echo', 'hi');
    expect(w1.inbox()).toEqual([]);
    w1.connection.drains();
    expect(w1.inbox()).toEqual(['REQUEST hi']);
  });
});
