import { NO_QUOTAS, type Quotas } from '../../../src/broker/quotas.js';
import { Holdings } from '../../../src/core/holdings.js';
import { rules, TestKey } from '../../support/rights.js';
import { endStages, type Stage, stage } from '../../support/stage.js';
import type { Connection } from '../../support/stage-peers.js';

afterEach(endStages);

describe('another identity with the routing id of a client that is away (D70)', () => {
  it('gets none of its replies, whether the key or the address differs', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const alice = s.client('alice', { routingId: 'me', key: 'alice' }).request('echo', '1');
    alice.disconnect();
    const bob = s.client('bob', { routingId: 'me', key: 'bob' });
    w1.final('SECRET');
    expect([bob.inbox(), bob.connection.raw()]).toEqual([[], []]);
  });

  it('nor does one without a key, who was there before', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1', { routingId: 'me', address: '10.0.0.1' }).request('echo', '1').disconnect();
    const keyed = s.client('c2', { routingId: 'me', key: 'bob', address: '10.0.0.1' });
    w1.final('SECRET');
    expect(keyed.inbox()).toEqual([]);
  });

  it('while the same one gets its reply over any listener', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { routingId: 'me', key: 'alice' }).request('echo', '1');
    c1.disconnect();
    const again = s.client('c2', { routingId: 'me', key: 'alice', address: '10.9.9.9' });
    w1.final('MINE');
    expect(again.inbox()).toEqual(['FINAL echo MINE']);
  });
});

describe('rights by service (D72)', () => {
  function payments(): { s: Stage; alice: TestKey; bob: TestKey } {
    const alice = new TestKey(['pay.*'], false);
    const bob = new TestKey(false, ['pay.card']);
    return { s: stage({ rightsOf: (_, key) => (key === 'alice' ? alice : bob) }), alice, bob };
  }

  it('refuses a request for a service that the key does not name: 403', () => {
    const { s } = payments();
    const c1 = s.client('c1', { key: 'alice' }).hello().request('admin', 'x');
    expect(c1.inbox()).toEqual([
      'FINAL mmi.refused 403|admin|no right to send requests to this service',
    ]);
    expect(s.broker.counters.requestsRefused.rights).toBe(1);
    expect(s.events('request.refused')).toMatchObject([{ key: 'alice', address: '127.0.0.1' }]);
  });

  it('and takes no place of it: the service is not even known', () => {
    const { s } = payments();
    s.client('c1', { key: 'alice' }).request('admin', 'x');
    expect(s.broker.load).toMatchObject({ services: 0, requests: 0, clients: 0 });
  });

  it('refuses a worker of another’s service, which then sees none of its requests', () => {
    const { s } = payments();
    const rogue = s.worker('rogue', { key: 'bob' }).ready('pay.gold', { credit: 10_000 });
    s.client('c1', { key: 'alice' }).request('pay.gold', 'x');
    expect(rogue.inbox()).toEqual(['DISCONNECT']);
    expect(s.events('worker.refused')).toMatchObject([{ reason: 'rights', key: 'bob' }]);
  });

  it('what both the key and its listener name is served', () => {
    const { s } = payments();
    const w1 = s.worker('w1', { key: 'bob' }).ready('pay.card');
    const c1 = s.client('c1', { key: 'alice' }).request('pay.card', 'x').request('pay.card', 'y');
    w1.final('X').final('Y');
    expect(c1.inbox()).toEqual(['FINAL pay.card X', 'FINAL pay.card Y']);
  });
});

describe('the service that authorises keys', () => {
  const authoriser = Buffer.from('auth');

  function guarded(worker: TestKey | readonly string[]): Stage {
    const isKey = worker instanceof TestKey;
    const open = { ...rules(true, isKey ? true : worker), authoriser };
    const rightsOf = (): TestKey => (isKey ? worker : new TestKey(true, true));
    return stage({ listeners: [open, rules(true, false)], rightsOf });
  }

  it('is offered only by a key that names it literally, not by a glob', () => {
    for (const globs of [['*'], ['au*'], ['aut?']]) {
      const s = guarded(new TestKey(true, globs));
      expect(s.worker('w1', { key: 'eve' }).ready('auth').inbox()).toEqual(['DISCONNECT']);
      expect(guarded(globs).worker('w1').ready('auth').inbox()).toEqual(['DISCONNECT']);
    }
    const named = ['*', 'auth'];
    const s = guarded(new TestKey(true, named));
    const w1 = s.worker('w1', { key: 'guard' }).ready('auth');
    s.client('node', { listener: 1 }).request('auth', 'k');
    expect(w1.inbox()).toEqual([expect.stringContaining('REQUEST')]);
    expect(guarded(named).worker('w1').ready('auth').inbox()).toEqual([]);
  });

  it('is asked by nobody but the node itself, and shown to nobody', () => {
    const s = guarded(['auth', 'echo']);
    s.worker('w1').ready('auth');
    s.worker('w2').ready('echo');
    const c1 = s.client('c1').hello().request('auth', 'k').request('echo', 'x');
    expect(c1.inbox()[0]).toBe(
      'FINAL mmi.refused 403|auth|no right to send requests to this service',
    );
  });
});

describe('a right that is withdrawn (D73)', () => {
  it('disconnects the worker, and its requests go on to others', () => {
    const bob = new TestKey(true, true);
    const s = stage({ rightsOf: (_, key) => (key === 'bob' ? bob : new TestKey(true, true)) });
    const w1 = s.worker('w1', { key: 'bob' }).ready('echo');
    const c1 = s.client('c1', { key: 'carol' }).request('echo', 'hi');
    bob.may(true, ['other']);
    s.input((broker, now) => broker.connections.rightsChanged('bob', now));
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    s.worker('w2', { key: 'carol' }).ready('echo').final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
    expect(s.broker.counters.workersLost.rights).toBe(1);
  });

  it('refuses the waiting requests of the client: 403, and leaves those of others', () => {
    const alice = new TestKey(true, false);
    const s = stage({ rightsOf: (_, key) => (key === 'alice' ? alice : new TestKey(true, true)) });
    const c1 = s.client('c1', { key: 'alice' }).hello();
    c1.request('a', '1').request('b', '2');
    const c2 = s.client('c2', { key: 'carol' }).request('a', '3');
    alice.may(['b'], false);
    s.input((broker, now) => broker.connections.rightsChanged('alice', now));
    expect(c1.inbox()).toEqual([
      'FINAL mmi.refused 403|a|the right to send requests to this service was withdrawn',
    ]);
    const workers = ['a', 'b'].map((name) => s.worker(name, { key: 'carol' }).ready(name));
    for (const worker of workers) worker.final('DONE');
    expect(c1.inbox()).toEqual(['FINAL b DONE']);
    expect(c2.inbox()).toEqual(['FINAL a DONE']);
  });

  it('holds for the next request at once', () => {
    const alice = new TestKey(['a'], false);
    const s = stage({ rightsOf: () => alice });
    const c1 = s.client('c1', { key: 'alice' }).hello().request('a', '1');
    alice.may(['b'], false);
    s.input((broker, now) => broker.connections.rightsChanged('alice', now));
    c1.request('a', '2');
    expect(c1.inbox()).toHaveLength(2);
    expect(s.broker.load.requests).toBe(0);
  });

  it('refuses more than one turn takes in as many turns as it needs', () => {
    const alice = new TestKey(true, false);
    const s = stage({ rightsOf: () => alice });
    const c1 = s.client('c1', { key: 'alice' });
    s.batch(() => {
      for (let n = 0; n < 5000; n++) c1.request('a', String(n));
    });
    alice.may(false, false);
    s.input((broker, now) => broker.connections.rightsChanged('alice', now));
    expect(s.broker.load.requests).toBe(0);
    expect(s.broker.counters.requestsRefused.rights).toBe(5000);
  });
});

describe('quotas of one identity (D75)', () => {
  function limited(quotas: Partial<Quotas>): Stage {
    return stage({ quotasOf: () => ({ ...NO_QUOTAS, ...quotas }) });
  }
  const refused = (name: string): string =>
    `FINAL mmi.refused 429|echo|the quota \`${name}\` of this identity is used up`;

  it('of outstanding requests count over all its connections, and no other’s', () => {
    const s = limited({ outstanding: 2 });
    s.client('c1', { key: 'alice' }).request('echo', '1').request('echo', '2');
    const c2 = s.client('c2', { key: 'alice' }).hello().request('echo', '3');
    expect(c2.inbox()).toEqual([refused('outstanding')]);
    s.client('c3', { key: 'bob' }).request('echo', '4');
    expect(s.broker.load.requests).toBe(3);
    expect(s.broker.counters.requestsRefused.quota).toBe(1);
  });

  it('are free again when requests end', () => {
    const s = limited({ outstanding: 1 });
    const w1 = s.worker('w1', { key: 'w' }).ready('echo');
    const c1 = s.client('c1', { key: 'alice' }).request('echo', '1');
    w1.final('1');
    c1.request('echo', '2');
    w1.final('2');
    expect(c1.inbox()).toEqual(['FINAL echo 1', 'FINAL echo 2']);
  });

  it('still count what is at workers after its client has left', () => {
    const s = limited({ outstanding: 1 });
    const w1 = s.worker('w1', { key: 'w' }).ready('echo', { credit: 10 });
    s.client('c1', { key: 'alice' }).request('echo', '1').disconnect();
    const c2 = s.client('c2', { key: 'alice' }).hello().request('echo', '2');
    expect(c2.inbox()).toEqual([refused('outstanding')]);
    w1.final('1');
    c2.request('echo', '3');
    w1.final('3');
    expect(c2.inbox()).toEqual(['FINAL echo 3']);
  });

  it('of bytes', () => {
    const s = limited({ queuedBytes: 2000 });
    const c1 = s.client('c1', { key: 'alice' }).hello();
    c1.request('echo', 'x'.repeat(1000)).request('echo', 'x'.repeat(1000));
    expect(c1.inbox()).toEqual([refused('queuedBytes')]);
  });

  it('of requests a second', () => {
    const s = limited({ requestsPerSecond: 2 });
    const c1 = s.client('c1', { key: 'alice' });
    c1.hello().request('echo', '1').request('echo', '2');
    expect(c1.inbox()).toEqual([refused('requestsPerSecond')]);
    s.after(500);
    c1.request('echo', '3').request('echo', '4');
    expect(c1.inbox()).toEqual([refused('requestsPerSecond')]);
  });

  it('of workers', () => {
    const s = limited({ workers: 1 });
    const w1 = s.worker('w1', { key: 'alice' }).ready('a');
    expect(s.worker('w2', { key: 'alice' }).ready('b').inbox()).toEqual(['DISCONNECT']);
    expect(s.worker('w3', { key: 'bob' }).ready('c').inbox()).toEqual([]);
    w1.disconnect();
    expect(s.worker('w4', { key: 'alice' }).ready('d').inbox()).toEqual([]);
    expect(s.broker.counters.workersRefused.limit).toBe(1);
    expect(s.broker.counters.quotas.workers).toBe(1);
    const text = 'the quota `workers` of this identity is used up (limits.perPeer)';
    expect(s.events('worker.refused')).toMatchObject([
      { service: 'b', reason: 'limit', text, key: 'alice' },
    ]);
  });

  it('of names of services', () => {
    const s = limited({ services: 2 });
    const c1 = s.client('c1', { key: 'alice' }).hello();
    c1.request('a', '1').request('b', '2').request('echo', '3');
    expect(c1.inbox()).toEqual([refused('services')]);
    s.worker('w1', { key: 'bob' }).ready('echo');
    c1.request('echo', '4');
    expect(s.broker.load.services).toBe(3);
  });

  /** What a hello with this envelope brings to its own connection: the id of each answer, service and status. */
  function told(to: Connection): (string | undefined)[] {
    return to.raw().map(([of, , , service, status]) => `${of} ${service} ${status}`);
  }
  function hello(from: Connection, id: string): (string | undefined)[] {
    from.sends(id, '', 'MDPC01', 'mmi.hello', '');
    return told(from);
  }
  const USED_UP = 'the quota `hellos` of this identity is used up';

  it('of hellos, of which the oldest of a proxy gives way, and its client is told', () => {
    const s = limited({ hellos: 2 });
    const proxy = s.connection('proxy', { key: 'alice' });
    expect([hello(proxy, '1'), hello(proxy, '2')]).toEqual([
      ['1 mmi.hello 200'],
      ['2 mmi.hello 200'],
    ]);
    // The place of 1 is renewed.
    expect(hello(proxy, '1')).toEqual(['1 mmi.hello 200']);
    expect(hello(proxy, '3')).toEqual(['2 mmi.refused 429', '3 mmi.hello 200']);
    expect(s.events('request.refused')).toMatchObject([
      { service: 'mmi.hello', reason: 'quota', text: USED_UP, key: 'alice' },
    ]);
    expect(s.broker.counters.quotas.hellos).toBe(1);
    for (const id of ['1', '2', '3']) proxy.sends(id, '', 'MDPC01', 'mmi.hello', '');
    proxy.disconnect();
    const again = s.connection('again', { key: 'alice' });
    expect([hello(again, '4'), hello(again, '5')].flat()).toEqual([
      '4 mmi.hello 200',
      '5 mmi.hello 200',
    ]);
  });

  it('of hellos: the oldest of the proxy that has most gives way to that of another', () => {
    const s = limited({ hellos: 3 });
    const proxy = s.connection('proxy', { key: 'alice' });
    for (const id of ['1', '2', '3']) hello(proxy, id);
    const other = s.connection('other', { key: 'alice' });
    expect(hello(other, '4')).toEqual(['4 mmi.hello 200']);
    expect(told(proxy)).toEqual(['1 mmi.refused 429']);
    expect(s.broker.counters.quotas.hellos).toBe(1);
    proxy.disconnect();
    for (const id of ['5', '6']) expect(hello(other, id)).toEqual([`${id} mmi.hello 200`]);
    expect(hello(other, '7')).toEqual(['4 mmi.refused 429', '7 mmi.hello 200']);
  });

  it('of no hello: one with an envelope is told of it', () => {
    const s = limited({ hellos: 0 });
    const proxy = s.connection('proxy', { key: 'alice' });
    expect(hello(proxy, '1')).toEqual(['1 mmi.refused 429']);
    expect(s.broker.counters.quotas.hellos).toBe(1);
    const printer = s.worker('w1', { key: 'w' }).ready('print');
    // Without an envelope it is that of the connection, of which there is one.
    for (const name of ['c1', 'c2', 'c3']) {
      const client = s.client(name, { key: 'alice' }).hello('{"failures":true}');
      client.request('print', 'x');
      printer.fails(['error', 'no-paper', 'none']);
      expect(client.inbox()).toEqual(['FINAL mmi.failed print|no-paper|none']);
    }
  });

  it('of bytes of envelopes with hellos: so many of the oldest give way', () => {
    const s = limited({});
    const proxy = s.connection('proxy', { key: 'alice' });
    const long = (id: string): string => id.repeat(30_000);
    for (const id of ['1', '2']) hello(proxy, long(id));
    const third = '3'.repeat(60_000);
    expect(hello(proxy, third)).toEqual([
      `${long('1')} mmi.refused 429`,
      `${long('2')} mmi.refused 429`,
      `${third} mmi.hello 200`,
    ]);
    const larger = '4'.repeat(70_000);
    expect(hello(proxy, larger)).toEqual([`${larger} mmi.refused 429`]);
  });

  it('of requests a second, which its hello is told of, too', () => {
    const s = limited({ requestsPerSecond: 1 });
    s.client('c1', { key: 'alice' }).request('echo', '1');
    const client = s.connection('c2', { key: 'alice' });
    expect(hello(client, '2')).toEqual(['2 mmi.refused 429']);
    s.after(1000);
    expect(hello(client, '2')).toEqual(['2 mmi.hello 200']);
  });
});

describe('what a node holds for its peers (D77)', () => {
  /** What its hello brings: the first character of the id, and the answer. */
  function longHello(from: Connection, id: string): string {
    from.sends(id.repeat(30_000), '', 'MDPC01', 'mmi.hello', '');
    const answers = from.raw().map(([of = '', , , , status]) => `${of.slice(0, 1)} ${status}`);
    return answers.join();
  }

  it('includes the hellos of clients behind a proxy, until they are forgotten', () => {
    const holdings = new Holdings();
    const s = stage({ holdings });
    const [proxy, other] = [s.connection('proxy'), s.connection('other')];
    expect(longHello(proxy, '1')).toBe('1 200');
    const one = holdings.bytes;
    expect(one).toBeGreaterThan(4 * 30_000);
    expect([longHello(other, '2'), longHello(other, '2')]).toEqual(['2 200', '2 200']);
    expect(holdings.bytes).toBe(2 * one);
    proxy.disconnect();
    expect(longHello(other, '3')).toBe('3 200');
    // 2 loses its place, and what it sent before is still told of failures.
    expect(longHello(other, '4')).toBe('2 429,4 200');
    expect(holdings.bytes).toBe(3 * one);
    other.disconnect();
    expect(holdings.bytes).toBe(0);
  });

  it('is limited by memory: a hello for which there is none is refused', () => {
    const s = stage({ holdings: new Holdings(160_000) });
    const proxy = s.connection('proxy');
    expect([longHello(proxy, '1'), longHello(proxy, '2')]).toEqual(['1 200', '2 429']);
    const text = 'limits.memoryBytes is reached';
    expect(s.events('request.refused')).toMatchObject([{ service: 'mmi.hello', text }]);
  });

  it('is limited by memory: the identity that holds most is refused first', () => {
    const holdings = new Holdings(10_000);
    const s = stage({ holdings });
    const greedy = s.client('greedy', { key: 'greedy' }).hello();
    for (let n = 0; n < 12; n++) greedy.request('echo', 'x'.repeat(1000));
    expect(greedy.inbox()[0]).toBe('FINAL mmi.refused 429|echo|limits.memoryBytes is reached');
    const modest = s.client('modest', { key: 'modest' }).request('echo', 'hi');
    s.worker('w1', { key: 'w' }).ready('echo', { credit: 100 }).final('HI', { of: 'hi' });
    expect(modest.inbox()).toEqual(['FINAL echo HI']);
    expect(holdings.bytes).toBeLessThan(12_000);
  });

  it('goes back to nothing when everything has ended', () => {
    const holdings = new Holdings();
    const s = stage({ holdings });
    const w1 = s.worker('w1', { version: 2 }).ready('echo', { credit: 10 });
    const c1 = s.client('c1', { version: 1 }).request('echo', 'a').request('echo', 'b');
    w1.partial('part', { of: 'a' });
    expect(holdings.bytes).toBeGreaterThan(0);
    w1.final('A', { of: 'a' });
    c1.disconnect();
    w1.final('B', { of: 'b' });
    w1.disconnect();
    expect([
      holdings.bytes,
      [...holdings.accounts.values()].map(({ identity }) => identity),
    ]).toEqual([0, ['broker']]);
  });

  it('PARTIALs that would join to more frames than a message may have end the request', () => {
    const s = stage({ limits: { frames: 16 } });
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { version: 1 }).request('echo', 'a');
    for (let n = 0; n < 9; n++) w1.partial(['1', '2']);
    w1.final('end');
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters.requestsAbandoned).toBe(1);
  });
});
