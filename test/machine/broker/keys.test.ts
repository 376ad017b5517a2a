import type { InternalService } from '../../../src/broker/ports.js';
import { endStages, type Stage, stage } from '../../support/stage.js';
import { rules, TestKey } from '../../support/rights.js';

afterEach(endStages);

/** Alice may ask, bob may work. */
function keyed(): { s: Stage; bob: TestKey } {
  const bob = new TestKey(false, true);
  const alice = new TestKey(true, false);
  return { s: stage({ rightsOf: (_, key) => (key === 'bob' ? bob : alice) }), bob };
}

describe('a key (docs/configuration.md)', () => {
  it('without the right to work: its READY is answered by DISCONNECT, and counted', () => {
    const { s } = keyed();
    expect(s.worker('w1', { key: 'alice' }).ready('echo').inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.workersRefused.rights).toBe(1);
    expect(s.broker.load.workers).toBe(0);
  });

  it('without the right to ask: its requests are refused, silently and counted', () => {
    const { s } = keyed();
    const w1 = s.worker('w1', { key: 'bob' }).ready('echo');
    const c1 = s.client('c1', { key: 'bob' }).request('echo', 'hi');
    expect([c1.inbox(), w1.inbox()]).toEqual([[], []]);
    expect(s.broker.counters.requestsRefused.rights).toBe(1);
  });

  it('without the right to ask asks mmi.*, and no other service of the broker (§4)', () => {
    const asked: string[] = [];
    const stored: InternalService = {
      prefix: Buffer.from('titanic.'),
      offers: () => true,
      request: ({ id, service }, host) => {
        asked.push(service.toString());
        host.answer(id, [Buffer.from('400')]);
      },
    };
    const rightsOf = (_: number, key: string): TestKey => new TestKey(key === 'alice', true);
    const s = stage({ rightsOf, hosts: [stored] });
    const c1 = s.client('c1', { key: 'bob' });
    c1.request('titanic.request', 'echo', 'hi').request('mmi.service', 'titanic.request');
    expect(c1.inbox()).toEqual(['FINAL mmi.service 200']);
    expect(asked).toEqual([]);
    expect(s.events('request.refused')).toMatchObject([{ reason: 'rights' }]);
    expect(s.broker.counters.requestsRefused.rights).toBe(0);
    s.client('c2', { key: 'alice' }).request('titanic.reply', 'x');
    expect(asked).toEqual(['titanic.reply']);
  });

  it('with the right does what it may', () => {
    const { s } = keyed();
    const w1 = s.worker('w1', { key: 'bob' }).ready('echo');
    const c1 = s.client('c1', { key: 'alice' }).request('echo', 'hi');
    w1.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
    expect(s.events('worker.registered')).toMatchObject([{ key: 'bob' }]);
    expect(s.broker.listing.allWorkers(s.now)[0]?.json).toContain('"key":"bob"');
  });

  it('is held to its rights as they are now', () => {
    const { s, bob } = keyed();
    const w1 = s.worker('w1', { key: 'bob' });
    bob.may(false, false);
    expect(w1.ready('echo').inbox()).toEqual(['DISCONNECT']);
  });

  it('widens nothing that its listener does not allow', () => {
    const s = stage({
      listeners: [rules(true, false)],
      rightsOf: () => new TestKey(true, true),
    });
    expect(s.worker('w1', { key: 'bob' }).ready('echo').inbox()).toEqual(['DISCONNECT']);
  });

  it('of two that a name has: that which is revoked, alone, loses its connections (D73)', () => {
    const { s } = keyed();
    const old = s.worker('old', { key: 'bob', publicKey: 'aa' }).ready('echo');
    const next = s.worker('next', { key: 'bob', publicKey: 'bb' }).ready('echo');
    s.input((broker) => broker.connections.revoke(0, 'aa'));
    const closed = [old, next].map(({ connection }) => connection.closedByBroker);
    expect(closed).toEqual([true, false]);
  });

  it('that is revoked loses its connections there, and no other does', () => {
    const { s } = keyed();
    const w1 = s.worker('w1', { key: 'bob' }).ready('echo');
    const c1 = s.client('c1', { key: 'alice' });
    const c2 = s.client('c2');
    s.input((broker) => broker.connections.revoke(1, 'bob'));
    expect(w1.connection.closedByBroker).toBe(false);
    s.input((broker) => broker.connections.revoke(0, 'bob'));
    const closed = [w1, c1, c2].map(({ connection }) => connection.closedByBroker);
    expect(closed).toEqual([true, false, false]);
  });
});
