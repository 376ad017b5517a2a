import { endFleets, fleet } from '../../support/fleet-stage.js';
import { OVERSIZED } from '../../support/stage-peers.js';

const HEARS = '{"failures":true}';
const REFUSES = '{"noWorker":"refuse"}';

afterEach(endFleets);

describe('a request for which no worker is registered here', () => {
  it('goes to a broker that has one, and its reply comes back', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo');
    const client = b.client('c').request('echo', 'hi', 'there');
    expect(worker.inbox()).toEqual(['REQUEST hi|there']);
    worker.final(['one', '', 'two']);
    expect(client.inbox()).toEqual(['FINAL echo one||two']);
    expect(b.machine.counters.bridged).toEqual({ out: 1, in: 0 });
    expect(a.machine.counters.bridged).toEqual({ out: 0, in: 1 });
    expect(a.broker.load).toMatchObject({ requests: 0, requestsOut: 0 });
    expect(b.broker.load).toMatchObject({ requests: 0, requestsOut: 0 });
  });

  it('stays here while a worker here is available (local first)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const far = a.worker('far').ready('echo', { credit: 10 });
    const near = b.worker('near').ready('echo');
    b.client('c').request('echo', '1').request('echo', '2').request('echo', '3');
    expect(near.inbox()).toEqual(['REQUEST 1']);
    expect(far.inbox()).toEqual(['REQUEST 2', 'REQUEST 3']);
    near.final('done');
    b.client('d').request('echo', '4');
    expect(near.inbox()).toEqual(['REQUEST 4']);
    expect(far.inbox()).toEqual([]);
  });

  it('waits here, in order, when no broker has credit left, and goes when there is some', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo', { credit: 2 });
    const client = b.client('c');
    for (const body of ['1', '2', '3', '4']) client.request('echo', body);
    expect(worker.inbox()).toEqual(['REQUEST 1', 'REQUEST 2']);
    expect(b.broker.load.requestsOut).toBe(2);
    worker.final('one');
    expect(worker.inbox()).toEqual(['REQUEST 3']);
    worker.final('two').final('three');
    expect(worker.inbox()).toEqual(['REQUEST 4']);
    worker.final('four');
    expect(client.inbox()).toEqual([
      'FINAL echo one',
      'FINAL echo two',
      'FINAL echo three',
      'FINAL echo four',
    ]);
  });

  it('goes to a worker that registers elsewhere while it waits', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const client = b.client('c').request('echo', 'hi');
    w.after(5000);
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    w.after(1100);
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
  });

  it('never goes to a third broker: one that has no worker free gives it back, uncounted', () => {
    const w = fleet({ maxDeliveries: 1 });
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    const worker = a.worker('w').ready('echo');
    const far = c.worker('far').ready('echo');
    // Both believe in the same credit of a; c is taken by a client of its own.
    c.client('own').request('echo', 'own');
    far.inbox();
    const other = b.client('b1');
    b.batch(() => other.request('echo', '1').request('echo', '2'));
    a.client('a1').request('echo', '3');
    worker.final('x');
    w.after(300);
    worker.final('y');
    w.after(300);
    expect(worker.inbox().sort()).toEqual(['REQUEST 1', 'REQUEST 2', 'REQUEST 3']);
    worker.final('z');
    expect(far.inbox()).toEqual([]);
    expect(other.inbox()).toHaveLength(2);
    expect(b.broker.counters.requestsAbandoned).toBe(0);
  });

  it('is given back at once by a holder whose worker was taken meanwhile: no delivery (busy)', () => {
    const w = fleet({ maxDeliveries: 1 });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo');
    b.client('first').request('echo', '0');
    worker.final('known');
    // The offer is stale: its own client takes the worker.
    w.fate = () => [20];
    const client = b.client('c').request('echo', '1');
    a.client('own').request('echo', 'own');
    w.after(100);
    expect(worker.inbox()).toEqual(['REQUEST 0', 'REQUEST own']);
    expect(b.machine.counters.returned).toEqual({ busy: 1, returned: 0, lost: 0 });
    expect(a.broker.load.requests).toBe(1);
    worker.final('mine');
    w.after(500);
    expect(worker.inbox()).toEqual(['REQUEST 1']);
    worker.final('yours');
    w.after(50);
    expect(client.inbox()).toEqual(['FINAL echo yours']);
  });

  it('goes to the less loaded of two brokers', () => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    a.worker('wa').ready('echo', { credit: 100 });
    b.worker('wb').ready('echo', { credit: 100 });
    const own = a.client('own');
    a.batch(() => {
      for (let i = 0; i < 80; i++) own.request('echo', 'own');
    });
    const client = c.client('c');
    for (let i = 0; i < 60; i++) client.request('echo', 'x');
    // Random pairs: a is only taken if both choices fall on it.
    const taken = b.machine.load.held;
    expect(taken).toBeGreaterThan(40);
    expect(a.machine.load.held + taken).toBe(60);
  });

  it('is not sent for services of each broker itself (mmi, titanic)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    a.worker('w').ready('titanic.x', { credit: 5 });
    b.client('c').request('titanic.x', 'hi');
    w.after(500);
    expect(a.machine.counters.bridged.in).toBe(0);
    expect(b.broker.load).toMatchObject({ requests: 1, requestsOut: 0 });
  });
});

describe('what a client is told', () => {
  it('passes PARTIALs on as they come, then the FINAL', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('count');
    const client = b.client('c').request('count', 'to 3');
    worker.partial('1');
    expect(client.inbox()).toEqual(['PARTIAL count 1']);
    a.batch(() => worker.partial('2').partial(['3', '']).final('end'));
    expect(client.inbox()).toEqual(['PARTIAL count 2', 'PARTIAL count 3|', 'FINAL count end']);
    const old = b.client('old', { version: 1 }).request('count', 'x');
    worker.partial('1').final('2');
    expect(old.inbox()).toEqual(['REPLY count 1|2']);
  });

  it('passes progress on, which is no part of the reply (D82)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('count');
    const client = b.client('c').request('count', 'to 3');
    const told = ['MDPP01', '50 %'];
    worker.partial(told);
    a.batch(() => worker.partial(told).partial('1').partial(told).final(['end', '']));
    expect(client.inbox()).toEqual([
      ...['PARTIAL count MDPP01|50 %', 'PARTIAL count MDPP01|50 %', 'PARTIAL count 1'],
      ...['PARTIAL count MDPP01|50 %', 'FINAL count end|'],
    ]);
    const old = b.client('old', { version: 1 }).request('count', 'x');
    a.batch(() => worker.partial(told).partial('1').final('2'));
    expect(old.inbox()).toEqual(['REPLY count 1|2']);
  });

  it('tells failures with code, text and detail (D62); retry goes to another worker (D61)', () => {
    const w = fleet({ maxDeliveries: 2 });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('pay');
    const client = b.client('c').hello(HEARS).request('pay', 'hi');
    worker.fails(['error', 'declined', 'No money', 'detail', '2']);
    expect(client.inbox()).toEqual(['FINAL mmi.failed pay|declined|No money|detail|2']);
    client.request('pay', 'again');
    worker.fails(['retry', 'later', 'Not now']);
    expect(worker.inbox()).toEqual(['REQUEST hi', 'REQUEST again', 'REQUEST again']);
    worker.fails(['retry', 'later', 'Not now']);
    expect(client.inbox()).toEqual(['FINAL mmi.failed pay|later|Not now']);
    expect(b.broker.counters.requestsFailed).toMatchObject({ error: 1, retry: 2 });
    expect(a.broker.counters.requestsFailed).toMatchObject({ error: 0, retry: 0 });
  });

  it('tells the failure of an answer over the limits, which has a code of the broker (D100)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('pay');
    const client = b.client('c').hello(HEARS).request('pay', 'hi');
    worker.connection.sendsOversized('MDPW02', '\x04', worker.token(), '');
    expect(client.inbox()).toEqual([`FINAL mmi.failed pay|mdp.too-large|${OVERSIZED}`]);
    expect(a.broker.load.workers).toBe(1);
  });

  it('a RETURN of the worker counts as a delivery (D25), at the origin', () => {
    const w = fleet({ maxDeliveries: 2 });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('pay', { credit: 1 });
    const client = b.client('c').hello().request('pay', 'hi');
    worker.returns('full');
    worker.returns('full');
    expect(worker.inbox()).toEqual(['REQUEST hi', 'REQUEST hi']);
    expect(client.inbox()[0]).toContain('mmi.refused 502|pay');
    expect(b.machine.counters.returned).toEqual({ busy: 0, returned: 2, lost: 0 });
  });

  it('passes headers and what is left of the deadline on (D67, D68)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('trace', { credit: 1, headers: true });
    w.fate = () => [30];
    const c = b.connection('c');
    c.sends('MDPC02', '\x04', 'trace', '1000', '{"a":"b"}', 'body');
    w.after(400);
    expect(worker.inbox()[0]).toMatch(/^REQUEST-WITH-HEADERS? \d+|^REQUEST/);
  });

  it('refuses a client that does not want to wait only if no broker has a worker (D65)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    w.after(10_000);
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').hello(REFUSES);
    client.request('echo', 'hi').request('none', 'hi');
    expect(client.inbox()).toEqual(['FINAL mmi.refused 404|none|no worker serves it']);
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
    // Nobody listens there, so nobody has to be waited for; if somebody may, 100 ms at most.
    w.fate = (subject) => (subject.includes('.to.') ? [] : [0]);
    a.worker('w2').ready('slow').heartbeatsEvery(1000);
    client.request('slow', 'hi');
    expect(client.inbox()).toEqual([]);
    w.after(100);
    expect(client.inbox()).toEqual(['FINAL mmi.refused 404|slow|no worker serves it']);
  });

  it('answers mmi.service for the whole fleet', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    a.worker('w').ready('echo');
    for (const [service, status] of [
      ['echo', true],
      ['none', false],
    ] as const) {
      const answers: boolean[] = [];
      b.gives((machine) => machine.ask(Buffer.from(service), (isServed) => answers.push(isServed)));
      expect(answers).toEqual([status]);
    }
  });

  it('drops the reply for a client that has left; the worker runs on (D26)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo');
    const client = b.client('c').request('echo', 'hi');
    client.disconnect();
    worker.final('late');
    expect(b.broker.load).toMatchObject({ requests: 0, requestsOut: 0 });
    b.client('d').request('echo', 'next');
    expect(worker.inbox()).toEqual(['REQUEST hi', 'REQUEST next']);
  });
});

describe('a holder that can hold no more', () => {
  it('says so once, and offers again 100 ms later: requests do not go to and fro', () => {
    const w = fleet();
    // An eighth of it is for requests of other brokers.
    const a = w.broker('a', { memoryBytes: 800_000 });
    const b = w.broker('b');
    const worker = a.worker('w').ready('echo', { credit: 5 }).heartbeatsEvery(1000);
    const body = (n: number): string => String(n).repeat(60_000);
    const client = b.client('c').request('echo', body(1)).request('echo', body(2));
    expect(b.machine.counters.returned.busy).toBe(1);
    w.after(950);
    // The offer said how much room is left.
    expect(b.machine.counters.returned.busy).toBe(1);
    expect(worker.inbox()).toEqual([`REQUEST ${body(1)}`]);
    worker.final('one');
    w.after(100);
    expect(worker.inbox()).toEqual([`REQUEST ${body(2)}`]);
    worker.final('two');
    expect(client.inbox()).toEqual(['FINAL echo one', 'FINAL echo two']);
    expect(b.broker.counters.requestsRequeued).toBe(0);
  });
});

describe('the offers of a service', () => {
  it('are followed for 60 s after the last need, and then forgotten', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', '1');
    worker.final('one');
    for (let n = 0; n < 8; n++) {
      w.after(20_000);
      client.request('echo', 'again');
      worker.final('again');
    }
    expect(client.inbox()).toHaveLength(9);
    const wants = (): number => w.packs.filter(({ subject }) => subject.includes('want')).length;
    expect(wants()).toBe(1);
    w.after(59_000);
    expect(b.broker.load.services).toBe(1);
    w.after(2000);
    expect(b.broker.load.services).toBe(0);
    client.request('echo', 'after');
    worker.final('after');
    expect(client.inbox()).toEqual(['FINAL echo after']);
    expect(wants()).toBe(2);
  });
});

describe('the lists of a broker', () => {
  it('stay local: a holder is no worker in them, and holds no service for itself', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    a.worker('w').ready('echo');
    w.after(100);
    b.client('c').request('echo', 'hi');
    expect(b.broker.load.workers).toBe(0);
    expect(b.broker.listing.allWorkers(b.now)).toEqual([]);
    expect(b.members()).toMatchObject([
      { node: 'b', isSelf: true, out: 1 },
      { node: 'a', isSelf: false, out: 1, keysDiffer: false },
    ]);
    expect(a.members()[1]).toMatchObject({ node: 'b', held: 1 });
  });

  it('have one client for what other brokers use, whose name operators understand', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    a.worker('w').ready('echo');
    b.client('c').request('echo', 'hi');
    const seen = [...b.broker.listing.clients(b.now)].map(({ identity }) => identity);
    expect(seen.filter((identity) => !/^(?:key|ip):/.test(identity))).toEqual(['other brokers']);
  });

  it('name a broker whose keys files differ', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    b.keys = Buffer.alloc(8, 9);
    w.after(1100);
    expect(a.members()[1]).toMatchObject({ node: 'b', keysDiffer: true });
    expect(a.told('fleet.keys_differ')).toMatchObject([{ node: 'b' }]);
  });
});
