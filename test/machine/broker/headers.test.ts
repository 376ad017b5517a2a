/** Headers and deadlines beside the body (D66 to D69). */
import { Holdings } from '../../../src/core/holdings.js';
import { StageInternalClient } from '../../support/stage-internal-client.js';
import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

const HEADERS = '{"tenant":"a"}';

describe('A request with headers', () => {
  it('with a deadline is refused at its own, however many there are', () => {
    const s = stage();
    const c1 = s.client('c1').hello();
    const places = Array.from({ length: 50 }, (_, at) => (at * 17) % 50);
    for (const at of places) c1.requestWithHeaders('echo', 1000 + 10 * at, '', String(at));
    for (let at = 0; at < 50; at += 2) {
      s.after(at === 0 ? 1000 : 20);
      expect(c1.inbox()).toHaveLength(at === 0 ? 1 : 2);
      expect(s.broker.load.requests).toBe(49 - at);
    }
    const w1 = s.worker('w1').ready('echo');
    expect(w1.inbox()).toEqual(['REQUEST 49']);
  });

  it.each([1, 2] as const)('brings them to a worker that asked for them (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('echo', { headers: true });
    const c1 = s.client('c1').requestWithHeaders('echo', 5000, HEADERS, 'hi', 'there');
    expect(w1.inbox()).toEqual([`REQUEST 5000 ${HEADERS} hi|there`]);
    w1.final('ho');
    expect(c1.inbox()).toEqual(['FINAL echo ho']);
  });

  it.each([
    ['without a deadline', 0, HEADERS, `REQUEST  ${HEADERS} hi`],
    ['with a deadline only', 5000, '', 'REQUEST 5000  hi'],
    ['with bytes that are not JSON', 0, '\xff\0', 'REQUEST  \xff\0 hi'],
    ['with 8 KiB', 0, 'x'.repeat(8192), `REQUEST  ${'x'.repeat(8192)} hi`],
    ['with neither is a plain REQUEST', 0, '', 'REQUEST hi'],
  ])('%s arrives as it was sent', (_, deadlineMs, headers, request) => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { headers: true });
    s.client('c1').requestWithHeaders('echo', deadlineMs, headers, 'hi');
    expect(w1.inbox()).toEqual([request]);
    w1.final('ho');
  });

  it.each([1, 2] as const)('is a plain REQUEST to a worker that did not ask (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('echo', { name: 'w1' });
    const c1 = s.client('c1');
    c1.requestWithHeaders('echo', 5000, HEADERS, 'hi', '');
    c1.requestWithHeaders('echo', 0, 'x'.repeat(8000), 'x'.repeat(300));
    expect(w1.inbox()).toEqual(['REQUEST hi|']);
    w1.final('ho');
    expect(w1.inbox()).toEqual([`REQUEST ${'x'.repeat(300)}`]);
    w1.final('ho');
    expect(c1.inbox()).toEqual(['FINAL echo ho', 'FINAL echo ho']);
  });

  it('keeps its envelope, also behind a proxy (D1)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { headers: true });
    const c1 = s.client('c1', { envelope: ['proxy', 'id'] });
    c1.requestWithHeaders('echo', 0, HEADERS, 'hi');
    w1.final('ho');
    expect(c1.inbox()).toEqual(['FINAL echo ho']);
  });

  it('takes turns with plain ones, which stay plain (D69)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { headers: true, credit: 10 });
    const c1 = s.client('c1');
    c1.request('echo', '1').request('echo', '2').requestWithHeaders('echo', 0, HEADERS, '3');
    c1.request('echo', '4');
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', `REQUEST  ${HEADERS} 3`, 'REQUEST 4']);
    for (const body of ['1', '2', '3', '4']) w1.final(body, { of: body });
    expect(c1.inbox()).toEqual(['FINAL echo 1', 'FINAL echo 2', 'FINAL echo 3', 'FINAL echo 4']);
  });

  it('keeps them on its way to another worker, whatever the first one had asked for (D6)', () => {
    const s = stage({ maxDeliveries: 4 });
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').requestWithHeaders('echo', 0, HEADERS, 'hi');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.disconnect();
    const w2 = s.worker('w2').ready('echo', { headers: true });
    expect(w2.inbox()).toEqual([`REQUEST  ${HEADERS} hi`]);
    const w3 = s.worker('w3', { version: 1 }).ready('echo', { headers: true });
    w2.saysDisconnect();
    expect(w3.inbox()).toEqual([`REQUEST  ${HEADERS} hi`]);
    w3.final('ho');
  });

  it('counts with its headers in what is held, and in the limit of it', () => {
    const holdings = new Holdings();
    const s = stage({ limits: { queuedBytes: 600 }, holdings });
    const c1 = s.client('c1').hello();
    const held = (): number => holdings.use('ip:127.0.0.1').requests;
    const before = held();
    c1.requestWithHeaders('echo', 9000, 'h'.repeat(400), 'b');
    expect(s.broker.load.bytes).toBe(400 + 9 + 3);
    const with1 = held() - before;
    c1.request('echo', 'b');
    const plain = held() - before - with1;
    expect(with1).toBeGreaterThan(plain + 400);
    c1.requestWithHeaders('echo', 0, 'h'.repeat(400), 'b');
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 429|echo|limits.queuedBytes is reached']);
    c1.disconnect();
    expect(held()).toBe(0);
  });

  it('is held and passed on with them while it is decided whether this node serves', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { headers: true });
    s.input((broker, now) => broker.setAdmission('voting', now));
    s.unrun(() => {
      s.client('c1').requestWithHeaders('echo', 700, HEADERS, 'hi');
      s.input((broker, now) => broker.setAdmission('serving', now));
    });
    s.turn();
    expect(w1.inbox()).toEqual([`REQUEST 700 ${HEADERS} hi`]);
    w1.final('ho');
  });

  it.each(['mmi.service', 'mmi.broker', 'mmi.hello', 'mmi.nothing'])(
    'for %s is answered 400 (D67)',
    (service) => {
      const s = stage();
      const c1 = s.client('c1').requestWithHeaders(service, 0, '', 'echo');
      c1.requestWithHeaders(service, 5, HEADERS, 'echo');
      expect(c1.inbox()).toEqual([`FINAL ${service} 400`, `FINAL ${service} 400`]);
    },
  );

  it.each([
    ['a deadline that is no number', ['-1', '{}', 'b']],
    ['a deadline over the limit', ['2147483648', '{}', 'b']],
    ['headers over 8 KiB', ['', 'x'.repeat(8193), 'b']],
    ['no body', ['', '{}']],
  ])('with %s is dropped and counted, and disconnects a worker (§3)', (_, frames) => {
    const s = stage();
    const c1 = s.client('c1').hello();
    c1.connection.sends('MDPC02', '\x04', 'echo', ...frames);
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters.malformed.client).toBe(1);
    const w1 = s.worker('w1').ready('echo');
    w1.connection.sends('MDPC02', '\x04', 'echo', ...frames);
    expect(w1.inbox()).toEqual(['DISCONNECT']);
  });

  it('of the internal client goes out with them, without a deadline', () => {
    const s = stage();
    const internal = new StageInternalClient(s);
    internal.headers.set(7, Buffer.from(HEADERS));
    const w1 = s.worker('w1').ready('echo', { headers: true });
    expect(internal.submits(7)).toBe(true);
    expect(w1.inbox()).toEqual([`REQUEST  ${HEADERS} s7`]);
    w1.returns('later');
    // Its number stays known; another time it has none.
    internal.headers.delete(7);
    expect(internal.submits(7)).toBe(true);
    expect(w1.inbox()).toEqual(['REQUEST s7']);
    w1.final('done');
    internal.headers.set(8, Buffer.from(HEADERS));
    w1.saysDisconnect();
    const w2 = s.worker('w2').ready('echo');
    expect(internal.submits(8)).toBe(true);
    expect(w2.inbox()).toEqual(['REQUEST s8']);
    w2.final('done');
    expect(s.broker.load.bytes).toBe(0);
  });
});

describe('A deadline', () => {
  it('is told with what is left of it, at each delivery (D68)', () => {
    const s = stage();
    s.client('c1').requestWithHeaders('echo', 5000, HEADERS, 'hi');
    s.after(1500.5);
    const w1 = s.worker('w1').ready('echo', { headers: true });
    expect(w1.inbox()).toEqual([`REQUEST 3500 ${HEADERS} hi`]);
    s.after(1000);
    w1.disconnect();
    s.after(2499);
    const w2 = s.worker('w2').ready('echo', { headers: true });
    expect(w2.inbox()).toEqual([`REQUEST 1 ${HEADERS} hi`]);
    w2.final('ho');
  });

  it('that is shorter than the time to live ends a request that waits (D68)', () => {
    const s = stage({ requestTtlMs: 60_000 });
    const c1 = s.client('c1').hello();
    c1.request('echo', 'plain').requestWithHeaders('echo', 5000, '', 'first');
    c1.requestWithHeaders('echo', 100, '', 'second').requestWithHeaders('echo', 6000, '', 'third');
    s.after(99);
    expect(c1.inbox()).toEqual([]);
    s.after(1);
    expect(c1.inbox()).toHaveLength(1);
    expect(s.events('request.expired')).toMatchObject([{ service: 'echo', waitedMs: 100 }]);
    s.after(5000);
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 408|echo|no worker served its service']);
    const w1 = s.worker('w1').ready('echo', { credit: 4 });
    expect(w1.inbox()).toEqual(['REQUEST plain', 'REQUEST third']);
    w1.final('1').final('2');
  });

  it('that is longer changes nothing but what the worker is told', () => {
    const s = stage({ requestTtlMs: 1000 });
    const c1 = s.client('c1').hello();
    c1.requestWithHeaders('echo', 2_147_483_647, '', 'hi');
    s.after(999);
    expect(c1.inbox()).toEqual([]);
    s.after(1);
    expect(c1.inbox()).toHaveLength(1);
    const w1 = s.worker('w1').ready('echo', { headers: true });
    c1.requestWithHeaders('echo', 2_147_483_647, '', 'hi');
    expect(w1.inbox()).toEqual(['REQUEST 2147483647  hi']);
    w1.final('ho');
  });

  it('that passes while a worker has the request leaves it there, but sends it to no other', () => {
    const s = stage();
    const c1 = s.client('c1').hello();
    const w1 = s.worker('w1').heartbeatsEvery(500).ready('echo', { headers: true });
    c1.requestWithHeaders('echo', 1000, '', 'one');
    s.after(1500);
    expect(c1.inbox()).toEqual([]);
    w1.final('late, but an answer');
    expect(c1.inbox()).toEqual(['FINAL echo late, but an answer']);
    c1.requestWithHeaders('echo', 1000, '', 'two');
    s.after(1500);
    const w2 = s.worker('w2').ready('echo');
    w1.fallsSilent().disconnect();
    expect(w2.inbox()).toEqual([]);
    expect(c1.inbox()).toHaveLength(1);
    expect(s.broker.load.requests).toBe(0);
  });

  it('is kept in order among thousands, and forgotten with its request', () => {
    const s = stage({ requestTtlMs: 100_000 });
    const c1 = s.client('c1').hello();
    const w1 = s.worker('w1').ready('other', { credit: 10_000, headers: true });
    s.batch(() => {
      for (let at = 0; at < 5000; at++) {
        c1.requestWithHeaders('echo', 1 + ((at * 7919) % 5000), '', String(at));
        c1.requestWithHeaders('other', 1 + at, '', String(at));
      }
    });
    s.batch(() => {
      for (let at = 0; at < 5000; at++) w1.final('done');
    });
    c1.inbox();
    s.after(2500);
    expect(c1.inbox()).toHaveLength(2500);
    expect(s.broker.load.requests).toBe(2500);
    c1.disconnect();
    expect(s.broker.load).toMatchObject({ requests: 0, bytes: 0 });
  });

  it('that passed in a turn with too much to expire is not dispatched', () => {
    const s = stage();
    const c1 = s.client('c1').hello();
    s.batch(() => {
      for (let at = 0; at < 6000; at++) c1.requestWithHeaders('echo', 1000, '', String(at));
    });
    s.unrun(() => {
      s.now += 1000;
      s.worker('w1').ready('echo', { credit: 10_000, headers: true });
    });
    s.turn();
    expect(c1.inbox()).toHaveLength(6000);
    expect(s.broker.load.requests).toBe(0);
  });
});
