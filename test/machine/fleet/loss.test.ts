import {
  LATE_MS,
  PACK_BYTES,
  PACK_BYTES_PER_TURN,
  PACK_OVERHEAD_BYTES,
  WAITING_PARTS_BYTES_MAX,
} from '../../../src/extensions/fleet/machine/options.js';
import { endFleets, fleet } from '../../support/fleet-stage.js';

afterEach(endFleets);

describe('a request that is lost', () => {
  it('with its holder: after three lists that did not come it goes to another worker (D6)', () => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    a.worker('wa').ready('echo');
    const client = b.client('c').request('echo', 'hi');
    const wc = c.worker('wc').ready('echo').heartbeatsEvery(1000);
    w.after(200);
    w.kill(a);
    w.after(1200);
    expect(wc.inbox()).toEqual([]);
    w.after(1800);
    expect(wc.inbox()).toEqual(['REQUEST hi']);
    wc.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
    expect(b.machine.counters.returned.lost).toBe(1);
    expect(b.told('fleet.peer_lost')).toMatchObject([{ node: 'a', inFlight: 1, reason: 'silent' }]);
    expect(b.broker.counters.requestsRequeued).toBe(1);
  });

  it('on the way: it is absent from two lists in a row', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    b.client('first').request('echo', '0');
    worker.inbox();
    worker.final('0');
    w.fate = (subject, _bytes, from) => (from === 'b' && subject.includes('.to.') ? [] : [0]);
    const client = b.client('c').request('echo', 'hi');
    w.fate = () => [0];
    expect(worker.inbox()).toEqual([]);
    w.after(2500);
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
  });

  it('with its reply: it runs again', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', 'hi');
    w.fate = () => [];
    worker.final('lost');
    w.fate = () => [0];
    expect(client.inbox()).toEqual([]);
    w.after(2500);
    expect(worker.inbox()).toEqual(['REQUEST hi', 'REQUEST hi']);
    worker.final('again');
    expect(client.inbox()).toEqual(['FINAL echo again']);
  });

  it('is answered by a holder that was only stopped: the first reply counts (D8)', () => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    const wa = a.worker('wa').ready('echo');
    const client = b.client('c').request('echo', 'hi');
    a.stops();
    w.after(3000);
    const wc = c.worker('wc').ready('echo').heartbeatsEvery(1000);
    w.after(1200);
    expect(wc.inbox()).toEqual(['REQUEST hi']);
    a.continues();
    wa.final('late but first');
    expect(client.inbox()).toEqual(['FINAL echo late but first']);
    wc.final('second');
    expect(client.inbox()).toEqual([]);
    // `c` was told at once that nobody waits for it any more.
    expect(c.broker.counters.repliesDropped.too_late).toBe(1);
  });

  it('is given back if its worker is lost at the holder; its late reply still counts (D8)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo');
    const client = b.client('c').request('echo', 'hi');
    worker.heartbeatsEvery(1000);
    w.after(2500);
    worker.fallsSilent();
    w.after(4000);
    expect(a.broker.counters.workersLost.expired).toBe(1);
    expect(b.broker.load).toMatchObject({ requests: 1, requestsOut: 0 });
    worker.reconnects().final('late');
    expect(client.inbox()).toEqual(['FINAL echo late']);
    expect(b.broker.load.requests).toBe(0);
  });

  it('is not tried again after a PARTIAL (D6)', () => {
    const w = fleet();
    const [a, b, c] = [w.broker('a'), w.broker('b'), w.broker('c')];
    const wa = a.worker('wa').ready('echo');
    const client = b.client('c').hello().request('echo', 'hi');
    wa.partial('1');
    w.kill(a);
    const wc = c.worker('wc').ready('echo').heartbeatsEvery(1000);
    w.after(3000);
    expect(wc.inbox()).toEqual([]);
    expect(client.inbox()).toEqual(['PARTIAL echo 1', expect.stringContaining('mmi.refused 502')]);
  });

  it.each(['PARTIAL', 'FINAL'])(
    'is lost with a PARTIAL on the way: the next %s shows it',
    (next) => {
      const w = fleet();
      const [a, b] = [w.broker('a'), w.broker('b')];
      const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
      const client = b.client('c').hello().request('echo', 'hi');
      worker.partial('1');
      w.fate = () => [];
      worker.partial('2');
      w.fate = () => [0];
      if (next === 'PARTIAL') worker.partial('3');
      worker.final('end');
      expect(client.inbox()).toEqual([
        'PARTIAL echo 1',
        expect.stringContaining('mmi.refused 502'),
      ]);
      expect(b.machine.counters.returned.lost).toBe(1);
      expect(b.machine.load.out).toBe(0);
    },
  );

  it('is tried again if the first PARTIAL was lost, and no late part of that reply is used', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo', { credit: 2 }).heartbeatsEvery(1000);
    const client = b.client('c').hello().request('echo', 'hi');
    w.fate = () => [];
    worker.partial('1');
    w.fate = () => [0];
    worker.partial('2');
    expect(worker.inbox()).toEqual(['REQUEST hi', 'REQUEST hi']);
    worker.final('first');
    expect(client.inbox()).toEqual([]);
    worker.partial('1').final('second');
    expect(client.inbox()).toEqual(['PARTIAL echo 1', 'FINAL echo second']);
  });

  it('is abandoned after its last delivery, counted at the origin', () => {
    const w = fleet({ maxDeliveries: 2 });
    const b = w.broker('b');
    const client = b.client('c').hello().request('echo', 'hi');
    for (const name of ['a1', 'a2']) {
      const a = w.broker(name);
      a.worker('w').ready('echo');
      w.after(1100);
      expect(b.machine.load.out).toBe(1);
      w.kill(a);
      w.after(2600);
    }
    expect(client.inbox()[0]).toContain('mmi.refused 502');
    expect(b.broker.counters.requestsAbandoned).toBe(1);
  });

  it('keeps its place: what comes back is the first in the queue again, in order', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    a.worker('w').ready('echo', { credit: 3 });
    const client = b.client('c');
    for (const body of ['1', '2', '3', '4']) client.request('echo', body);
    w.kill(a);
    w.after(2600);
    const near = b.worker('near').ready('echo', { credit: 10 });
    expect(near.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'REQUEST 3', 'REQUEST 4']);
  });
});

describe('a broker', () => {
  it('that leaves gets no more requests, answers what it has, and is then forgotten', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo', { credit: 2 });
    const client = b.client('c').request('echo', '1');
    a.gives((machine) => machine.drain());
    client.request('echo', '2');
    w.after(100);
    expect(worker.inbox()).toEqual(['REQUEST 1']);
    worker.final('one');
    expect(client.inbox()).toEqual(['FINAL echo one']);
    w.kill(a);
    w.after(4000);
    expect(b.told('fleet.peer_lost')).toMatchObject([{ node: 'a', reason: 'left', inFlight: 0 }]);
  });

  it('that stalled does not count the silence of others (D19)', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', 'hi');
    w.after(600);
    b.stops();
    w.after(5000);
    b.continues();
    expect(b.told('fleet.peer_lost')).toEqual([]);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
    expect(worker.inbox()).toEqual(['REQUEST hi']);
  });

  it('goes on with its own workers while NATS is away, and asks the others again afterwards', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const far = a.worker('far').ready('echo').heartbeatsEvery(1000);
    const near = b.worker('near').ready('local').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', '1');
    w.goesDown();
    client.request('local', 'x').request('echo', '2');
    expect(near.inbox()).toEqual(['REQUEST x']);
    near.final('y');
    far.final('unheard');
    w.after(3000);
    expect(client.inbox()).toEqual(['FINAL local y']);
    expect(b.machine.isUp).toBe(false);
    expect(b.broker.load).toMatchObject({ requests: 2, requestsOut: 0 });
    w.comesBack();
    w.after(1500);
    // The reply to the first one had waited for NATS (D8).
    expect(client.inbox()).toEqual(['FINAL echo unheard']);
    expect(far.inbox()).toEqual(['REQUEST 1', 'REQUEST 2']);
    far.final('two');
    expect(client.inbox()).toEqual(['FINAL echo two']);
  });

  it('asks again within a second if the other broker does not listen yet when NATS is back', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', '1');
    worker.final('one');
    w.goesDown();
    client.request('echo', '2');
    w.fate = (subject) => (subject.includes('.want.') ? [] : [0]);
    w.comesBack();
    w.after(100);
    w.fate = () => [0];
    expect(worker.inbox()).toEqual(['REQUEST 1']);
    w.after(1000);
    expect(worker.inbox()).toEqual(['REQUEST 2']);
    worker.final('two');
    expect(client.inbox()).toEqual(['FINAL echo one', 'FINAL echo two']);
  });

  it('survives a short absence of NATS: what waited to be sent is sent', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', 'hi');
    w.goesDown();
    w.after(200);
    worker.final('kept');
    w.comesBack();
    w.after(100);
    expect(client.inbox()).toEqual(['FINAL echo kept']);
    expect(worker.inbox()).toEqual(['REQUEST hi']);
  });

  it('keeps replies for as long as they are awaited while NATS is away: they are sent when it is back', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', 'hi');
    w.goesDown();
    w.after(1000);
    worker.final('kept');
    w.after(LATE_MS - 2000);
    w.comesBack();
    w.after(1500);
    expect(client.inbox()).toEqual(['FINAL echo kept']);
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    expect(a.members()).toMatchObject([{ node: 'a' }, { node: 'b' }]);
  });

  it('forgets a broker for which replies wait, when nobody awaits them any more', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    b.client('c').request('echo', 'hi');
    w.goesDown();
    worker.final('in vain');
    w.kill(b);
    w.comesBack();
    w.after(LATE_MS - 1000);
    expect(a.members()).toMatchObject([{ node: 'a' }, { node: 'b' }]);
    w.after(2000);
    expect(a.members()).toMatchObject([{ node: 'a' }]);
  });

  it('that leaves is sent the replies that wait for the bus, before it is forgotten', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('echo').heartbeatsEvery(1000);
    const client = b.client('c').request('echo', 'hi');
    a.gives((machine) => machine.busFull(true));
    worker.final('kept');
    b.gives((machine) => machine.drain());
    w.after(100);
    a.gives((machine) => machine.busFull(false));
    expect(client.inbox()).toEqual(['FINAL echo kept']);
    w.after(1500);
    expect(a.members()).toMatchObject([{ node: 'a' }]);
  });
});

describe('back-pressure', () => {
  it('leaves at most 8 MiB unanswered between two brokers; the rest waits at the origin', () => {
    const w = fleet({ limits: { messageBytes: 20_000_000 } });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('big', { credit: 100 });
    const client = b.client('c');
    const megabyte = Buffer.alloc(1024 * 1024 - 100);
    for (let i = 0; i < 12; i++) client.request('big', megabyte);
    expect(b.broker.load).toMatchObject({ requests: 12, requestsOut: 8 });
    for (let i = 0; i < 8; i++) worker.final('ok');
    expect(b.broker.load).toMatchObject({ requests: 4, requestsOut: 4 });
    for (let i = 0; i < 4; i++) worker.final('ok');
    expect(client.inbox()).toHaveLength(12);
  });

  it('sends nothing while the bus is full: replies wait, and go when it has caught up', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('count');
    const client = b.client('c').request('count', 'to 2');
    expect(worker.inbox()).toEqual(['REQUEST to 2']);
    a.gives((machine) => machine.busFull(true));
    const { length } = w.packs;
    worker.partial('1').partial('2').final('end');
    w.after(100);
    const sent = w.packs.slice(length).filter(({ from }) => from === 'a');
    expect(sent.filter(({ subject }) => !subject.endsWith('presence'))).toEqual([]);
    expect(client.inbox()).toEqual([]);
    a.gives((machine) => machine.busFull(false));
    expect(client.inbox()).toEqual(['PARTIAL count 1', 'PARTIAL count 2', 'FINAL count end']);
  });

  it('keeps at most 16 MiB for a broker while NATS is away, also if it was heard just before', () => {
    const w = fleet({ limits: { messageBytes: 2_000_000 } });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('big', { credit: 20 });
    const client = b.client('c');
    for (let n = 0; n < 20; n++) client.request('big', String(n));
    w.fate = () => [];
    w.after(1000);
    const said = w.packs.filter(({ from }) => from === 'b').at(-1);
    a.gives((machine) => {
      machine.received(said?.bytes ?? Buffer.alloc(0));
      machine.linkDown('stopped');
    });
    w.goesDown();
    for (let n = 0; n < 20; n++) worker.final(Buffer.alloc(1024 * 1024));
    w.fate = () => [0];
    w.comesBack();
    w.after(100);
    expect(client.inbox()).toHaveLength(15);
  });

  it('leaves the parts of a reply with the broker while NATS is away: finished replies find room', () => {
    const w = fleet({ limits: { messageBytes: 2_000_000 } });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('big', { credit: 2 });
    const client = b.client('c').request('big', 'endless').request('big', 'short');
    w.goesDown();
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let n = 0; n < 20; n++) worker.partial(megabyte, { of: 'endless' });
    worker.final(megabyte, { of: 'short' });
    w.comesBack();
    w.after(100);
    expect(client.inbox()).toEqual([`FINAL big ${megabyte}`]);
    worker.final('end');
    expect(a.broker.counters.repliesDropped.too_late).toBe(1);
  });

  it('takes only so many parts in one turn: the bus may be full then', () => {
    const w = fleet({ limits: { messageBytes: 2_000_000 } });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('big', { credit: 4 });
    const client = b.client('c').hello();
    for (const body of ['0', '1', '2', '3']) client.request('big', body);
    a.gives((machine) => machine.busFull(true));
    const part = Buffer.alloc(1_000_000);
    for (const of of ['0', '1', '2', '3']) worker.partial(part, { of });
    const { length } = w.packs;
    a.stops();
    a.gives((machine) => {
      machine.busFull(false);
      machine.run(a.now, a.broker.storedDeliveries, a.broker.remote);
    });
    const bytes = w.packs.slice(length).reduce((sum, pack) => sum + pack.bytes.length, 0);
    expect(bytes).toBeLessThan(2 * PACK_BYTES_PER_TURN + PACK_BYTES);
    a.continues();
    expect(client.inbox()).toHaveLength(4);
    for (let n = 0; n < 4; n++) worker.final('end');
  });

  it('lets a single part wait, however large it is', () => {
    const w = fleet({ limits: { messageBytes: 2 * WAITING_PARTS_BYTES_MAX } });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('big');
    const client = b.client('c').hello().request('big', 'x');
    a.gives((machine) => machine.busFull(true));
    worker.partial(Buffer.alloc(WAITING_PARTS_BYTES_MAX + 1)).final('end');
    a.gives((machine) => machine.busFull(false));
    expect(client.inbox().at(-1)).toBe('FINAL big end');
  });

  it('does not count the parts of a reply as one message: each is sent on its own', () => {
    const w = fleet({ limits: { messageBytes: 1000, frames: 16 } });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('count');
    const client = b.client('c').hello().request('count', 'to 20');
    const part = 'x'.repeat(600);
    a.batch(() => {
      for (let n = 0; n < 20; n++) worker.partial(part);
    });
    const sent = Array.from({ length: 20 }, () => `PARTIAL count ${part}`);
    expect(client.inbox()).toEqual(sent);
    a.batch(() => {
      for (let n = 0; n < 20; n++) worker.partial(part);
      worker.final('end');
    });
    expect(client.inbox()).toEqual([...sent, 'FINAL count end']);
  });

  it.each([
    ['bytes', WAITING_PARTS_BYTES_MAX / 8, 8],
    ['pieces', 1, WAITING_PARTS_BYTES_MAX / PACK_OVERHEAD_BYTES],
  ])('limits the %s of the parts that wait for the bus; the others go on', (_what, size, count) => {
    const w = fleet({ limits: { messageBytes: 2_000_000 } });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('count', { credit: 2 });
    const client = b.client('c').hello();
    client.request('count', 'on and on').request('count', 'to 1');
    const endless = { of: 'on and on' };
    worker.partial('first', endless);
    expect(client.inbox()).toEqual(['PARTIAL count first']);
    a.gives((machine) => machine.busFull(true));
    const part = Buffer.alloc(size);
    a.batch(() => {
      for (let n = 0; n < count; n++) worker.partial(part, endless);
    });
    worker.partial('more', endless).partial('1', { of: 'to 1' });
    // The requests themselves, and what is held for one of them.
    expect(a.broker.load.bytes).toBeLessThan(2000);
    a.gives((machine) => machine.busFull(false));
    worker.final('end', endless);
    const refused = expect.stringContaining('mmi.refused 502');
    expect(client.inbox()).toEqual([refused, 'PARTIAL count 1']);
    expect(a.broker.counters.repliesDropped.too_late).toBe(1);
  });

  it('sends what is larger than the bus takes in chunks, and one such request at a time', () => {
    const w = fleet({ limits: { messageBytes: 20_000_000 }, payloadMax: 4096 });
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('big', { credit: 10 });
    const body = Buffer.alloc(9_000_000, 'x');
    const client = b.client('c').request('big', body).request('big', body);
    expect(b.broker.load.requestsOut).toBe(1);
    worker.final(Buffer.alloc(100_000, 'y'));
    expect(client.inbox()).toEqual([`FINAL big ${'y'.repeat(100_000)}`]);
    expect(worker.inbox()).toEqual([`REQUEST ${body.toString()}`, `REQUEST ${body.toString()}`]);
    expect(w.packs.every(({ bytes }) => bytes.length <= 4096)).toBe(true);
    worker.final('end');
    expect(client.inbox()).toEqual(['FINAL big end']);
  });
});

describe('the subjects', () => {
  it('never contain the name of a service or a fleet', () => {
    const w = fleet();
    const [a, b] = [w.broker('a'), w.broker('b')];
    const worker = a.worker('w').ready('secret.>');
    b.client('c').request('secret.>', 'hi');
    worker.final('x');
    const subjects = w.packs.map(({ subject }) => subject);
    expect(subjects.some((subject) => subject.includes('want'))).toBe(true);
    expect(
      subjects.filter((subject) => !/^mdp1\.[0-9a-f]{16}\.[a-z]+(\.[0-9a-f]+)?$/.test(subject)),
    ).toEqual([]);
  });
});
