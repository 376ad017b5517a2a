import { unpackFailure } from '../../../src/store/failure-codec.js';
import type { Attempt } from '../../../src/store/store.js';
import { OVERSIZED } from '../../support/stage-peers.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

function attemptsOf(s: TitanicStage, uuid: string): readonly Attempt[] {
  return s.store.disk.row(Buffer.from(uuid, 'hex'))?.attempts ?? [];
}

describe('a stored request whose worker says that it failed (D63)', () => {
  it.each(['error', 'retry'])('is tried again after a pause: %s', (kind) => {
    const s = titanicStage({ titanic: { retryBaseMs: 1000 } });
    const uuid = s.submits('pay');
    const w1 = s.worker('w1').ready('pay').heartbeatsEvery(500);
    w1.fails([kind, 'exit-3', 'card declined', 'all of it']);
    expect(s.asks('reply', uuid)).toBe('300');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    expect(s.events('request.failed')).toMatchObject([
      { service: 'pay', kind, code: 'exit-3', text: 'card declined', durable: true },
    ]);
    s.after(1001);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
    const [attempt] = attemptsOf(s, uuid);
    expect(attempt).toMatchObject({ worker: '1 127.0.0.1', reason: 'exit-3: card declined' });
    expect(unpackFailure(attempt?.failure ?? null)).toEqual({
      ...{ kind, code: 'exit-3', text: 'card declined' },
      detail: [Buffer.from('all of it')],
    });
    expect(s.broker.counters.requestsFailed).toEqual({ error: 0, final: 0, retry: 0 });
    expect(s.broker.counters.workersLost).toMatchObject({ connection: 0, disconnected: 0 });
  });

  it('is dead at once by `final`, and who asks is told code, text and detail', () => {
    const s = titanicStage();
    const uuid = s.submits('pay');
    const w1 = s.worker('w1').ready('pay');
    w1.fails(['final', 'card_declined', 'The card was declined', '{"a":1}', 'x'.repeat(5000)]);
    const told = `500 dead card_declined: The card was declined|{"a":1}|${'x'.repeat(4096 - 7)}`;
    expect(s.asks('reply', uuid)).toBe(told);
    expect(s.asks('wait', uuid, '1000')).toBe(told);
    s.after(100_000);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    expect(s.told('titanic.died')).toMatchObject([{ attempts: 1 }]);
    const next = s.crashes();
    expect(next.asks('reply', uuid)).toBe(told);
    expect(next.worker('w2').ready('pay').inbox()).toEqual([]);
  });

  it('is told to those who watch as one harmless line, and kept as it was said', () => {
    const s = titanicStage({ titanic: { retryBaseMs: 1000 } });
    const uuid = s.submits('pay');
    const steps: string[] = [];
    s.titanic.follow((step) => {
      if (step.name === 'titanic.failed') steps.push(step.reason);
    });
    const w1 = s.worker('w1').ready('pay').heartbeatsEvery(500);
    const shown = 'E: a\uFFFDb\uFFFD[31m\uFFFD';
    const words = Buffer.from('a\nb\u009b[31m\u202e');
    w1.fails(['error', 'E', words]);
    expect(s.told('titanic.retried')).toMatchObject([{ reason: shown }]);
    s.after(1001);
    w1.fails(['final', 'E', words]);
    expect(s.told('titanic.died')).toMatchObject([{ reason: shown }]);
    expect(steps).toEqual([shown, shown]);
    expect(attemptsOf(s, uuid)[0]?.reason).toBe(`E: ${words.toString()}`);
  });

  it('tells those who wait for it', () => {
    const s = titanicStage();
    const uuid = s.submits('pay');
    s.asks('wait', uuid, '10000');
    s.worker('w1').ready('pay').fails(['final', 'E', '', 'd']);
    expect(s.hears()).toBe('500 dead E:|d');
  });

  it('is never delivered again after `final`, wherever the process ends', () => {
    const s = titanicStage();
    const uuid = s.submits('pay');
    const w1 = s.worker('w1').ready('pay');
    s.holdsStore();
    w1.fails(['final', 'E', 'no']);
    const batches = s.store.asked.map((asked) =>
      asked.kind === 'commit' ? asked.changes.map(({ kind }) => kind) : [],
    );
    expect(batches).toEqual([['attempt', 'dead']]);
    s.freesStore();
    expect(s.asks('reply', uuid)).toBe('500 dead E: no');
  });

  it('is dead of its last failure when its attempts are over, and pending again by a retry', () => {
    const s = titanicStage({ titanic: { maxAttempts: 2, retryBaseMs: 10 } });
    const uuid = s.submits('pay');
    const w1 = s.worker('w1').ready('pay').heartbeatsEvery(500);
    w1.fails(['error', 'A', 'first']);
    s.after(100);
    w1.fails(['error', 'B', 'second', 'why']);
    expect(s.asks('reply', uuid)).toBe('500 dead B: second|why');
    s.operates<null>((operator, answer) => {
      operator.retry(Buffer.from(uuid, 'hex'), 'alice', answer);
    });
    s.after(100);
    w1.disconnect();
    s.after(100);
    s.worker('w2').ready('pay').disconnect();
    expect(s.asks('reply', uuid)).toBe(
      '500 dead mdp.no-reply: after 2 attempts, the last: connection',
    );
  });

  it('is dead at once of a reply over the limits, with both sizes (D100)', () => {
    const s = titanicStage();
    const uuid = s.submits('pay');
    const w1 = s.worker('w1').ready('pay');
    w1.connection.sendsOversized('MDPW02', '\x04', w1.token(), '');
    expect(s.asks('reply', uuid)).toBe(`500 dead mdp.too-large: ${OVERSIZED}`);
    s.after(100_000);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    expect(s.told('titanic.died')).toMatchObject([{ attempts: 1 }]);
  });

  it('is dead at once of parts that are together over limits.messageBytes (D100)', () => {
    const s = titanicStage({ limits: { messageBytes: 1000 } });
    const uuid = s.submits('pay');
    const w1 = s.worker('w1').ready('pay');
    w1.partial('x'.repeat(600)).partial('x'.repeat(600));
    const told = 'a reply of 1218 bytes in PARTIALs, at most 1000 are allowed';
    expect(s.asks('reply', uuid)).toBe(`500 dead mdp.too-large: ${told}`);
    w1.final('end');
    expect(s.broker.load).toMatchObject({ workers: 1, requests: 0, bytes: 0 });
    s.after(100_000);
    expect(w1.inbox()).toEqual(['REQUEST hi']);
  });

  it('has an attempt of a FAIL that is wrong (D60)', () => {
    const s = titanicStage();
    const uuid = s.submits('pay');
    s.worker('w1').ready('pay').fails(['fatal', 'E', 'x']);
    expect(attemptsOf(s, uuid)[0]?.reason).toMatch(/^mdp\.invalid-failure: /);
  });
});
