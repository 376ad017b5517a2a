import { endStages, stage, type Stage } from '../../support/stage.js';
import type { ClientActor, WorkerActor } from '../../support/stage-peers.js';

afterEach(endStages);

interface Scene {
  readonly s: Stage;
  readonly c1: ClientActor;
  /** Was given `hi`, was then expired in silence, its connection ended (D102), and connected again. */
  readonly w1: WorkerActor;
}

function silentWorker(
  options: { version?: 1 | 2; client?: 1 | 2; maxDeliveries?: number } = {},
): Scene {
  const { maxDeliveries = 3 } = options;
  const s = stage({ busyTimeoutMs: 5000, requestTtlMs: 60_000, maxDeliveries });
  const w1 = s.worker('w1', { version: options.version ?? 2 }).ready('echo');
  const c1 = s.client('c1', { version: options.client ?? 2 }).request('echo', 'hi');
  s.after(5000);
  expect(w1.inbox()).toEqual(['REQUEST hi']);
  expect(s.broker.load).toMatchObject({ workers: 0, requests: 1, requestsOut: 0 });
  w1.reconnects();
  return { s, c1, w1 };
}

describe('a reply that comes after its worker was expired', () => {
  it.each([1, 2] as const)(
    'is used while the request waits again, and its sender told DISCONNECT (0.%i, D8)',
    (version) => {
      const { s, c1, w1 } = silentWorker({ version });
      w1.final('late');
      expect(c1.inbox()).toEqual(['FINAL echo late']);
      expect(w1.inbox()).toEqual(['DISCONNECT']);
      expect(s.broker.load.requests).toBe(0);
      expect(s.worker('w2').ready('echo').inbox()).toEqual([]);
      expect(s.broker.counters).toMatchObject({ requestsReplied: 1, unexpected: 0 });
    },
  );

  it('is used while the request is at another worker, whose reply is dropped and counted (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    const w2 = s.worker('w2').ready('echo');
    expect(w2.inbox()).toEqual(['REQUEST hi']);
    w1.final('late');
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    w2.final('second');
    expect(c1.inbox()).toEqual([]);
    expect(w2.inbox()).toEqual([]);
    expect(s.broker.counters.repliesDropped.answered).toBe(1);
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0 });
  });

  it('is dropped and counted when another worker was first, its sender told DISCONNECT (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    s.worker('w2').ready('echo').final('first');
    w1.final('late');
    expect(c1.inbox()).toEqual(['FINAL echo first']);
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters).toMatchObject({ unexpected: 0, repliesDropped: { answered: 1 } });
  });

  it('does not punish a worker that has registered again (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    w1.ready('other');
    w1.final('late');
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    expect(w1.inbox()).toEqual([]);
    expect(s.broker.load.workers).toBe(1);
  });

  it('does not punish it when the request was answered by another, either (D8)', () => {
    const { s, w1 } = silentWorker();
    s.worker('w2').ready('echo').final('first');
    w1.ready('other').final('late');
    expect(w1.inbox()).toEqual([]);
    expect(s.broker.counters.repliesDropped.answered).toBe(1);
  });

  it('is used from the worker that was given the same request once more (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    const first = w1.token();
    w1.ready('echo');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('late', { token: first });
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    w1.final('again');
    expect([c1.inbox(), w1.inbox()]).toEqual([[], []]);
    expect(s.broker.counters.repliesDropped.answered).toBe(1);
    expect(s.broker.load.workers).toBe(1);
  });

  it('is routed by its token, also over another connection (D7, D8)', () => {
    const { s, c1, w1 } = silentWorker();
    const token = w1.token();
    const again = s.worker('w1 again').ready('other').final('late', { token });
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    expect(again.inbox()).toEqual([]);
  });

  it('is dropped and counted once the request has expired (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    s.after(60_000);
    expect(s.broker.counters.requestsExpired).toBe(1);
    w1.final('late');
    expect([c1.inbox(), w1.inbox()]).toEqual([[], ['DISCONNECT']]);
    expect(s.broker.counters).toMatchObject({ unexpected: 0, repliesDropped: { too_late: 1 } });
  });

  it('is dropped and counted once the request was abandoned (D8)', () => {
    const { s, c1, w1 } = silentWorker({ maxDeliveries: 2 });
    s.worker('w2').ready('echo').disconnect();
    expect(s.broker.counters.requestsAbandoned).toBe(1);
    w1.final('late');
    expect([c1.inbox(), w1.inbox()]).toEqual([[], ['DISCONNECT']]);
    expect(s.broker.counters).toMatchObject({ unexpected: 0, repliesDropped: { too_late: 1 } });
  });

  it('is dropped and counted once its client was dropped (D8, D26)', () => {
    const { s, c1, w1 } = silentWorker();
    c1.disconnect();
    expect(s.broker.counters.requestsDropped).toBe(1);
    w1.final('late');
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters).toMatchObject({ unexpected: 0, repliesDropped: { too_late: 1 } });
  });

  it('is not whole after PARTIALs, so it is not used (D8, D10)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const w2 = s.worker('w2');
    const c1 = s.client('c1', { version: 1 }).request('echo', 'hi');
    w1.partial('a').disconnect();
    w1.connection.connect();
    w1.final('b');
    expect(c1.inbox()).toEqual([]);
    expect(s.broker.counters.repliesDropped.too_late).toBe(1);
    w2.ready('echo').final('whole');
    expect(c1.inbox()).toEqual(['REPLY echo whole']);
  });

  it('is whole if only progress was told before it (D8, D82)', () => {
    const { c1, w1 } = silentWorker();
    w1.partial(['MDPP01', '50 %']).final('whole');
    expect(c1.inbox()).toEqual(['FINAL echo whole']);
  });

  it('is not whole when a PARTIAL of it came late, too (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    w1.partial('a');
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    w1.final('b');
    expect([c1.inbox(), w1.inbox()]).toEqual([[], ['DISCONNECT']]);
    s.worker('w2').ready('echo').final('whole');
    expect(c1.inbox()).toEqual(['FINAL echo whole']);
  });

  it('is not used when another worker has begun to stream to the client (D8, D6)', () => {
    const { s, c1, w1 } = silentWorker();
    const w2 = s.worker('w2').ready('echo');
    w2.partial('a');
    w1.final('late');
    w2.final('b');
    expect(c1.inbox()).toEqual(['PARTIAL echo a', 'FINAL echo b']);
    expect(s.broker.counters.repliesDropped.too_late).toBe(1);
  });

  it('is used instead of PARTIALs of another worker that are held back (D8, D10)', () => {
    const { s, c1, w1 } = silentWorker({ client: 1 });
    const w2 = s.worker('w2').ready('echo');
    w2.partial('a');
    w1.final('late');
    expect(c1.inbox()).toEqual(['REPLY echo late']);
    w2.partial('b').final('c');
    expect([c1.inbox(), w2.inbox()]).toEqual([[], ['REQUEST hi']]);
    expect(s.broker.counters.repliesDropped.answered).toBe(1);
  });

  it('is used for the second of two lost workers, whoever is first (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    const w2 = s.worker('w2').ready('echo');
    s.after(5000);
    expect(s.broker.load.workers).toBe(0);
    w2.reconnects().final('second');
    w1.final('first');
    expect(c1.inbox()).toEqual(['FINAL echo second']);
    expect([w1.inbox(), w2.inbox()]).toEqual([['DISCONNECT'], ['REQUEST hi', 'DISCONNECT']]);
    expect(s.broker.counters.repliesDropped.answered).toBe(1);
  });

  it('leaves the worker that still has the request to be lost as any other (D8)', () => {
    const { s, c1, w1 } = silentWorker();
    const w2 = s.worker('w2').ready('echo');
    w1.final('late');
    w2.disconnect();
    expect(c1.inbox()).toEqual(['FINAL echo late']);
    expect(s.broker.counters.requestsRequeued).toBe(1);
    expect(s.broker.load.requests).toBe(0);
  });

  it('does not count as used by a RETURN: the request is elsewhere already (D8, D25)', () => {
    const s = stage({ busyTimeoutMs: 5000 });
    const w1 = s.worker('w1').ready('echo', { credit: 2 });
    const c1 = s.client('c1').request('echo', 'hi');
    s.after(5000);
    w1.reconnects().ready('other', { credit: 2 });
    w1.returns('late');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    s.worker('w2').ready('echo').final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
  });
});

describe('a reply of a worker that said it would not come', () => {
  it('by DISCONNECT is not used: it has given the request back (D8)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.saysDisconnect().final('late');
    expect(c1.inbox()).toEqual([]);
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    expect(s.broker.counters.unexpected).toBe(1);
    s.worker('w2').ready('echo').final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
  });

  it('by DISCONNECT is not used because of an earlier delivery that was lost in silence (D8)', () => {
    const s = stage({ maxDeliveries: 1000 });
    const c1 = s.client('c1').request('echo', 'hi');
    for (let at = 0; at < 100; at++) s.worker(`w${at}`).ready('echo').disconnect();
    const last = s.worker('last').ready('echo').saysDisconnect().final('late');
    expect([c1.inbox(), last.inbox()]).toEqual([[], ['REQUEST hi', 'DISCONNECT']]);
  });

  it('by RETURN is unexpected (D25, D8)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 1 });
    const w2 = s.worker('w2').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    const token = w1.token();
    w1.returns('no').final('late', { token });
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    w2.final('HI');
    expect(c1.inbox()).toEqual(['FINAL echo HI']);
  });

  it('after it was disconnected for a malformed message is not used (docs/protocol.md, D8)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    const c1 = s.client('c1').request('echo', 'hi');
    w1.connection.sends('MDPW02', '\x01');
    w1.final('late');
    expect(c1.inbox()).toEqual([]);
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT', 'DISCONNECT']);
  });
});
