/** Workers that leave: they get no more requests, and are let go when they hold none (D117). */
import { StageInternalClient } from '../../support/stage-internal-client.js';
import { endStages, stage } from '../../support/stage.js';

afterEach(endStages);

const UNBEGUN = 'mdp.not-begun: closing';

describe('A worker that leaves', () => {
  it.each([1, 2] as const)('is let go at once if it holds nothing (0.%i)', (version) => {
    const s = stage();
    const w1 = s.worker('w1', { version }).ready('echo', { credit: 3 }).leaves();
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    s.client('c1').request('echo', 'hi');
    expect(w1.inbox()).toEqual([]);
    expect(s.events('worker.lost')).toMatchObject([{ reason: 'disconnected', inFlight: 0 }]);
    expect(w1.ready('echo').inbox()).toEqual(['REQUEST hi']);
  });

  it('answers what it has, gets nothing more, and is let go after the last', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 9 });
    const c1 = s.client('c1').request('echo', '1').request('echo', '2').request('echo', '3');
    w1.leaves();
    c1.request('echo', '4');
    w1.partial('a').final('1').returns(UNBEGUN);
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'REQUEST 3']);
    w1.final('3');
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(c1.inbox()).toEqual(['PARTIAL echo a', 'FINAL echo 1', 'FINAL echo 3']);
    const w2 = s.worker('w2').ready('echo', { credit: 9 });
    expect(w2.inbox()).toEqual(['REQUEST 2', 'REQUEST 4']);
  });

  it.each(['a failure', 'what its client gave up'])('is let go after %s', (last) => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 9, cancel: true });
    const c1 = s.client('c1', { envelope: ['1'] }).request('echo', 'hi');
    w1.leaves();
    w1.inbox();
    if (last === 'a failure') {
      w1.fails(['error', 'E_X', 'no', '']);
    } else {
      s.client('asks', { over: c1.connection, enveloped: true }).request('mmi.cancel', '1');
      w1.returns('cancelled');
    }
    expect(w1.inbox().at(-1)).toBe('DISCONNECT');
  });

  it('that gives back at once what crosses this has no outcome unknown, in any order', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const c1 = s.client('c1').hello();
    s.batch(() => {
      // The requests are under way to the worker when it says that it leaves.
      c1.once('1').once('2');
      s.turn();
      w1.leaves();
      c1.once('3');
    });
    w1.returns(UNBEGUN).returns(UNBEGUN);
    expect(w1.inbox()).toEqual(['REQUEST 1', 'REQUEST 2', 'DISCONNECT']);
    const w2 = s.worker('w2').ready('echo', { credit: 3 });
    for (const body of ['1', '2', '3']) w2.final(body, { of: body });
    expect(c1.inbox().sort()).toEqual(['FINAL echo 1', 'FINAL echo 2', 'FINAL echo 3']);
    expect(s.broker.counters.requestsUnknown).toBe(0);
  });

  it('costs what it did not begin no delivery (D6)', () => {
    const s = stage({ maxDeliveries: 1 });
    const c1 = s.client('c1').hello().request('echo', 'hi');
    for (const name of ['w1', 'w2', 'w3']) {
      const worker = s.worker(name).ready('echo', { credit: 3 }).leaves();
      expect(worker.returns(UNBEGUN).inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    }
    expect(s.broker.counters.requestsRequeued).toBe(3);
    const last = s.worker('w4').ready('echo', { credit: 3 }).leaves();
    last.returns('it had begun');
    expect(c1.inbox()).toEqual([
      expect.stringContaining('mmi.refused 502|echo|it was delivered once'),
    ]);
  });

  it('is lost as any other, and its silence counts (D5)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const c1 = s.client('c1').hello().once('hi');
    w1.leaves();
    w1.disconnect();
    const unknown = 'outcome unknown: delivered to worker 1, which was lost';
    expect(c1.inbox()).toEqual([`FINAL mmi.refused 520|echo|${unknown}`]);
  });

  it('says it twice at no harm, and has no credit in lists', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    const w2 = s.worker('w2').ready('echo', { credit: 3 });
    const c1 = s.client('c1').request('echo', 'hi');
    w1.leaves().leaves();
    c1.request('mmi.workers', 'echo').request('mmi.services', 'echo');
    const [workers, services] = c1.inbox();
    expect(workers).toContain('"inFlight":1,"credit":0');
    expect(services).toContain('"free":3');
    w1.final('ho');
    expect(w1.inbox()).toEqual(['REQUEST hi', 'DISCONNECT']);
    expect(w2.inbox()).toEqual([]);
    expect(s.broker.load.workers).toBe(1);
  });

  it('gets no stored requests any more', () => {
    const s = stage();
    const internal = new StageInternalClient(s);
    const w1 = s.worker('w1').ready('echo', { credit: 3 });
    expect(internal.submits(1)).toBe(true);
    w1.leaves();
    expect(s.broker.storedDeliveries.room(Buffer.from('echo'))).toBe(0);
    expect(internal.submits(2)).toBe(true);
    w1.final('done');
    expect(w1.inbox()).toEqual(['REQUEST s1', 'DISCONNECT']);
    expect(internal.heard()).toEqual(['room at echo', '1 out', '1 replied done', '2 back']);
    internal.withdraws(2);
  });

  it('without credit is unexpected, as its RETURN of a request (D25)', () => {
    const s = stage();
    const w1 = s.worker('w1').ready('echo');
    w1.leaves();
    expect(w1.inbox()).toEqual(['DISCONNECT']);
    expect(s.broker.counters.unexpected).toBe(1);
  });
});
