/** How sessions end, and what is left of them (D116). */
import { Holdings } from '../../../src/core/holdings.js';
import { NO_QUOTAS } from '../../../src/broker/quotas.js';
import { rules } from '../../support/rights.js';
import { SessionClient } from '../../support/stage-sessions.js';
import { endStages, type Stage, stage, type StageOptions } from '../../support/stage.js';

afterEach(endStages);

function withSessions(options: StageOptions = {}): Stage {
  const listeners = [{ ...rules(true, true), resumes: true }];
  return stage({ resumeMs: 10_000, listeners, ...options });
}

it('an answer counts as received half a second after it was sent, whatever came before that', () => {
  const s = withSessions();
  const w1 = s.worker('w1').ready('echo', { credit: 9 });
  const c1 = new SessionClient(s).request('1');
  // No turn of the broker meanwhile.
  s.now += 1000;
  w1.final('one');
  c1.request('2').connection.disconnect();
  c1.comesBack();
  expect(c1.resume('1', '2')).toBe('200|answered|open');
});

it('answers that a client does not ask for when it has come back are not kept for ever', () => {
  const holdings = new Holdings();
  const s = withSessions({ holdings });
  s.alone();
  const w1 = s.worker('w1').ready('echo', { credit: 9 });
  const c1 = new SessionClient(s);
  const before = holdings.bytes;
  for (let round = 10; round < 60; round++) {
    c1.request(String(round));
    w1.final('x'.repeat(2000));
    c1.connection.disconnect();
    c1.comesBack();
    s.after(1000);
  }
  s.after(20_000);
  expect(holdings.bytes - before).toBeLessThan(10_000);
});

it('what a connection asked under a session that it left ends with the connection', () => {
  const s = withSessions();
  const c1 = new SessionClient(s);
  c1.hello('another-session-0');
  c1.request('1');
  c1.hello('another-session-1');
  c1.connection.disconnect();
  expect(s.broker.load).toMatchObject({ clients: 0, requests: 0 });
});

it('a client behind a proxy that begins another session ends its last one', () => {
  const s = withSessions({ quotasOf: () => ({ ...NO_QUOTAS, sessions: 10 }) });
  const proxy = s.connection('proxy');
  const c1 = new SessionClient(s, { proxies: ['p1'], over: proxy });
  for (let at = 0; at < 100; at++) c1.hello(`session-number-${1000 + at}`);
  expect(s.broker.load).toMatchObject({ sessions: 1 });
  expect(s.broker.counters.quotas.sessions).toBe(0);
});

it('a client behind a proxy whose hello gave up its place goes on when it says hello again, or is forgotten', () => {
  const s = withSessions({ quotasOf: () => ({ ...NO_QUOTAS, hellos: 1 }) });
  const w1 = s.worker('w1').ready('echo', { credit: 9, cancel: true });
  const proxy = s.connection('proxy');
  const c1 = new SessionClient(s, { proxies: ['p1'], over: proxy }).request('1');
  // The last thousand hellos without a place still count.
  for (let at = 1000; at < 2002; at++) {
    proxy.sends(`p${at}`, '', 'MDPC02', '\x01', 'mmi.hello', '');
  }
  c1.inbox();
  expect(c1.hello()).toBe('200|{"resumeMs":10000,"known":true}');
  expect(c1.resume('1', '2')).toBe('200|open|unknown');
  c1.cancel('1');
  expect(w1.inbox()).toEqual(['REQUEST 1', 'CANCEL 1']);
  for (let at = 1000; at < 2002; at++) {
    proxy.sends(`p${at}`, '', 'MDPC02', '\x01', 'mmi.hello', '');
  }
  s.after(10_000);
  expect(s.broker.load.sessions).toBe(1);
  w1.final('one');
  s.after(10_000);
  expect(s.broker.load.sessions).toBe(0);
});

it('a client whose key was removed has no session any more: what waits is dropped, as without one', () => {
  const s = withSessions();
  const c1 = new SessionClient(s, { key: 'alice' }).request('1');
  s.input((broker) => broker.connections.revoke(0, 'alice'));
  c1.connection.disconnect();
  const w1 = s.worker('w1').ready('echo');
  expect(w1.inbox()).toEqual([]);
  expect(s.broker.load).toMatchObject({ requests: 0, sessions: 0 });
});

it('a client that takes its session over in a loop leaves one client, and one connection that is open', () => {
  const holdings = new Holdings();
  const s = withSessions({ holdings });
  s.alone();
  const w1 = s.worker('w1').ready('echo', { credit: 9 });
  const c1 = new SessionClient(s).request('1');
  const before = holdings.bytes;
  for (let round = 0; round < 200; round++) {
    const last = c1.connection;
    c1.comesBack();
    last.disconnect();
  }
  expect(s.broker.load).toMatchObject({ peers: 2, clients: 1, sessions: 1, requests: 1 });
  expect(holdings.bytes - before).toBeLessThan(2000);
  w1.final('one');
  expect(c1.inbox()).toEqual(['1 echo one']);
});

it('an answer to `mmi.resume` is never sent over another connection than the question', () => {
  const s = withSessions();
  const c1 = new SessionClient(s);
  for (let id = 1000; id < 2000; id++) c1.request(String(id));
  const before = c1.connection;
  const taken = s.connection('taken');
  const seen: string[] = [];
  taken.addReader({
    reads: (frames) => {
      seen.push(frames.copyFrom(0).map(String).join('|'));
      return true;
    },
  });
  s.unrun(() => {
    before.sends('', 'MDPC02', '\x01', 'mmi.resume', '1000');
    taken.sends(
      '',
      'MDPC02',
      '\x01',
      'mmi.hello',
      JSON.stringify({ session: 'a-session-of-96bit' }),
    );
  });
  s.turn();
  s.after(10);
  expect(seen.filter((line) => line.includes('mmi.resume'))).toEqual([]);
});

it('clients behind a proxy with a routing id of its own do not get the answers of each other', () => {
  const s = withSessions();
  const w1 = s.worker('w1').ready('echo', { credit: 9 });
  const proxy = s.connection('proxy', { routingId: 'fixed' });
  new SessionClient(s, { proxies: ['p1'], over: proxy }).request('1');
  proxy.disconnect();
  proxy.connect();
  const seen: string[] = [];
  proxy.addReader({
    reads: (frames) => {
      seen.push(frames.copyFrom(0).map(String).join('|'));
      return true;
    },
  });
  // Its client goes on over another proxy; one without a session stays.
  const other = new SessionClient(s, { proxies: ['p1'], over: s.connection('proxy 2') });
  proxy.sends('p3', '7', '', 'MDPC02', '\x01', 'echo', 'three');
  w1.final('one', { of: '1' }).final('THREE', { of: 'three' });
  expect(other.inbox()).toEqual(['1 echo one']);
  expect(seen.at(-1)).toContain('THREE');
});
