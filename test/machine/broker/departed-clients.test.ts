import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

describe('when the connection of a client ends', () => {
  it('its requests that wait are dropped, counted and told in events (D26)', () => {
    const s = stage();
    const c1 = s.client('c1').request('echo', '1').request('echo', '2').request('other', '3');
    const c2 = s.client('c2').request('echo', '4');
    c1.disconnect();
    expect(s.broker.counters.requestsDropped).toBe(3);
    expect(s.events('request.dropped')[0]).toEqual({
      name: 'request.dropped',
      service: 'echo',
      reason: 'client_gone',
      waited: 'no_worker',
    });
    expect(s.broker.load).toMatchObject({ requests: 1, clients: 1, services: 1 });
    s.worker('w1').ready('echo').final('four');
    expect(c2.inbox()).toEqual(['FINAL echo four']);
  });

  it('what is at a worker runs on, and its reply is dropped and counted (D26)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1').request('echo', '1').disconnect();
    expect(s.broker.load.requestsOut).toBe(1);
    w1.final('one');
    expect(s.broker.counters).toMatchObject({
      repliesDropped: { client_gone: 1 },
      requestsReplied: 0,
      requestsDropped: 0,
    });
    expect(w1.inbox()).toEqual(['REQUEST 1']);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0, clients: 0 });
  });

  it('what is at a worker that is then lost is dropped, not delivered again (D26, D6)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2').ready('echo');
    s.client('c1').request('echo', '1').disconnect();
    w1.disconnect();
    expect(w2.inbox()).toEqual([]);
    expect(s.broker.counters).toMatchObject({ requestsDropped: 1, requestsRequeued: 0 });
  });

  it('a request of it is never handed out in the turn of its end (D26)', () => {
    const s = stage();
    const c1 = s.client('c1').request('echo', '1');
    const w1 = s.worker('w1');
    s.batch(() => {
      w1.ready('echo');
      c1.disconnect();
    });
    expect(w1.inbox()).toEqual([]);
    expect(s.broker.counters.requestsDropped).toBe(1);
  });

  it('nobody who comes over a connection with its number is given its replies (D26)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'mine');
    const number = c1.connection.peer;
    c1.disconnect();
    const c2 = s.client('c2');
    expect(c2.connection.peer).toBe(number);
    w1.final('MINE');
    expect([c2.inbox(), c2.connection.raw()]).toEqual([[], []]);
  });
});

describe('a client with a routing id of its own', () => {
  it('may come back and still get its reply (D26)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { routingId: 'alice', envelope: ['id'] }).request('echo', 'hi');
    c1.disconnect();
    c1.connection.connect();
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
  });

  it('has its waiting requests kept while it is away (D26)', () => {
    const s = stage();
    const c1 = s.client('c1', { routingId: 'alice' }).request('echo', 'hi');
    c1.disconnect();
    expect(s.broker.load).toMatchObject({ requests: 1, clients: 1, peers: 0 });
    const w1 = s.worker('w1').ready('echo');
    c1.connection.connect();
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
    expect(s.broker.counters.requestsDropped).toBe(0);
  });

  it('that is away when the reply comes has lost it, counted (D26)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1', { routingId: 'alice' }).request('echo', 'hi');
    c1.disconnect();
    w1.final('HI');
    c1.connection.connect();
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters.repliesDropped.client_gone).toBe(1);
    expect(s.broker.load.clients).toBe(0);
  });

  it('is forgotten when nothing of it is left (D26)', () => {
    const s = stage({ requestTtlMs: 5000 });
    s.client('c1', { routingId: 'alice' }).request('echo', 'hi').disconnect();
    s.after(5000);
    expect(s.broker.load).toMatchObject({ requests: 0, clients: 0 });
  });

  it('is not another one of the same name from another address (D70)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    s.client('c1', { routingId: 'alice' }).request('echo', 'hi').disconnect();
    const other = s.client('c2', { routingId: 'alice', address: '10.0.0.1' });
    w1.final('HI');
    expect(other.inbox()).toEqual([]);
  });

  it('keeps what it asked before and after its return apart from nobody (D26)', () => {
    const s = stage();
    const c1 = s.client('c1', { routingId: 'alice' }).request('echo', '1');
    c1.disconnect();
    c1.connection.connect();
    c1.request('echo', '2').disconnect();
    c1.connection.connect();
    const w1 = s.worker('w1').ready('echo');
    w1.final('one').final('two');
    expect(c1.inbox()).toEqual(['FINAL echo one', 'FINAL echo two']);
  });

  it('that came back before its old connection ended is still itself after the next (D26)', () => {
    const s = stage();
    const before = s.client('before', { routingId: 'alice' }).request('echo', '1');
    const c1 = s.client('c1', { routingId: 'alice' }).request('echo', '2');
    before.disconnect();
    c1.disconnect();
    const w1 = s.worker('w1').ready('echo');
    w1.final('one');
    c1.connection.connect();
    w1.final('two');
    expect(c1.inbox()).toEqual(['FINAL echo two']);
  });
});

describe('a client behind a proxy', () => {
  it('has its requests kept as long as the connection of the proxy lives (D26)', () => {
    const s = stage();
    const proxy = s.connection('proxy');
    const c1 = s.client('c1', { over: proxy, envelope: ['one'] }).request('echo', 'hi');
    s.worker('w1').ready('echo').final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
    c1.request('idle', 'hi');
    proxy.disconnect();
    expect(s.broker.counters.requestsDropped).toBe(1);
  });
});
