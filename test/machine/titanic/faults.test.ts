import type { StoreFailure } from '../../../src/store/store.js';
import { endTitanicStages, titanicStage, type TitanicStage } from '../../support/titanic-stage.js';

afterEach(endTitanicStages);

const FULL: StoreFailure = { kind: 'full', message: 'no space left on device' };
const BUSY: StoreFailure = { kind: 'busy', message: 'locked by another process' };
const FATAL: StoreFailure = { kind: 'fatal', message: 'fsync failed' };

/** Turns that come by themselves in a second without any input. */
function turnsInASecond(s: TitanicStage): number {
  let turns = 0;
  const until = s.now + 1000;
  while (turns < 10_000) {
    const next = s.dueAt();
    if (next > until) break;
    s.now = Math.max(s.now, next);
    s.turn();
    turns++;
  }
  return turns;
}

describe('a store that cannot commit', () => {
  it.each([FULL, BUSY])(
    'gets new requests and closes a 500 that says why, and nothing is kept: $kind (D12)',
    (failure) => {
      const s = titanicStage();
      const uuid = s.submits('echo');
      s.store.failure = failure;
      expect(s.asks('request', 'echo', 'x')).toBe(`500 ${failure.message}`);
      expect(s.asks('request', 'echo', 'x')).toBe(`500 ${failure.message}`);
      expect(s.asks('close', uuid)).toBe(`500 ${failure.message}`);
      expect(s.asks('reply', uuid)).toBe('300');
      expect(s.store.disk.rows.length).toBe(1);
      expect(s.titanic.trouble).toBe(failure);
      expect(s.told('store.failed')).toEqual([
        { name: 'store.failed', kind: failure.kind, text: failure.message },
      ]);
    },
  );

  it('is tried again by the next request after a second, and healed by one that succeeds, said once each', () => {
    const s = titanicStage();
    s.store.failure = FULL;
    s.asks('request', 'echo', 'x');
    for (let tries = 0; tries < 3; tries++) {
      s.after(1000);
      expect(s.asks('request', 'echo', 'x')).toMatch(/^500/);
    }
    s.store.failure = null;
    expect(s.asks('request', 'echo', 'x')).toMatch(/^500/);
    s.after(1000);
    expect(s.asks('request', 'echo', 'x')).toMatch(/^200/);
    expect(s.titanic.trouble).toBeNull();
    expect(s.told('store.failed')).toHaveLength(1);
    expect(s.told('store.healed')).toHaveLength(1);
  });

  it('heals when it is reached again, unless it is full; what fails then is told anew', () => {
    const s = titanicStage();
    s.store.failure = BUSY;
    s.asks('request', 'echo', 'x');
    s.titanic.regained();
    expect(s.titanic.trouble).toBeNull();
    expect(s.told('store.healed')).toHaveLength(1);
    s.store.failure = FULL;
    s.after(1000);
    s.asks('request', 'echo', 'x');
    s.titanic.regained();
    expect(s.titanic.trouble).toBe(FULL);
    expect(s.told('store.failed')).toHaveLength(2);
    expect(s.told('store.healed')).toHaveLength(1);
  });

  it('heals by itself within a while, though nobody asks for anything', () => {
    const s = titanicStage();
    s.store.failure = FULL;
    s.asks('request', 'echo', 'x');
    s.store.failure = null;
    s.after(20_000);
    expect(s.titanic.trouble).toBeNull();
  });

  it('heals by itself also while the clock is behind, or was set: nothing ends by that (D110)', () => {
    const before = titanicStage();
    const uuid = before.submits('echo', 'y', { ttlMs: 5000 });
    before.worker('w1').ready('echo').final('done');
    before.wallOffset -= 3_600_000;
    const s = before.crashes({ titanic: { replyTtlMs: 1000 } });
    for (const setMs of [0, 10_000_000]) {
      s.wallOffset += setMs;
      s.store.failure = FULL;
      s.after(1000);
      s.asks('request', 'echo', 'x');
      s.store.failure = null;
      s.after(20_000);
      expect(s.titanic.trouble).toBeNull();
      expect(s.stands(uuid)).toBe('replied');
    }
  });

  it('keeps nobody busy meanwhile', () => {
    const s = titanicStage();
    for (let i = 0; i < 5; i++) s.submits('echo', 'x', { ttlMs: 5000 });
    s.store.failure = FULL;
    s.asks('request', 'echo', 'x');
    s.worker('w1').ready('echo');
    s.after(7000);
    expect(turnsInASecond(s)).toBeLessThan(10);
    s.holdsStore();
    s.after(30_000);
    expect(turnsInASecond(s)).toBeLessThan(10);
  });

  it('has nothing new sent to workers, whose replies could not be kept', () => {
    const s = titanicStage();
    s.store.failure = FULL;
    s.asks('request', 'echo', 'x');
    s.store.failure = null;
    const uuid = ((): string => {
      s.after(1000);
      return s.submits('echo', 'y');
    })();
    s.store.failure = FULL;
    s.asks('request', 'echo', 'x');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    expect(w1.inbox()).toEqual([]);
    s.store.failure = null;
    s.after(20_000);
    expect(w1.inbox()).toEqual(['REQUEST y']);
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('200|done');
  });

  it('gets the reply of a worker in time: it is kept until it is committed, and 300 until then', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo');
    s.store.failure = FULL;
    w1.final('done');
    expect(s.asks('reply', uuid)).toBe('300');
    s.after(3000);
    expect(s.asks('wait', uuid, '60000')).toBe('');
    s.store.failure = null;
    s.after(1000);
    expect(s.hears()).toBe('200|done');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
  });

  it('ends what expires meanwhile when it can again', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x', { ttlMs: 3000 });
    s.store.failure = FULL;
    s.asks('request', 'echo', 'x');
    s.after(5000);
    expect(s.asks('reply', uuid)).toBe('300');
    s.store.failure = null;
    s.after(20_000);
    expect(s.asks('reply', uuid)).toBe('400 unknown');
  });

  it('keeps the order of changes that are tried again: attempts, then the reply behind them (D17)', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.store.failure = BUSY;
    s.worker('w1').ready('echo').disconnect();
    s.store.failure = null;
    s.after(20_000);
    s.worker('w2').ready('echo').final('done');
    const kinds = s.store.changes.map(({ kind }) => kind).filter((kind) => kind !== 'sweep');
    expect(kinds).toEqual(['accept', 'attempt', 'attempt', 'reply']);
    expect(s.asks('reply', uuid)).toBe('200|done');
    expect(s.store.disk.row(Buffer.from(uuid, 'hex'))?.attempts).toEqual([
      expect.objectContaining({ worker: '1 127.0.0.1', reason: 'connection', ordinal: 1 }),
    ]);
  });
});

describe('a close that fails', () => {
  it('leaves a request that waits where it was, with its delay and its end', () => {
    const s = titanicStage();
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    const late = s.submits('echo', 'late', { delayMs: 30_000 });
    const brief = s.submits('other', 'brief', { ttlMs: 40_000 });
    s.holdsStore();
    s.store.failure = FULL;
    s.asks('close', late);
    s.asks('close', brief);
    s.freesStore();
    // The second came while the batch of the first was under way: it is the next to be tried.
    s.after(1000);
    expect(s.hears()).toBe('500 no space left on device / 500 no space left on device');
    s.store.failure = null;
    s.after(28_999);
    expect(w1.inbox()).toEqual([]);
    s.after(1);
    expect(w1.inbox()).toEqual(['REQUEST late']);
    s.after(10_000);
    expect(s.asks('reply', brief)).toBe('400 unknown');
  });

  it('lets a request whose time ran out meanwhile end all the same', () => {
    const s = titanicStage();
    const uuid = s.submits('echo', 'x', { ttlMs: 3000 });
    s.holdsStore();
    s.asks('close', uuid);
    s.after(5000);
    s.store.failure = FULL;
    s.answers('commit');
    expect(s.hears()).toMatch(/^500/);
    s.store.failure = null;
    s.freesStore();
    s.after(20_000);
    expect(s.stands(uuid)).toBe('absent');
  });

  it('sends what was at a worker once more, whose first reply counts no more', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.store.failure = FULL;
    expect(s.asks('close', uuid)).toMatch(/^500/);
    w1.final('first');
    s.store.failure = null;
    s.after(20_000);
    expect(w1.inbox()).toEqual(['REQUEST hi', 'REQUEST hi']);
    w1.final('second');
    expect(s.asks('reply', uuid)).toBe('200|second');
  });

  it('of a request whose reply is being committed keeps the reply', () => {
    for (const together of [true, false]) {
      const s = titanicStage();
      const uuid = s.submits('echo');
      const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
      s.holdsStore();
      if (together) s.asks('close', '0190A0B0C0D07000800000000000ABCD');
      w1.final('done');
      s.asks('close', uuid);
      // Either the reply's batch is committed and that of the close fails, or both fail together.
      s.answers('commit');
      s.store.failure = BUSY;
      s.answers('commit');
      s.store.failure = null;
      expect(s.hears()).toMatch(/500 locked/);
      s.freesStore();
      s.after(20_000);
      expect(s.asks('reply', uuid)).toBe('200|done');
      expect(w1.inbox()).toEqual(['REQUEST hi']);
      expect(s.titanic.figures.counters.completed).toBe(1);
    }
  });

  it('and is followed by one that succeeds, closes it wherever it is by then', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.holdsStore();
    s.asks('close', uuid);
    s.asks('close', uuid);
    s.store.failure = BUSY;
    s.answers('commit');
    s.store.failure = null;
    // In one turn: the commit of the second, and the reply to a request that is no more.
    s.freesStore();
    s.after(20_000);
    w1.final('late');
    expect(s.hears()).toBe('500 locked by another process / 200');
    expect(s.stands(uuid)).toBe('absent');
    expect(s.asks('reply', uuid)).toBe('400 unknown');
  });
});

describe('a store that can no longer be trusted', () => {
  it('is not written to any more; nothing is acknowledged, nothing shown', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const replied = s.submits('sum');
    s.worker('w0').ready('sum').final('3');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.store.failure = FATAL;
    w1.final('done');
    const asked = s.store.changes.length;
    s.store.failure = null;
    s.after(60_000);
    expect(s.asks('request', 'echo', 'x')).toBe('500 fsync failed');
    expect(s.asks('close', uuid)).toBe('500 fsync failed');
    for (const each of [uuid, replied, uuid.replace(/^..../, '0000')]) {
      expect(s.asks('reply', each)).toBe('');
    }
    expect(s.store.changes).toHaveLength(asked);
    expect(s.titanic.trouble).toBe(FATAL);
    expect(turnsInASecond(s)).toBeLessThan(10);
    // The process ends; what it had not committed is not missed.
    const next = s.crashes();
    next.worker('w2').ready('echo').final('again');
    expect(next.asks('reply', uuid)).toBe('200|again');
  });
});

describe('a store that cannot read', () => {
  it('is asked again each second: a look-up is answered then, a request is no attempt poorer', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    const other = s.submits('other');
    s.worker('w0').ready('other').final('done');
    s.store.readFailure = BUSY;
    expect(s.asks('reply', other)).toBe('');
    const w1 = s.worker('w1').ready('echo').heartbeatsEvery(500);
    s.after(3500);
    expect(w1.inbox()).toEqual([]);
    expect(s.hears()).toBe('');
    s.store.readFailure = null;
    s.after(1000);
    expect(s.hears()).toBe('200|done');
    expect(w1.inbox()).toEqual(['REQUEST hi']);
    w1.final('x');
    expect(s.asks('reply', uuid)).toBe('200|x');
    expect(s.asks('reply', other)).toBe('200|done');
    expect(s.titanic.figures.counters.retried).toBe(0);
  });

  it('and has lost a pending body: who waits is told what the store knows, not that it is unknown', () => {
    const s = titanicStage();
    const uuid = s.submits('echo');
    s.asks('wait', uuid, '60000');
    // An operator's tool has answered it behind our back.
    s.store.disk.apply({
      kind: 'reply',
      uuid: Buffer.from(uuid, 'hex'),
      generation: 0,
      reply: Buffer.from('\x00\x03yes', 'latin1'),
      worker: '1 127.0.0.1',
      at: s.wall,
      expiresAt: s.wall + 1000,
    });
    expect(s.worker('w1').ready('echo').inbox()).toEqual([]);
    expect(s.hears()).toBe('200|yes');
  });
});
