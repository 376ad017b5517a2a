/** Whom a broker of a fleet asks for a right: clients are checked at the origin, workers at the holder. */
import { NO_QUOTAS, type Quotas } from '../../../src/broker/quotas.js';
import { endFleets, fleet, type FleetWorldOptions } from '../../support/fleet-stage.js';
import { type May, TestKey } from '../../support/rights.js';

afterEach(endFleets);

/** A broker at which every key has these rights. */
function allows(client: May, worker: May): FleetWorldOptions {
  const key = new TestKey(client, worker);
  return { rightsOf: () => key };
}

function limits(quotas: Partial<Quotas>): FleetWorldOptions {
  return { quotasOf: () => ({ ...NO_QUOTAS, ...quotas }) };
}

describe('the rights of a client', () => {
  it('that the origin does not give are refused there (403), whatever the holder allows', () => {
    const w = fleet();
    const holder = w.broker('holder', allows(true, true));
    const origin = w.broker('origin', allows(['other'], true));
    const worker = holder.worker('w', { key: 'w' }).ready('echo');
    const client = origin.client('c', { key: 'alice' }).hello().request('echo', 'hi');
    w.after(500);
    expect(client.inbox()).toEqual([
      'FINAL mmi.refused 403|echo|no right to send requests to this service',
    ]);
    expect(worker.inbox()).toEqual([]);
    expect(origin.broker.counters.requestsRefused.rights).toBe(1);
    // Nothing travelled, not even the question who serves it.
    expect(w.packs.filter(({ subject }) => subject.includes('want'))).toEqual([]);
    expect(holder.machine.counters.bridged.in).toBe(0);
  });

  it('that the origin gives are enough: the holder, which gives none, does not ask again', () => {
    const w = fleet();
    const holder = w.broker('holder', allows(false, true));
    const origin = w.broker('origin', allows(['echo'], false));
    const worker = holder.worker('w', { key: 'w' }).ready('echo');
    const client = origin.client('c', { key: 'alice' }).hello().request('echo', 'hi');
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
    // A client of its own is refused.
    const own = holder.client('own', { key: 'alice' }).hello().request('echo', 'hi');
    expect(own.inbox()).toEqual([expect.stringContaining('mmi.refused 403|echo')]);
  });

  it('withdrawn while its request waits at the origin: it gets 403, and nothing travels (D73)', () => {
    const w = fleet();
    const holder = w.broker('holder');
    const key = new TestKey(true, true);
    const origin = w.broker('origin', { rightsOf: () => key });
    const client = origin.client('c', { key: 'alice' }).hello().request('echo', 'hi');
    key.may(false, false);
    origin.input((broker, now) => broker.connections.rightsChanged('alice', now));
    const worker = holder.worker('w').ready('echo');
    w.after(500);
    expect(client.inbox()).toEqual([expect.stringContaining('mmi.refused 403|echo')]);
    expect(worker.inbox()).toEqual([]);
    expect(origin.broker.load).toMatchObject({ requests: 0, requestsOut: 0 });
  });
});

describe('the rights of a worker', () => {
  it('that its broker does not give are refused there, though every other broker gives them', () => {
    const w = fleet();
    const holder = w.broker('holder', allows(true, ['other']));
    const origin = w.broker('origin', allows(true, true));
    const rogue = holder.worker('rogue', { key: 'mallory' }).ready('echo', { credit: 100 });
    const client = origin.client('c', { key: 'alice' }).hello().request('echo', 'hi');
    w.after(500);
    expect(rogue.inbox()).toEqual(['DISCONNECT']);
    expect(holder.events('worker.refused')).toMatchObject([{ reason: 'rights', key: 'mallory' }]);
    expect(origin.broker.load).toMatchObject({ requests: 1, requestsOut: 0 });
    // The request waits for one that may.
    const worker = origin.worker('w', { key: 'bob' }).ready('echo');
    expect(worker.inbox()).toEqual(['REQUEST hi']);
    worker.final('ho');
    expect(client.inbox()).toEqual(['FINAL echo ho']);
  });
});

describe('the quotas of a client', () => {
  it('of outstanding requests hold at the origin, also for what is at a holder', () => {
    const w = fleet();
    const holder = w.broker('holder');
    const origin = w.broker('origin', limits({ outstanding: 2 }));
    const worker = holder.worker('w').ready('echo', { credit: 10 });
    const client = origin.client('c', { key: 'alice' }).hello();
    client.request('echo', '1').request('echo', '2').request('echo', '3');
    expect(worker.inbox()).toEqual(['REQUEST 1', 'REQUEST 2']);
    expect(origin.broker.load.requestsOut).toBe(2);
    expect(client.inbox()).toEqual([
      'FINAL mmi.refused 429|echo|the quota `outstanding` of this identity is used up',
    ]);
    // A reply that came back makes room.
    worker.final('one');
    client.request('echo', '4');
    expect(worker.inbox()).toEqual(['REQUEST 4']);
    worker.final('two').final('four');
    expect(client.inbox()).toEqual(['FINAL echo one', 'FINAL echo two', 'FINAL echo four']);
  });

  it('are not counted at the holder', () => {
    const w = fleet();
    const holder = w.broker('holder', limits({ outstanding: 1 }));
    const origin = w.broker('origin');
    const worker = holder.worker('w', { key: 'w' }).ready('echo', { credit: 10 });
    const client = origin.client('c', { key: 'alice' });
    for (const body of ['1', '2', '3']) client.request('echo', body);
    expect(worker.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'REQUEST 3']);
    worker.final('one').final('two').final('three');
    expect(client.inbox()).toHaveLength(3);
  });
});
