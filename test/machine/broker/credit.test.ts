import { endStages, stage } from '../../support/stage.js';
import { SENDERS, senderOn } from '../../support/stage-internal-client.js';

afterEach(endStages);

describe('a worker without credit', () => {
  it.each([1, 2] as const)('handles one request at a time (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('echo');
    const c1 = s.client('c1').request('echo', '1').request('echo', '2');
    expect(w1.inbox()).toEqual(['REQUEST 1']);
    w1.final('one');
    expect(w1.inbox()).toEqual(['REQUEST 2']);
    w1.final('two');
    expect(c1.inbox()).toEqual(['FINAL echo one', 'FINAL echo two']);
  });
});

describe('a worker with credit', () => {
  it.each(SENDERS.flatMap((who) => [[who, 1] as const, [who, 2] as const]))(
    'has up to so many %s requests out at once (0.%i, D23)',
    (who, version) => {
      const s = stage();
      const send = senderOn(s, who);
      const w1 = s.worker('w1', { version }).ready('echo', { credit: 3 });
      for (const body of ['1', '2', '3', '4', '5']) send(body);
      expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'REQUEST 3']);
      expect(s.broker.load.requestsOut).toBe(3);
      w1.final('two', { of: '2' });
      expect(w1.inbox()).toEqual(['REQUEST 4']);
    },
  );

  it('answers in any order, and each client gets its own (D23)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 10 });
    const c1 = s.client('c1').request('echo', 'one');
    const c2 = s.client('c2', { version: 1 }).request('echo', 'two');
    const c3 = s.client('c3').request('echo', 'three');
    w1.partial('3a', { of: 'three' }).final('1', { of: 'one' });
    w1.final('3b', { of: 'three' }).final('2', { of: 'two' });
    expect(c1.inbox()).toEqual(['FINAL echo 1']);
    expect(c2.inbox()).toEqual(['REPLY echo 2']);
    expect(c3.inbox()).toEqual(['PARTIAL echo 3a', 'FINAL echo 3b']);
  });

  it('may have 10000, and no more (D23)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 10_000 });
    const c1 = s.client('c1');
    s.batch(() => {
      for (let at = 0; at < 10_001; at++) c1.request('echo', String(at));
    });
    expect(w1.inbox()).toHaveLength(10_000);
    s.worker('w2').ready('echo', { credit: 10_001 });
    expect(s.broker.counters.malformed.worker).toBe(1);
  });

  it.each(['0', '-1', '+1', '01', '1.0', ' 1', 'x', '', '99999999999999999999'])(
    'of %j is malformed (D23)',
    (credit) => {
      const s = stage();
      s.connection('w1').sends('MDPW02', '\x01', 'echo', credit);
      expect(s.broker.counters.malformed.worker).toBe(1);
      expect(s.broker.load.workers).toBe(0);
    },
  );

  it('loses everything that is out when it is lost, and each goes to another (D23, D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const c1 = s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    w1.final('one', { of: '1' }).disconnect();
    expect(s.events('worker.lost')).toMatchObject([{ inFlight: 2 }]);
    const w2 = s.worker('w2').ready('echo', { credit: 3 });
    expect(w2.inbox()).toEqual(['REQUEST 2', 'REQUEST 3']);
    w2.final('two').final('three');
    expect(c1.inbox()).toEqual(['FINAL echo one', 'FINAL echo two', 'FINAL echo three']);
  });

  it('is busy by its oldest request: that decides what a HEARTBEAT proves (D23, D5)', () => {
    const s = stage({ busyTimeoutMs: 20_000 });
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.client('c1').request('echo', '1');
    s.after(1500);
    c1.request('echo', '2');
    w1.heartbeat();
    s.losesWorkerAfter(3000);
  });

  it('is disconnected with all its requests given back for one reply too many (D23, D7)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    s.client('c1').request('echo', '1').request('echo', '2');
    const token = w1.token();
    w1.final('one').final('one', { token });
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'DISCONNECT']);
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 1 });
  });

  it('may register without one after it had one: credit is of the registration (D23)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 5 });
    w1.saysDisconnect().ready('echo');
    s.client('c1').request('echo', '1').request('echo', '2');
    expect(w1.inbox()).toEqual(['REQUEST 1']);
    w1.returns('not mine to return');
    expect(w1.inbox()).toEqual(['DISCONNECT']);
  });
});

describe('dispatch', () => {
  it('is first in, first out per service (docs/protocol.md)', () => {
    const s = stage();
    const c1 = s.client('c1');
    const c2 = s.client('c2');
    s.batch(() => {
      for (let at = 0; at < 10; at += 2) {
        c1.request('echo', String(at));
        c2.request('echo', String(at + 1));
        c1.request('other', 'x');
      }
    });
    const w1 = s.worker('w1').ready('echo', { credit: 100 });
    expect(w1.inbox()).toEqual(Array.from({ length: 10 }, (_, at) => `REQUEST ${at}`));
  });

  it.each(SENDERS)(
    'of %s requests goes to the worker that waits the longest: least recently used first (docs/protocol.md)',
    (who) => {
      const s = stage();
      const send = senderOn(s, who);
      const workers = ['w1', 'w2', 'w3'].map((name) => s.worker(name).ready('echo'));
      const [w1, w2, w3] = workers;
      for (const body of ['1', '2', '3']) send(body);
      expect(workers.map((each) => each.inbox())).toEqual([
        ['REQUEST 1'],
        ['REQUEST 2'],
        ['REQUEST 3'],
      ]);
      w2?.final('-');
      w3?.final('-');
      w1?.final('-');
      for (const body of ['4', '5', '6']) send(body);
      expect(workers.map((each) => each.inbox())).toEqual([
        ['REQUEST 6'],
        ['REQUEST 4'],
        ['REQUEST 5'],
      ]);
    },
  );

  it.each(SENDERS)(
    'of %s requests goes to the least loaded, then to the least recently used (D23)',
    (who) => {
      const s = stage();
      const send = senderOn(s, who);
      const w1 = s.worker('w1').ready('echo', { credit: 3 });
      const w2 = s.worker('w2').ready('echo', { credit: 3 });
      const w3 = s.worker('w3').ready('echo', { credit: 1 });
      for (const body of ['1', '2', '3', '4', '5', '6', '7', '8']) send(body);
      expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 4', 'REQUEST 6']);
      expect(w2.inbox()).toEqual(['REQUEST 2', 'REQUEST 5', 'REQUEST 7']);
      expect(w3.inbox()).toEqual(['REQUEST 3']);
      w2.final('-').final('-');
      expect(w2.inbox()).toEqual(['REQUEST 8']);
      w1.final('-').final('-');
      send('9');
      expect([w1.inbox(), w2.inbox()]).toEqual([['REQUEST 9'], []]);
    },
  );

  it('goes on with a thousand workers of uneven credit, none over its own (D23)', () => {
    const s = stage();
    const workers = Array.from({ length: 100 }, (_, at) =>
      s.worker(`w${at}`).ready('echo', { credit: 1 + (at % 50) }),
    );
    const c1 = s.client('c1');
    s.batch(() => {
      for (let at = 0; at < 5000; at++) c1.request('echo', String(at));
    });
    expect(workers.map((each) => each.inbox().length)).toEqual(
      workers.map((_, at) => 1 + (at % 50)),
    );
  });
});

describe('RETURN', () => {
  it.each([1, 2] as const)('gives one request back, the others stay out (0.%i, D25)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('echo', { credit: 3 });
    const c1 = s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    const w2 = s.worker('w2').ready('echo');
    w1.inbox();
    w1.returns('handler threw', { of: '2' });
    expect(w2.inbox()).toEqual(['REQUEST 2']);
    w1.final('one', { of: '1' }).final('three', { of: '3' });
    w2.final('two');
    expect(c1.inbox()).toEqual(['FINAL echo one', 'FINAL echo three', 'FINAL echo two']);
    expect(w1.inbox()).toEqual([]);
    expect(s.events('request.returned')).toEqual([
      { name: 'request.returned', service: 'echo', reason: 'handler threw' },
    ]);
  });

  it('needs no reason, and its reason is shown escaped (D25, D3)', () => {
    const s = stage();
    const w1 = s.connection('w1');
    w1.sends('MDPW02', '\x01', 'echo', '2');
    s.client('c1').request('echo', '1').request('echo', '2');
    const tokens = w1.raw().map((frames) => frames[2] ?? '');
    w1.sends('MDPW02', '\x07', tokens[0] ?? '', '');
    w1.sends('MDPW02', '\x07', tokens[1] ?? '', '', 'bad\n\xff');
    expect(s.events('request.returned').map(({ reason }) => reason)).toEqual(['', 'bad%0A%FF']);
  });

  it('puts the request in front of those that wait (D25, D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 1 });
    s.client('c1').request('echo', '1').request('echo', '2');
    w1.inbox();
    w1.returns('again');
    expect(w1.inbox()).toEqual(['REQUEST 1']);
  });

  it('counts as a delivery: after maxDeliveries the request is abandoned (D25, D6)', () => {
    const s = stage({ maxDeliveries: 3 });
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.client('c1').hello().request('echo', '1');
    w1.returns('a').returns('b').returns('c');
    expect(c1.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 502\|echo\|/)]);
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 1', 'REQUEST 1']);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
  });

  it('of a request whose PARTIAL went out abandons it (D25, D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    s.client('c1').request('echo', '1');
    w1.partial('a').returns('b');
    expect(s.broker.counters.requestsAbandoned).toBe(1);
  });

  it('of a request that has expired meanwhile ends it (D25, D6)', () => {
    const s = stage({ requestTtlMs: 5000 });
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    s.client('c1').request('echo', '1');
    s.after(6000);
    w1.returns('sorry');
    expect(s.broker.counters.requestsExpired).toBe(1);
    expect(w1.inbox()).toEqual(['REQUEST 1']);
  });

  it('from a worker without credit is unexpected (D25)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', '1');
    w1.returns('no');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'DISCONNECT']);
    expect(s.broker.counters).toMatchObject({ unexpected: 1, requestsRequeued: 1 });
  });

  it('of the request of another worker is unexpected (D25, D7)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const w2 = s.worker('w2').ready('echo', { credit: 2 });
    s.client('c1').request('echo', '1');
    w2.returns('stolen', { token: w1.token() });
    expect(w2.inbox()).toEqual(['DISCONNECT']);
    w1.final('fine');
    expect(w1.inbox()).toEqual(['REQUEST 1']);
  });

  it('from a peer that is not registered is unexpected (D25)', () => {
    const s = stage();
    const w1 = s.worker('w1').returns('?', { token: Buffer.alloc(13) });
    expect(w1.inbox()).toEqual(['DISCONNECT']);
  });
});
