import { endStages } from '../../support/stage.js';
import { MDP, paranoid, pirateStage, plain, simple, WORKERS } from '../../support/stage-pirates.js';

afterEach(endStages);

describe('a Simple Pirate', () => {
  it('gets a request in the envelope of a REQ socket, and its reply means ready again (D32)', () => {
    const s = pirateStage();
    const w = simple(s, 'w').ready();
    const c = s.client('c').request('echo', 'one').request('echo', 'two', 'more');
    const [first] = w.connection.raw();
    expect(first?.slice(0, 1)).toEqual(['']);
    expect(first?.[1]).toMatch(/^[a-p]{26}$/);
    expect(first?.slice(2)).toEqual(['', 'one']);
    w.replies(first?.[1] ?? '', 'ONE');
    expect(c.inbox()).toEqual(['FINAL echo ONE']);
    expect(w.inbox()).toEqual(['two|more']);
    w.final('TWO', 'MORE');
    expect(c.inbox()).toEqual(['FINAL echo TWO|MORE']);
  });

  it('is sent no heartbeat, and its silence does not count (D35)', () => {
    const s = pirateStage();
    const w = simple(s, 'w').ready();
    s.after(3_600_000);
    expect(w.inbox()).toEqual([]);
    s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual(['x']);
  });

  it('loses its request after busyTimeoutMs, and waits again with its late reply, which counts (D35, D8)', () => {
    const s = pirateStage({ busyTimeoutMs: 5000 });
    const w = simple(s, 'w').ready();
    const c = s.client('c').request('echo', 'slow');
    expect(w.inbox()).toEqual(['slow']);
    s.after(4999);
    expect(s.broker.load).toMatchObject({ workers: 1, requestsOut: 1 });
    s.after(1);
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 1, requestsOut: 0 });
    w.final('late');
    expect(c.inbox()).toEqual(['FINAL echo late']);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
    c.request('echo', 'next');
    expect(w.inbox()).toEqual(['next']);
  });

  it('is registered by a reply with a token of a former broker (D32)', () => {
    const s = pirateStage();
    const w = simple(s, 'w').replies('token of a former life', 'x');
    expect(s.broker.load.workers).toBe(1);
    s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual(['x']);
    expect(s.events('worker.unexpected')).toEqual([]);
  });

  it.each(['READY', 'a reply with another token'])(
    'gives its request back with %s, and waits (D33, D36)',
    (how) => {
      const s = pirateStage({ maxDeliveries: 2 });
      const w = simple(s, 'w').ready();
      s.client('c').request('echo', 'x');
      expect(w.inbox()).toEqual(['x']);
      if (how === 'READY') w.ready();
      else w.replies('something else', 'y');
      expect(w.inbox()).toEqual(['x']);
      expect(s.events('request.requeued')).toMatchObject([{ service: 'echo', deliveries: 1 }]);
      if (how === 'READY') w.ready();
      else w.replies('something else', 'y');
      expect(s.events('request.abandoned')).toMatchObject([{ deliveries: 2 }]);
      expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
    },
  );

  it('is waiting if it has said nothing for an interval since it connected (D36)', () => {
    const s = pirateStage();
    const w = simple(s, 'w');
    const c = s.client('c').request('echo', 'x');
    s.after(999);
    expect(w.inbox()).toEqual([]);
    s.after(1);
    expect(w.inbox()).toEqual(['x']);
    w.final('X');
    expect(c.inbox()).toEqual(['FINAL echo X']);
    expect(s.events('worker.registered')).toMatchObject([{ service: 'echo', credit: 1 }]);
  });

  it('without that rule it is lost with the restart of the broker (the socket type is unknown)', () => {
    const s = pirateStage();
    const w = s.connection('w', { listener: WORKERS });
    s.client('c').request('echo', 'x');
    s.after(50_000);
    expect(w.raw()).toEqual([]);
    expect(s.broker.load.workers).toBe(0);
  });

  it('that spoke within the interval, or is gone, is not revived (D36)', () => {
    const s = pirateStage();
    simple(s, 'w1').ready();
    simple(s, 'w2').connection.disconnect();
    s.after(1000);
    expect(s.broker.load.workers).toBe(1);
  });

  it('whose key was removed is not revived while its connection closes (D36, D73)', () => {
    const s = pirateStage();
    const w = simple(s, 'w', { key: 'bob' });
    s.client('c').request('echo', 'x');
    s.input((broker) => broker.connections.revoke(WORKERS, 'bob'));
    s.after(1000);
    expect(w.connection.closedByBroker).toBe(true);
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 1, requestsOut: 0 });
  });

  it('that was not waiting gives the request of its revival back at its next send (D36)', () => {
    const s = pirateStage();
    const w = simple(s, 'w');
    s.after(1000);
    const c = s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual(['x']);
    // Its socket threw that request away: this is the reply to one of the former broker.
    w.replies('token of a former life', 'old');
    expect(w.inbox()).toEqual(['x']);
    w.final('X');
    expect(c.inbox()).toEqual(['FINAL echo X']);
  });
});

describe('a Paranoid Pirate', () => {
  it('gets a request without delimiter, and its reply means ready again (6/PPP)', () => {
    const s = pirateStage();
    const w = paranoid(s, 'w').ready();
    const c = s.client('c').request('echo', 'one').request('echo', 'two');
    const [first] = w.connection.raw();
    expect(first).toEqual([first?.[0], '', 'one']);
    w.replies(first?.[0] ?? '', 'ONE');
    expect(c.inbox()).toEqual(['FINAL echo ONE']);
    expect(w.inbox()).toEqual(['two']);
  });

  it.each([
    { intervalMs: 5000, everyMs: 1000 },
    { intervalMs: 200, everyMs: 200 },
  ])(
    'is sent a heartbeat every second at least, idle or busy (D34): $everyMs ms',
    ({ intervalMs, everyMs }) => {
      const s = pirateStage({ heartbeatIntervalMs: intervalMs });
      const w = paranoid(s, 'w').ready();
      s.after(everyMs - 1);
      expect(w.inbox()).toEqual([]);
      s.after(1);
      expect(w.inbox()).toEqual(['HEARTBEAT']);
      s.client('c').request('echo', 'x');
      s.after(everyMs);
      expect(w.inbox()).toEqual(['x', 'HEARTBEAT']);
    },
  );

  it.each([
    { intervalMs: 5000, lostMs: 15_000 },
    { intervalMs: 200, lostMs: 3000 },
  ])('is lost after three silent intervals of a second at least: $lostMs ms (D34)', (given) => {
    const s = pirateStage({ heartbeatIntervalMs: given.intervalMs });
    const w = paranoid(s, 'w').ready();
    s.after(given.lostMs - 1);
    expect(s.broker.load.workers).toBe(1);
    w.heartbeat();
    s.losesWorkerAfter(given.lostMs);
    expect(s.events('worker.lost')).toMatchObject([{ reason: 'expired' }]);
    expect(w.connection.closedByBroker).toBe(true);
  });

  it('loses its request after busyTimeoutMs although it sends heartbeats (D35)', () => {
    const s = pirateStage({ busyTimeoutMs: 5000 });
    const w = paranoid(s, 'w').ready();
    s.client('c').request('echo', 'x');
    for (let second = 0; second < 5; second++) {
      s.after(1000);
      if (second < 4) w.heartbeat();
    }
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 1, requestsOut: 0 });
    expect(w.connection.closedByBroker).toBe(false);
  });

  it.each(['HEARTBEAT', 'REPLY'])(
    'that sends %s before READY is neither answered nor registered (D33)',
    (what) => {
      const s = pirateStage();
      const w = paranoid(s, 'w');
      if (what === 'HEARTBEAT') w.heartbeat();
      else w.replies('thirteenbytes', 'x');
      s.after(5000);
      expect(w.inbox()).toEqual([]);
      expect(s.broker.load.workers).toBe(0);
      expect(w.connection.closedByBroker).toBe(false);
      expect(s.events('worker.unexpected')).toHaveLength(1);
      w.ready();
      expect(s.broker.load.workers).toBe(1);
    },
  );

  it('that replies with an unknown token is forgotten in silence, its request goes on (D33)', () => {
    const s = pirateStage();
    const w = paranoid(s, 'w').ready();
    s.client('c').request('echo', 'x');
    w.inbox();
    w.replies('something else', 'y');
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 1, requestsOut: 0 });
    s.after(5000);
    expect(w.inbox()).toEqual([]);
    expect(w.connection.closedByBroker).toBe(false);
  });

  it('begins a new conversation with READY: its request goes back, and it waits (D33)', () => {
    const s = pirateStage();
    const w = paranoid(s, 'w').ready();
    s.client('c').request('echo', 'x');
    expect(w.inbox()).toEqual(['x']);
    w.ready();
    expect(w.inbox()).toEqual(['x']);
    expect(s.broker.load.workers).toBe(1);
  });
});

describe('what a pirate may not send', () => {
  it.each([
    { kind: 'spp', sends: ['', ''] },
    { kind: 'spp', sends: ['', '\x02'] },
    { kind: 'spp', sends: ['', '\x01', 'x'] },
    { kind: 'spp', sends: ['', 'token', 'x', 'y'] },
    { kind: 'spp', sends: ['', 'token', ''] },
    { kind: 'spp', sends: ['\x01'] },
    { kind: 'ppp', sends: ['\x03'] },
    { kind: 'ppp', sends: ['PING'] },
    { kind: 'ppp', sends: ['token', 'x'] },
    { kind: 'ppp', sends: ['token', ''] },
    { kind: 'ppp', sends: ['', '\x01'] },
    { kind: 'ppp', sends: ['MDPW02', '\x01', 'echo'] },
  ])('$kind: $sends closes the connection of a worker, and disturbs nobody else (D33)', (given) => {
    const s = pirateStage();
    const make = given.kind === 'spp' ? simple : paranoid;
    const other = simple(s, 'other').ready();
    const w = make(s, 'w').ready();
    w.connection.sends(...given.sends);
    expect(w.connection.closedByBroker).toBe(true);
    expect(s.events('message.malformed')).toMatchObject([{ kind: 'worker' }]);
    expect(s.broker.load.workers).toBe(1);
    s.client('c').request('echo', 'x');
    expect(other.inbox()).toEqual(['x']);
  });

  it('a worker over the limit is refused by closing its connection (D33)', () => {
    const s = pirateStage({ limits: { workers: 1 } });
    simple(s, 'w1').ready();
    const w2 = paranoid(s, 'w2').ready();
    expect(w2.connection.closedByBroker).toBe(true);
    expect(s.events('worker.refused')).toMatchObject([{ service: 'echo', reason: 'limit' }]);
  });

  it('while the broker drains, workers are neither told nor closed, and get no heartbeat (D33)', () => {
    const s = pirateStage();
    const w1 = simple(s, 'w1').ready();
    const w2 = paranoid(s, 'w2').ready();
    s.input((broker, now) => broker.drain(now));
    const w3 = paranoid(s, 'w3').ready();
    s.after(5000);
    for (const w of [w1, w2, w3]) {
      expect(w.inbox()).toEqual([]);
      expect(w.connection.closedByBroker).toBe(false);
    }
    expect(s.broker.load.workers).toBe(0);
  });
});

describe('while the broker drains', () => {
  it.each(['READY', 'a reply with another token'])(
    'a pirate that gives its request back with %s gets no other (D33)',
    (how) => {
      const s = pirateStage();
      const w = simple(s, 'w').ready();
      s.client('c').request('echo', 'x');
      expect(w.inbox()).toEqual(['x']);
      s.input((broker, now) => broker.drain(now));
      if (how === 'READY') w.ready();
      else w.replies('something else', 'y');
      expect(w.inbox()).toEqual([]);
      expect(s.broker.load.workers).toBe(0);
      expect(w.connection.closedByBroker).toBe(false);
    },
  );
});

describe('workers of all kinds', () => {
  it('serve plain clients and MDP clients in turn, least recently used first (D30)', () => {
    const s = pirateStage();
    const w1 = simple(s, 'w1').ready();
    const w2 = paranoid(s, 'w2').ready();
    const w3 = s.worker('w3', { listener: MDP, version: 1 }).ready('echo');
    const w4 = s.worker('w4', { listener: MDP }).ready('echo');
    const c = plain(s, 'c');
    c.sends('', 'one');
    s.client('m').request('echo', 'two');
    c.sends('', 'three');
    s.client('n', { version: 1 }).request('echo', 'four');
    expect(w1.inbox()).toEqual(['one']);
    expect(w2.inbox()).toEqual(['two']);
    expect(w3.inbox()).toEqual(['REQUEST three']);
    expect(w4.inbox()).toEqual(['REQUEST four']);
  });

  it('are listed with their kind', () => {
    const s = pirateStage();
    simple(s, 'w1').ready();
    paranoid(s, 'w2').ready();
    s.worker('w3', { listener: MDP, version: 1 }).ready('echo');
    s.worker('w4', { listener: MDP }).ready('echo');
    const listed = s.broker.listing.allWorkers(s.now).map(({ json }) => JSON.parse(json) as object);
    expect(listed).toMatchObject([
      { version: 'spp' },
      { version: 'ppp' },
      { version: '0.1' },
      { version: '0.2' },
    ]);
  });
});
