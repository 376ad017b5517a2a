import { rules } from '../../support/rights.js';
import { SessionClient } from '../../support/stage-sessions.js';
import { endStages, stage, type Stage } from '../../support/stage.js';

afterEach(endStages);

function drain(s: Stage): void {
  s.input((broker, now) => broker.drain(now));
}

describe('while the broker drains', () => {
  it('waiting workers get DISCONNECT at once (docs/protocol.md)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2', { version: 1 }).ready('other');
    drain(s);
    expect([w1.inbox(), w2.inbox()]).toEqual([['DISCONNECT'], ['DISCONNECT']]);
    expect(s.broker.counters.workersLost.drained).toBe(2);
  });

  it('busy ones get it after their reply, which is delivered (docs/protocol.md)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    drain(s);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.partial('a');
    expect(w1.inbox()).toEqual([]);
    w1.final('b');
    expect(c1.inbox()).toEqual(['PARTIAL echo a', 'FINAL echo b']);
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 0, requestsOut: 0 });
  });

  it('one with credit gets it after the last of its replies (D23)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 5 });
    s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    drain(s);
    w1.final('-').returns('cannot');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'REQUEST 3']);
    w1.final('-');
    expect(w1.inbox()).toEqual(['DISCONNECT']);
  });

  it('requests of its own services are refused, too, but for mmi.* (docs/protocol.md)', () => {
    const s = stage();
    s.alone();
    let asked = 0;
    s.input((broker) => {
      broker.internals.all.push({
        prefix: Buffer.from('titanic.'),
        offers: () => true,
        request: () => {
          asked++;
        },
      });
    });
    drain(s);
    const c1 = s.client('c1').request('titanic.request', 'hi');
    expect(c1.inbox()).toEqual([]);
    expect(asked).toBe(0);
    expect(s.events('request.refused')).toMatchObject([{ reason: 'draining' }]);
    expect(s.broker.counters.requestsRefused.draining).toBe(0);
  });

  it('READY is answered by DISCONNECT (docs/protocol.md)', () => {
    const s = stage();
    drain(s);
    expect(s.worker('w1').ready('echo').inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.workersRefused.draining).toBe(1);
  });

  it('new requests are refused and counted, without a reply to who did not ask for one (D9)', () => {
    const s = stage();
    drain(s);
    const c1 = s.client('c1').request('echo', 'hi');
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters).toMatchObject({
      requestsReceived: 1,
      requestsRefused: { draining: 1 },
    });
  });

  it('what waits is refused, not handed to a busy worker with credit to spare', () => {
    const s = stage();
    const c1 = s.client('c1');
    s.batch(() => {
      for (let at = 0; at < 5000; at++) c1.request('other', String(at));
    });
    const w1 = s.worker('w1').ready('echo', { credit: 10 });
    c1.request('echo', 'out');
    s.batch(() => {
      c1.request('echo', 'waits');
      s.input((broker, now) => broker.drain(now));
    });
    expect(w1.inbox()).toEqual(['REQUEST out']);
    expect(s.broker.counters.requestsRefused.draining).toBe(5001);
    w1.final('done');
    expect(s.broker.load).toMatchObject({ requests: 0, services: 0, workers: 0 });
  });

  it('the request of a lost worker is refused, as nobody is left to take it', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1').hello().request('echo', '1').request('echo', '2');
    drain(s);
    w1.disconnect();
    expect(c1.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 503\|echo\|/)]);
    w2.final('two');
    expect(c1.inbox()).toEqual(['FINAL echo two']);
    expect(w2.inbox()).toEqual(['REQUEST 2', 'DISCONNECT']);
  });

  it('MMI goes on answering (docs/protocol.md)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    drain(s);
    c1.request('mmi.service', 'echo');
    w1.final('HI');
    c1.request('mmi.service', 'echo');
    expect(c1.inbox()).toEqual(['FINAL mmi.service 200', 'FINAL echo HI', 'FINAL mmi.service 404']);
  });

  it('heartbeats go on, both ways (18/MDP §Heartbeating)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(1000);
    s.client('c1').request('echo', 'hi');
    drain(s);
    s.after(10_000);
    expect(w1.heartbeats()).toBe(10);
    expect(s.broker.load.workers).toBe(1);
  });
});

describe('when the broker ends', () => {
  it('clients with sessions are told that what has no answer never came to a worker', () => {
    const s = stage({ resumeMs: 10_000, listeners: [{ ...rules(true, true), resumes: true }] });
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const plain = s.client('c1').hello();
    const one = new SessionClient(s);
    const away = new SessionClient(s, { session: 'another-session-1' });
    const proxied = new SessionClient(s, { session: 'another-session-2', proxies: ['p'] });
    one.request('1');
    one.once('2');
    away.connection.disconnect();
    drain(s);
    w1.final('done');
    proxied.request('1');
    const refused = 'mmi.refused 503|echo|draining: this broker is shutting down';
    expect([one.inbox(), proxied.inbox()]).toEqual([['1 echo done'], [`1 ${refused}`]]);
    s.input((broker, now) => broker.stop(now));
    const goodbye = ' mmi.refused 503|mmi.hello|draining: this broker is shutting down';
    const unknown = expect.stringMatching(/^2 mmi\.refused 520/);
    expect([one.inbox(), proxied.inbox(), plain.inbox()]).toEqual([
      [unknown, goodbye],
      [goodbye],
      [],
    ]);
  });
});

describe('when the grace is over', () => {
  it('workers that are still busy are told DISCONNECT', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.client('c1').hello().request('echo', '1').request('echo', '2');
    drain(s);
    s.input((broker, now) => broker.stop(now));
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'DISCONNECT']);
    expect(c1.inbox()).toHaveLength(2);
    expect(s.broker.load).toMatchObject({ workers: 0, requests: 0, services: 0 });
  });
});
