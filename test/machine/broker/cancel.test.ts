/** Requests that nobody wants the answer of any more (D106). */
import { plainFigures } from '../../../src/admin/metrics/rates.js';
import { StageInternalClient, SUBMITTERS } from '../../support/stage-internal-client.js';
import { endStages, type Stage, stage } from '../../support/stage.js';
import type { ClientActor } from '../../support/stage-peers.js';

afterEach(endStages);

/** Two requests of one connection, told apart by the id that ends their envelopes, and who asks about them. */
function clients(s: Stage, name = 'c1', ...before: string[]): readonly ClientActor[] {
  const first = s.client(name, { envelope: [...before, 'a'] });
  const over = first.connection;
  const second = s.client(name, { envelope: [...before, 'b'], over });
  return [first, second, s.client(name, { envelope: before, over })];
}

function outcomes(s: Stage): unknown {
  const { counters } = s.broker;
  const { requestsCancelled: cancelled, requestsReplied, cancels, repliesDropped } = counters;
  return { cancelled, requestsReplied, cancels, late: repliesDropped.too_late };
}

describe('mmi.cancel', () => {
  it.each([1, 2] as const)('tells a worker that asked for it (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('echo', { credit: 2, cancel: true });
    const [a, b, asks] = clients(s);
    a?.request('echo', 'one');
    b?.request('echo', 'two');
    expect(w1.inbox()).toEqual(['REQUEST one', 'REQUEST two']);
    asks?.request('mmi.cancel', 'a');
    expect(asks?.inbox()).toEqual(['FINAL mmi.cancel 200']);
    expect(w1.inbox()).toEqual(['CANCEL one']);
    // Its delivery ends as any other, and then it has room.
    w1.fails(['error', 'cancelled', ''], { of: 'one' });
    w1.final('2', { of: 'two' });
    expect([a?.inbox(), b?.inbox()]).toEqual([[], ['FINAL echo 2']]);
    a?.request('echo', 'three');
    expect(w1.inbox()).toEqual(['REQUEST three']);
    w1.final('3');
    expect(outcomes(s)).toEqual({
      ...{ cancelled: 1, requestsReplied: 2, cancels: 1, late: 1 },
    });
    expect(s.events('request.dropped')).toEqual([
      { name: 'request.dropped', service: 'echo', reason: 'cancelled', waited: 'no_answer' },
    ]);
  });

  it('counts as a failure of the service, unless its client had a part of the answer', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const [a, b, asks] = clients(s);
    a?.request('echo', 'one');
    b?.request('echo', 'two');
    w1.partial('1', { of: 'one' });
    asks?.request('mmi.cancel', 'a', 'b');
    const reasons = s.events('request.dropped').map((event) => event.reason);
    expect(reasons).toEqual(['left', 'cancelled']);
    const { requests } = s.broker.counters;
    const { now } = requests.services.of('echo').plain;
    expect(plainFigures(requests, now, 1)).toMatchObject({
      ...{ requestsPerSecond: 2, repliesPerSecond: 0, failuresPerSecond: 1 },
    });
  });

  it('lets a worker that did not ask finish in vain', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const [a, , asks] = clients(s);
    a?.request('echo', 'one');
    asks?.request('mmi.cancel', 'a', 'a', 'unknown');
    expect(w1.inbox()).toEqual(['REQUEST one']);
    w1.final('1');
    expect(a?.inbox()).toEqual([]);
    expect(outcomes(s)).toEqual({
      ...{ cancelled: 1, requestsReplied: 0, cancels: 0, late: 1 },
    });
  });

  it('ends a request that waits, and no other', () => {
    const s = stage();
    const [a, b, asks] = clients(s);
    a?.request('echo', 'one');
    b?.request('echo', 'two');
    asks?.request('mmi.cancel', 'a');
    const w1 = s.worker('w1').ready('echo', { cancel: true });
    expect(w1.inbox()).toEqual(['REQUEST two']);
    w1.final('2');
    expect(outcomes(s)).toMatchObject({ cancelled: 1, cancels: 0 });
  });

  it('is for requests of its own connection, over the same proxies', () => {
    const s = stage();
    const [a, , asks] = clients(s, 'c1', 'proxy');
    const [other] = clients(s, 'c2', 'proxy');
    other?.request('echo', 'theirs');
    a?.request('echo', 'mine');
    clients(s, 'c3')[2]?.request('mmi.cancel', 'a');
    clients(s, 'c3', 'other proxy')[2]?.request('mmi.cancel', 'a');
    const w1 = s.worker('w1').ready('echo', { credit: 2, cancel: true });
    asks?.request('mmi.cancel', 'a');
    expect(w1.inbox()).toEqual(['REQUEST theirs', 'REQUEST mine', 'CANCEL mine']);
    w1.final('1', { of: 'mine' }).final('1', { of: 'theirs' });
    expect(other?.inbox()).toEqual(['FINAL echo 1']);
  });

  it('is not delivered again when its worker is lost', () => {
    const s = stage({ maxDeliveries: 3 });
    const w1 = s.worker('w1').ready('echo', { cancel: true });
    const [a, , asks] = clients(s);
    a?.request('echo', 'one');
    asks?.request('mmi.cancel', 'a');
    w1.disconnect();
    expect(s.worker('w2').ready('echo').inbox()).toEqual([]);
    expect(s.broker.load.requests).toBe(0);
  });

  it.each([
    ['a frame that is too long', ['x'.repeat(256)]],
    ['too many frames', Array.from({ length: 101 }, (_, n) => String(n))],
  ])('refuses %s', (_, ids) => {
    const s = stage();
    const [, , asks] = clients(s);
    asks?.request('mmi.cancel', ...ids);
    expect(asks?.inbox()).toEqual(['FINAL mmi.cancel 400']);
  });

  it('ends no request that came later under the same id', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { cancel: true });
    const [a, b, asks] = clients(s);
    s.batch(() => {
      a?.request('echo', 'old');
      asks?.request('mmi.cancel', 'a');
      a?.request('echo', 'new');
      asks?.request('mmi.cancel', 'b');
    });
    expect(w1.inbox()).toEqual(['REQUEST new']);
    w1.final('done');
    expect(a?.inbox()).toEqual(['FINAL echo done']);
    expect(b?.inbox()).toEqual([]);
  });

  it('ends no request of a neighbour behind the same proxy', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const bob = s.client('proxy', { envelope: ['bob'] });
    const mallory = s.client('proxy', { envelope: ['mallory'], over: bob.connection });
    bob.request('echo', 'hi');
    mallory.request('mmi.cancel', 'bob');
    w1.final('ho');
    expect(bob.inbox()).toEqual(['FINAL echo ho']);
  });

  it('refuses an envelope that no program makes', () => {
    const s = stage();
    const asks = s.client('c1', { envelope: ['x'.repeat(1025)] });
    asks.request('mmi.cancel', 'a');
    expect(asks.inbox()).toEqual(['FINAL mmi.cancel 429']);
  });

  it('of many requests looks for one each at once, and in slices', () => {
    const s = stage();
    const [a, , asks] = clients(s);
    const hundred = Array.from({ length: 100 }, (_, n) => `id ${n}`);
    s.batch(() => {
      for (let n = 0; n < 5000; n++) a?.request('echo', 'x');
    });
    s.after(1);
    s.batch(() => {
      for (let n = 0; n < 52; n++) {
        asks?.request('mmi.cancel', ...hundred.map((id) => `${id} of ${n}`));
      }
    });
    const answers = asks?.inbox() ?? [];
    expect(answers.filter((line) => line.endsWith('200'))).toHaveLength(51);
    expect(answers.at(-1)).toBe('FINAL mmi.cancel 429');
    s.after(1);
    asks?.request('mmi.cancel', 'a');
    s.after(1);
    expect(outcomes(s)).toMatchObject({ cancelled: 5000 });
    expect(s.broker.load.requests).toBe(0);
  });
});

describe('a worker hears', () => {
  it.each(SUBMITTERS)('that a %s request is withdrawn', (from) => {
    const s = stage();
    const titanic = new StageInternalClient(s, from);
    const w1 = s.worker('w1').ready('echo', { cancel: true });
    titanic.submits(1, 'echo', 'hi');
    titanic.heard();
    titanic.withdraws(1);
    expect(w1.inbox()).toEqual(['REQUEST hi', 'CANCEL hi']);
    w1.final('ho');
    expect(titanic.heard()).toEqual([]);
  });

  it('that the late reply of another was used', () => {
    const s = stage({ heartbeatIntervalMs: 1000, heartbeatLiveness: 3 });
    const w1 = s.worker('w1').ready('echo', { cancel: true }).heartbeatsEvery(1000);
    const c1 = s.client('c1').request('echo', 'hi');
    s.after(2500);
    w1.fallsSilent();
    const token = w1.token();
    const w2 = s.worker('w2').ready('echo', { cancel: true }).heartbeatsEvery(1000);
    s.after(5000);
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    w1.reconnects().final('late', { token });
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    expect(w2.inbox()).toEqual(['CANCEL hi']);
    w2.final('too late');
    expect(c1.inbox()).toEqual([]);
  });
});
