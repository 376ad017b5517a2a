/** A client that lost its connection goes on over the next one (D116). */
import { Holdings } from '../../../src/core/holdings.js';
import { START } from '../../../src/broker/listing.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { rules } from '../../support/rights.js';
import { SessionClient } from '../../support/stage-sessions.js';
import { endStages, type Stage, stage, type StageOptions } from '../../support/stage.js';

afterEach(endStages);

const BEGUN = '200|{"resumeMs":10000,"known":false}';
const RESUMED = '200|{"resumeMs":10000,"known":true}';

function withSessions(options: StageOptions = {}): Stage {
  const listeners = [{ ...rules(true, true), resumes: true }];
  return stage({ resumeMs: 10_000, listeners, ...options });
}

describe('mmi.hello with a session', () => {
  it('is told how long a client may take to come back', () => {
    const s = withSessions();
    expect(new SessionClient(s).greeting).toBe(BEGUN);
  });

  it.each([
    ['the broker has none', { resumeMs: 0 }],
    ['its listener has none', { listeners: [rules(true, true)] }],
  ])('is told that it has none if %s', (_what, options) => {
    const s = withSessions(options);
    const c1 = new SessionClient(s);
    expect(c1.greeting).toBe('200|{"resumeMs":0,"reason":"this listener has no sessions"}');
    expect(c1.resume('1')).toBe('404');
    c1.request('1').connection.disconnect();
    expect(s.broker.load).toMatchObject({ requests: 0, clients: 0 });
  });

  it.each(['short', 'a name with a space', 'x'.repeat(65)])('refuses the name %j', (name) => {
    const s = withSessions();
    expect(new SessionClient(s, { session: name }).greeting).toBe('400');
  });

  it('is told that its quota is used up, and the client is served as one without a session', () => {
    const s = withSessions({ quotasOf: () => ({ ...NO_QUOTAS, sessions: 1 }) });
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s);
    const c2 = new SessionClient(s, { session: 'another-session-0' });
    const reason = 'the quota `sessions` of this identity is used up';
    expect(c2.greeting).toBe(`200|${JSON.stringify({ resumeMs: 0, reason })}`);
    expect(s.broker.counters.quotas.sessions).toBe(1);
    c2.request('1');
    w1.final('one');
    expect(c2.inbox()).toEqual(['1 echo one']);
    expect(c2.resume('1')).toBe('404');
    // The first one sent nothing, so that nothing of it is kept.
    c1.connection.disconnect();
    expect(c2.comesBack()).toBe(BEGUN);
  });

  it('is told that there is no memory', () => {
    const holdings = new Holdings(100);
    const s = withSessions({ holdings });
    s.alone();
    expect(new SessionClient(s).greeting).toContain('limits.memoryBytes is reached');
  });
});

describe('a client that comes back', () => {
  it('finds what waits in its place, and gets the answer (one run)', () => {
    const s = withSessions();
    const c1 = new SessionClient(s).request('1').request('2');
    s.client('other').request('echo', 'later');
    c1.connection.disconnect();
    expect(s.broker.load).toMatchObject({ requests: 3 });
    s.after(9000);
    c1.comesBack();
    expect(c1.resume('1', '2', '3')).toBe('200|open|open|unknown');
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'REQUEST later']);
    w1.final('one').final('two');
    expect(c1.inbox()).toEqual(['1 echo one', '2 echo two']);
    expect(s.broker.counters).toMatchObject({ resumed: 2, requestsDropped: 0 });
  });

  it('is awaited by requests that are counted for their services', () => {
    const s = withSessions();
    s.worker('w1').ready('echo', { credit: 9 });
    const listed = (): readonly unknown[] => {
      const page = s.broker.listing.servicePage(START, 10, null, () => true, s.now);
      return page.items.map(({ service, clientsAway }) => [service, clientsAway]);
    };
    const c1 = new SessionClient(s).request('1').request('2', 'x', 'unserved');
    new SessionClient(s, { session: 'another-session-0' }).request('1');
    expect(listed()).toEqual([
      ['echo', 0],
      ['unserved', 0],
    ]);
    c1.connection.disconnect();
    expect(listed()).toEqual([
      ['echo', 1],
      ['unserved', 1],
    ]);
    c1.comesBack();
    const c2 = new SessionClient(s, { session: 'one-session-more' });
    s.batch(() => {
      for (let id = 10_000; id < 20_000; id++) c2.request(`${id}`);
    });
    c2.connection.disconnect();
    // Too many to count while a page is made.
    expect(listed()).toEqual([
      ['echo', null],
      ['unserved', null],
    ]);
  });

  it('gets the answer of what went on at a worker, also if it came meanwhile (one run)', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).request('1').request('2');
    c1.connection.disconnect();
    w1.final('one', { of: '1' });
    c1.comesBack();
    expect(c1.resume('1', '2')).toBe('200|answered|open');
    expect(c1.inbox()).toEqual(['1 echo one']);
    w1.final('two');
    expect(c1.inbox()).toEqual(['2 echo two']);
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2']);
    expect(s.broker.counters).toMatchObject({
      requestsReplied: 2,
      repliesDropped: { client_gone: 0 },
    });
  });

  it('gets again what was sent to it and may be lost with the connection', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).request('1').request('2');
    w1.final('one').fails(['error', 'E_X', 'it failed', '']);
    c1.inbox();
    c1.connection.disconnect();
    c1.comesBack();
    expect(c1.resume('1', '2')).toBe('200|answered|answered');
    expect(c1.inbox()).toEqual(['1 echo one', '2 mmi.refused 502|echo|E_X: it failed']);
    // It may be lost again.
    c1.connection.disconnect();
    c1.comesBack();
    expect(c1.resume('1')).toBe('200|answered');
    expect(c1.inbox()).toEqual(['1 echo one']);
  });

  it('is told that an answer is gone which it must have received', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).request('1');
    w1.final('one');
    s.after(500);
    c1.request('2').connection.disconnect();
    c1.comesBack();
    expect(c1.resume('1', '2')).toBe('200|gone|open');
  });

  it('gets the refusal of what was refused, or expired meanwhile', () => {
    const s = withSessions({ requestTtlMs: 5000, limits: { queuedRequestsPerService: 1 } });
    const c1 = new SessionClient(s).request('1').request('2');
    const refused = '2 mmi.refused 429|echo|limits.queuedRequestsPerService is reached';
    expect(c1.inbox()).toEqual([refused]);
    c1.connection.disconnect();
    s.after(6000);
    c1.comesBack();
    expect(c1.resume('1', '2')).toBe('200|answered|answered');
    const expired = '1 mmi.refused 408|echo|no worker served its service';
    expect(c1.inbox()).toEqual([expired, refused]);
  });

  it('takes over at once from a connection that has not ended, which counts no more', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).request('1');
    const before = c1.connection;
    c1.comesBack();
    expect(before.closedByBroker).toBe(true);
    expect(c1.resume('1', '2')).toBe('200|open|unknown');
    // What is still on its way there.
    before.sends('2', '', 'MDPC02', '\x01', 'echo', 'late');
    w1.final('one');
    before.disconnect();
    expect(c1.inbox()).toEqual(['1 echo one']);
    expect(w1.inbox()).toEqual(['REQUEST 1']);
    expect(c1.request('2').resume('2')).toBe('200|open');
  });

  it('has not received over the next connection what was sent over the last', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).request('1');
    w1.final('one');
    c1.inbox();
    s.after(1000);
    c1.comesBack();
    c1.request('2');
    expect(c1.resume('1', '2')).toBe('200|answered|open');
    expect(c1.inbox()).toEqual(['1 echo one']);
  });

  it('too late is a new one: its waiting requests were dropped, its answers counted as dropped', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo');
    const c1 = new SessionClient(s).request('1').request('2');
    c1.connection.disconnect();
    w1.final('one').disconnect();
    s.after(9999);
    expect(s.broker.load.requests).toBe(1);
    s.after(1);
    expect(s.broker.counters).toMatchObject({
      requestsDropped: 1,
      repliesDropped: { client_gone: 1 },
    });
    expect(c1.comesBack()).toBe(BEGUN);
    expect(c1.resume('1', '2')).toBe('200|unknown|unknown');
  });

  it('too late finds what is at a worker, because nobody may send that again; the rest is gone', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo');
    const c1 = new SessionClient(s).request('1').request('2').request('3');
    c1.connection.disconnect();
    w1.final('one');
    s.after(9999);
    expect(s.broker.load.requests).toBe(2);
    s.after(1);
    expect(s.broker.counters).toMatchObject({
      requestsDropped: 1,
      repliesDropped: { client_gone: 1 },
    });
    s.after(60_000);
    expect(c1.comesBack()).toBe(RESUMED);
    expect(c1.resume('1', '2', '3')).toBe('200|gone|open|gone');
    w1.final('two');
    expect(c1.inbox()).toEqual(['2 echo two']);
    // Nobody comes back, and its last request ends: nothing is left.
    c1.request('4').connection.disconnect();
    s.after(30_000);
    w1.final('four');
    s.after(10_000);
    expect(s.broker.load).toMatchObject({ sessions: 0, clients: 0 });
  });

  it('may take back what it sent before', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { cancel: true });
    const c1 = new SessionClient(s).request('1');
    c1.connection.disconnect();
    c1.comesBack();
    c1.cancel('1');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'CANCEL 1']);
    expect(c1.resume('1')).toBe('200|open');
  });

  it('is nobody else, who knows the name but has another key or address', () => {
    const s = withSessions();
    const c1 = new SessionClient(s).request('1');
    const stranger = new SessionClient(s, { address: '10.0.0.1' });
    expect(stranger.greeting).toBe(BEGUN);
    expect(stranger.resume('1')).toBe('200|unknown');
    expect(c1.connection.closedByBroker).toBe(false);
    const keyed = new SessionClient(s, { key: 'alice' });
    expect(keyed.resume('1')).toBe('200|unknown');
  });

  it('that has sent nothing leaves nothing behind', () => {
    const s = withSessions();
    new SessionClient(s).connection.disconnect();
    expect(s.broker.load).toMatchObject({ clients: 0, peers: 0 });
    expect(s.broker.nextRunAt()).toBe(Infinity);
  });
});

describe('the ids of a session', () => {
  it('only grow: what came before is not run again', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).request('2').request('1').request('2').request('3');
    expect(w1.inbox()).toEqual(['REQUEST 2', 'REQUEST 3']);
    const why =
      'the id of a request of a session must be later than those before it, and at most 255 bytes long';
    expect(c1.inbox()).toEqual([`1 mmi.refused 400|echo|${why}`, `2 mmi.refused 400|echo|${why}`]);
    expect(s.broker.counters.malformed.client).toBe(2);
    expect(s.events('message.malformed')).toHaveLength(2);
  });

  it('have at most 255 bytes, because the highest is kept', () => {
    const s = withSessions();
    const c1 = new SessionClient(s).request('x'.repeat(256));
    expect(c1.inbox()[0]).toContain(' mmi.refused 400|echo|');
    expect(c1.request('x'.repeat(255)).resume('x'.repeat(255))).toBe('200|open');
  });

  it('have one length: another one was never sent', () => {
    const s = withSessions();
    const c1 = new SessionClient(s).request('1');
    expect(c1.resume('0', '1', '11')).toBe('200|gone|open|unknown');
  });
});

describe('streams', () => {
  it('whose parts may be lost end, and their worker hears of it', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { cancel: true });
    const c1 = new SessionClient(s).request('1');
    w1.partial('a');
    c1.connection.disconnect();
    c1.comesBack();
    expect(c1.resume('1')).toBe('200|gone');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'CANCEL 1']);
  });

  it('whose parts come while their client is away end with a reason', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { cancel: true });
    const c1 = new SessionClient(s);
    c1.hello();
    c1.request('1').connection.disconnect();
    w1.partial('a');
    w1.final('b');
    c1.comesBack();
    expect(c1.resume('1')).toBe('200|gone');
    expect(c1.inbox()).toEqual([]);
  });
});

describe('mmi.resume', () => {
  it('takes at most 100 ids of at most 255 bytes', () => {
    const s = withSessions();
    const c1 = new SessionClient(s);
    expect(c1.resume(...Array.from({ length: 101 }, (_, at) => String(at)))).toBe('400');
    expect(c1.resume('x'.repeat(256))).toBe('400');
  });

  it('is answered in slices if many are out, and tells the same', () => {
    const s = withSessions();
    const c1 = new SessionClient(s);
    for (let id = 1000; id < 4000; id++) c1.request(String(id));
    c1.connection.disconnect();
    c1.comesBack();
    expect(c1.resume('0999', '1000', '3999', '4000')).toBe('200|gone|open|open|unknown');
    s.worker('w1').ready('echo');
    expect(c1.resume('1000', '1001')).toBe('200|open|open');
  });

  it('says that an answer is kept for which its connection has no room, which may be asked for again', () => {
    let room = Infinity;
    const s = withSessions({ outputLeft: () => room });
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = new SessionClient(s).request('1').request('2');
    c1.connection.disconnect();
    w1.final('one').final('two');
    c1.comesBack();
    room = 10;
    expect(c1.resume('1', '2')).toBe('200|kept|kept');
    room = 1000;
    expect(c1.resume('1', '2')).toBe('200|answered|answered');
    expect(c1.inbox()).toEqual(['1 echo one', '2 echo two']);
  });
});

describe('clients behind a proxy', () => {
  it('go on over its next connection under the same id there', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const proxy = s.connection('proxy');
    const c1 = new SessionClient(s, { proxies: ['p1'], over: proxy }).request('1');
    const c2 = new SessionClient(s, { proxies: ['p2'], over: proxy }).request('1');
    proxy.disconnect();
    w1.final('one');
    proxy.connect();
    expect(c1.comesBack()).toBe(RESUMED);
    expect(c1.resume('1')).toBe('200|answered');
    expect([c1.inbox(), c2.inbox()]).toEqual([['1 echo one'], []]);
    s.after(10_000);
    w1.final('two');
    s.after(10_000);
    expect(s.broker.counters.repliesDropped.client_gone).toBe(1);
  });
});

describe('requests that are held, because it is not decided whether this node serves', () => {
  it('are open, and are served when their client has come back', () => {
    const s = withSessions();
    const w1 = s.worker('w1').ready('echo');
    const c1 = new SessionClient(s);
    s.input((broker, now) => broker.setAdmission('voting', now));
    s.unrun(() => {
      c1.request('1');
    });
    c1.connection.disconnect();
    c1.comesBack();
    expect(c1.resume('1')).toBe('200|open');
    s.input((broker, now) => broker.setAdmission('serving', now));
    expect(w1.inbox()).toEqual(['REQUEST 1']);
    w1.final('one');
    expect(c1.inbox()).toEqual(['1 echo one']);
  });
});

describe('what sessions hold', () => {
  it('is given back, however they end', () => {
    const holdings = new Holdings();
    const s = withSessions({ holdings });
    s.alone();
    const w1 = s.worker('w1').ready('echo', { credit: 100 });
    for (let round = 0; round < 20; round++) {
      const c1 = new SessionClient(s, { session: `session-number-${10 + round}` });
      for (let id = 10; id < 15; id++) c1.request(String(id), 'x'.repeat(1000));
      w1.final('y'.repeat(2000)).final('z');
      if (round % 2 === 0) c1.connection.disconnect();
      w1.final('y'.repeat(2000)).final('z');
      if (round % 4 === 0) {
        c1.comesBack();
        c1.resume('11', '13');
      }
      w1.final('end');
      c1.connection.disconnect();
    }
    expect(holdings.bytes).toBeGreaterThan(20_000);
    s.after(20_000);
    w1.disconnect();
    expect(s.broker.load).toMatchObject({ clients: 0, requests: 0, peers: 0 });
    expect(holdings.bytes).toBe(0);
  });

  it('is bounded by their quota when they are opened and left in a loop', () => {
    const holdings = new Holdings();
    const s = withSessions({ holdings, quotasOf: () => ({ ...NO_QUOTAS, sessions: 100 }) });
    s.alone();
    for (let round = 0; round < 1000; round++) {
      const c1 = new SessionClient(s, { session: `session-number-${1000 + round}` }).request('1');
      c1.connection.disconnect();
    }
    expect(s.broker.load).toMatchObject({ clients: 100, requests: 100 });
    expect(s.broker.counters.quotas.sessions).toBe(900);
    s.after(10_000);
    expect(s.broker.load).toMatchObject({ clients: 0, requests: 0 });
    expect(holdings.bytes).toBe(0);
  });
});
