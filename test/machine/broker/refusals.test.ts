import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

describe('a request that waits for a worker', () => {
  it('expires exactly at its time to live, counted and told in an event (D9)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    s.client('c1').request('echo', 'hi');
    s.after(9999);
    expect(s.broker.load).toMatchObject({ requests: 1, services: 1 });
    s.after(1);
    expect(s.broker.load).toMatchObject({ requests: 0, services: 0, bytes: 0 });
    expect(s.broker.counters.requestsExpired).toBe(1);
    expect(s.events('request.expired')).toEqual([
      { name: 'request.expired', service: 'echo', waitedMs: 10_000, reason: 'no_worker' },
    ]);
  });

  it('expires also while all workers of its service are busy (D9)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').hello().request('echo', '1').request('echo', '2');
    s.after(10_000);
    expect(c1.inbox()).toEqual(['FINAL mmi.refused 408|echo|no worker was free for it']);
    expect(s.events('request.expired')).toMatchObject([{ reason: 'workers_busy' }]);
    w1.final('one');
    expect([c1.inbox(), w1.inbox()]).toEqual([['FINAL echo one'], ['REQUEST 1']]);
  });

  it('expires without a reply: MDP has no error command (D9)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const old = s.client('old', { version: 1 }).request('echo', 'hi');
    const young = s.client('young').request('echo', 'hi');
    s.after(20_000);
    expect([old.inbox(), young.inbox()]).toEqual([[], []]);
    expect([old.connection.raw(), young.connection.raw()]).toEqual([[], []]);
  });

  it('is served if its worker comes within its time to live (D9)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const c1 = s.client('c1').request('echo', 'hi');
    s.after(9999);
    const w1 = s.worker('w1').ready('echo');
    s.after(1);
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
    expect(s.broker.counters.requestsExpired).toBe(0);
  });

  it('that is overdue is not handed to a worker that comes in that very turn (D9)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    s.client('c1').request('echo', 'hi');
    s.after(9999);
    s.now += 1;
    expect(s.worker('w1').ready('echo').inbox()).toEqual([]);
    expect(s.broker.counters.requestsExpired).toBe(1);
  });
});

describe('a client that said mmi.hello', () => {
  it.each([1, 2] as const)('is told 408 when its request expires (0.%i, D11)', (version) => {
    const command = version === 1 ? 'REPLY' : 'FINAL';
    const s = stage({ requestTtlMs: 10_000 });
    const c1 = s.client('c1', { version }).hello().request('a%\xff', 'hi');
    s.after(10_000);
    const [told, ...others] = c1.inbox();
    expect(told).toMatch(new RegExp(`^${command} mmi\\.refused 408\\|a%\xff\\|[a-z ]+$`));
    expect(others).toEqual([]);
  });

  it('is told 429 when its request is over a limit (D11)', () => {
    const s = stage({ limits: { queuedRequests: 1 } });
    const c1 = s.client('c1').hello().request('echo', '1').request('echo', '2');
    expect(c1.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 429\|echo\|limits\./)]);
  });

  it('is told 502 when its request is abandoned (D11, D6)', () => {
    const s = stage({ maxDeliveries: 1 });
    const c1 = s.client('c1').hello().request('echo', 'hi');
    s.worker('w1').ready('echo').disconnect();
    expect(c1.inbox()).toEqual([expect.stringMatching(/^FINAL mmi\.refused 502\|echo\|/)]);
  });

  it('is told 502 after its PARTIALs when the stream breaks (D11, D6)', () => {
    const s = stage();
    const c1 = s.client('c1').hello().request('echo', 'hi');
    s.worker('w1').ready('echo').partial('a').disconnect();
    expect(c1.inbox()).toEqual([
      'PARTIAL echo a',
      expect.stringMatching(/^FINAL mmi\.refused 502\|echo\|/),
    ]);
  });

  it('is told 503 for what comes and for what waits while the broker drains (D11)', () => {
    const s = stage();
    const c1 = s.client('c1').hello().request('echo', 'waits');
    s.input((broker, now) => broker.drain(now));
    c1.request('echo', 'comes');
    expect(c1.inbox()).toEqual([
      expect.stringMatching(/^FINAL mmi\.refused 503\|echo\|/),
      expect.stringMatching(/^FINAL mmi\.refused 503\|echo\|/),
    ]);
    expect(s.broker.counters.requestsRefused.draining).toBe(2);
  });

  it('gets the refusal in the envelope and the form of its request (D11, D1, D2)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const c1 = s.connection('c1');
    c1.sends('', 'MDPC01', 'mmi.hello', '{}');
    c1.sends('hop', 'id', '', 'MDPC01', 'echo', 'a');
    c1.sends('MDPC02', '\x01', 'echo', 'b');
    s.after(10_000);
    const [hello, first = [], second = []] = c1.raw();
    expect(hello).toEqual(['', 'MDPC01', 'mmi.hello', '200']);
    expect(first.slice(0, -1)).toEqual(['hop', 'id', '', 'MDPC01', 'mmi.refused', '408', 'echo']);
    expect(second.slice(0, -1)).toEqual(['MDPC02', '\x03', 'mmi.refused', '408', 'echo']);
  });

  it('holds for the requests whose envelope begins with that of the hello (D11)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const proxy = s.connection('proxy');
    const c1 = s.client('c1', { over: proxy, envelope: ['hop', 'one'] }).hello();
    const c1Again = s.client('c1 later', { over: proxy, envelope: ['hop', 'one', 'id7'] });
    const c2 = s.client('c2', { over: proxy, envelope: ['hop', 'two'] });
    const c3 = s.client('c3', { over: proxy, envelope: ['hop'] });
    const c4 = s.client('c4', { over: proxy, envelope: ['hop', 'one2'] });
    const c5 = s.client('c5', { over: proxy, envelope: ['x', 'hop', 'one'] });
    const all = [c1, c1Again, c2, c3, c4, c5];
    for (const each of all) each.request('echo', 'hi');
    s.after(10_000);
    expect(all.map((each) => each.inbox().length)).toEqual([1, 1, 0, 0, 0, 0]);
  });

  it('does not hold for another connection (D11)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    s.client('c1').hello();
    const c2 = s.client('c2').request('echo', 'hi');
    s.after(10_000);
    expect(c2.inbox()).toEqual([]);
  });

  it('is forgotten with its connection (D11)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const c1 = s.client('c1', { routingId: 'alice' }).hello();
    c1.disconnect();
    c1.connection.connect();
    c1.request('echo', 'hi');
    s.after(10_000);
    expect(c1.inbox()).toEqual([]);
  });

  it('is heard again and again, at the cost of one (D11)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const c1 = s.client('c1');
    for (let at = 0; at < 5000; at++) c1.hello('{"any": 1}');
    c1.request('echo', 'hi');
    s.after(10_000);
    expect(c1.inbox()).toHaveLength(1);
  });

  it('understands refusals only from the hello on (D11)', () => {
    const s = stage({ requestTtlMs: 10_000 });
    const c1 = s.client('c1').request('echo', 'before').hello().request('echo', 'after');
    s.after(10_000);
    expect(c1.inbox()).toHaveLength(1);
  });

  it.each(['[]', 'null', '7', '"x"', '{', 'hello', '{"a":'.repeat(3000)])(
    'with %.20s as its options is answered 400 and changes nothing (D11)',
    (options) => {
      const s = stage({ requestTtlMs: 10_000 });
      const c1 = s.client('c1').request('mmi.hello', options).request('echo', 'hi');
      s.after(10_000);
      expect(c1.inbox()).toEqual(['FINAL mmi.hello 400']);
    },
  );

  it.each(['{"noWorker":"fail"}', '{"noWorker":true}', '{"noWorker":null}'])(
    'with %s is answered 400 (D65)',
    (options) => {
      const c1 = stage().client('c1').request('mmi.hello', options);
      expect(c1.inbox()).toEqual(['FINAL mmi.hello 400']);
    },
  );

  it('with two frames is answered 400 (D11)', () => {
    const s = stage();
    const c1 = s.client('c1').request('mmi.hello', '{}', '');
    expect(c1.inbox()).toEqual(['FINAL mmi.hello 400']);
  });

  it('behind one connection with too many others takes the place of the oldest, which is told (D11)', () => {
    const s = stage();
    const proxy = s.connection('proxy');
    for (let at = 0; at < 1000; at++) proxy.sends(`id${at}`, '', 'MDPC01', 'mmi.hello', '');
    expect(new Set(proxy.raw().map((frames) => frames.at(-1)))).toEqual(new Set(['200']));
    proxy.sends('one more', '', 'MDPC01', 'mmi.hello', '');
    const text = 'the quota `hellos` of this identity is used up';
    expect(proxy.raw()).toEqual([
      ['id0', '', 'MDPC01', 'mmi.refused', '429', 'mmi.hello', text],
      ['one more', '', 'MDPC01', 'mmi.hello', '200'],
    ]);
    const w1 = s.worker('w1').ready('echo', { credit: 10 });
    const fail = (...ids: readonly string[]): (string | undefined)[] => {
      for (const id of ids) proxy.sends(id, '', 'MDPC01', 'echo', id);
      for (const of of ids) w1.fails(['error', 'E', 'text'], { of });
      return proxy.raw().map(([id]) => id);
    };
    // Its request may have crossed the refusal.
    expect(fail('id0', 'id1', 'one more')).toEqual(['id0', 'id1', 'one more']);
    for (let at = 0; at < 1000; at++) proxy.sends(`more${at}`, '', 'MDPC01', 'mmi.hello', '');
    proxy.raw();
    expect(fail('id0', 'id1', 'one more', 'more999')).toEqual(['id1', 'one more', 'more999']);
    expect(s.broker.counters.quotas.hellos).toBe(1001);
  });

  it('cannot make the broker keep large envelopes (D11)', () => {
    const s = stage();
    const c1 = s.connection('c1');
    c1.sends('x'.repeat(100_000), '', 'MDPC01', 'mmi.hello', '');
    expect(c1.raw().map((frames) => frames[3])).toEqual(['mmi.refused']);
    for (let at = 0; at < 1000; at++) {
      c1.sends('y'.repeat(200), String(at), '', 'MDPC01', 'mmi.hello', '');
    }
    const refused = c1.raw().filter((frames) => frames.includes('mmi.refused'));
    expect(refused.length).toBeGreaterThan(600);
  });
});
