/** A store that does not answer, or may not be written to: every client is answered in time (D105). */
import { Holdings, QUERY_BYTES } from '../../../src/core/holdings.js';
import { StoreWaits } from '../../../src/titanic/machine/requests/store-waits.js';
import { StageClaims } from '../../support/stage-claims.js';
import { endTitanicStages, type TitanicStage, titanicStage } from '../../support/titanic-stage.js';

const TIMEOUT_MS = 200;
const LEASE_MS = 1000;
/** From when it may be told that it took too long, and by when it must be. */
const EARLY_MS = 2 * TIMEOUT_MS;
const LATE_MS = 3 * TIMEOUT_MS;

afterEach(endTitanicStages);

function away(options: Parameters<typeof titanicStage>[0] = {}): {
  readonly s: TitanicStage;
  readonly claims: StageClaims;
} {
  const claims = new StageClaims();
  const s = titanicStage({ claims, leaseMs: 1e9, storeTimeoutMs: TIMEOUT_MS, ...options });
  claims.answer();
  return { s: s.holdsStore(), claims };
}

/** How many batches the store takes at a time. */
const BATCHES = 2;

/** As many batches as it takes are with the store. */
function keepsBusy(s: TitanicStage): void {
  for (let batch = 0; batch < BATCHES; batch++) s.asks('request', 'echo', 'with the store');
}

/** What it hears within the time for it, and not at once. */
function answer(s: TitanicStage): string {
  s.after(EARLY_MS);
  const early = s.hears();
  s.after(LATE_MS - EARLY_MS);
  return early === '' ? s.hears() : `too early: ${early}`;
}

describe('a large reply', () => {
  it('comes within the time of its look-up, but not of what waited for something else before', () => {
    let now = 0;
    const waits = new StoreWaits(LATE_MS, () => now);
    const [found, rested] = [waits.begins(1, false), waits.begins(2, false)];
    waits.rests(rested);
    now = 400;
    waits.waitsForLarge(found);
    waits.waitsForLarge(rested);
    now = LATE_MS;
    expect(waits.overdue(now, null, 9).map(({ to }) => to)).toEqual([1]);
    now = 400 + LATE_MS;
    expect(waits.overdue(now, null, 9).map(({ to }) => to)).toEqual([2]);
  });
});

describe('a store that does not answer', () => {
  it('a request that it may have: outcome unknown, and the uuid that tells; later it is served', () => {
    const { s } = away();
    expect(s.asks('request', 'echo', 'hi')).toBe('');
    const [status, uuid = ''] = answer(s).split('|');
    expect(status).toBe('500 outcome unknown: the store did not answer in time');
    s.freesStore();
    // It is not answered twice.
    expect(s.hears()).toBe('');
    expect(s.asks('reply', uuid)).toBe('300');
  });

  it('a request that waits for its batch: 500, and it is not stored later', () => {
    const { s } = away();
    keepsBusy(s);
    s.asks('request', 'echo', 'waits');
    const stored = s.store.changes.length;
    expect(answer(s)).toMatch(/ \/ 500 the store did not answer in time$/);
    expect(s.told('titanic.refused')).toEqual([
      { name: 'titanic.refused', reason: 'store', text: 'the store did not answer in time' },
    ]);
    s.freesStore();
    s.after(10_000);
    expect(s.store.changes.slice(stored).filter(({ kind }) => kind === 'accept')).toEqual([]);
    expect(s.store.disk.pending).toHaveLength(BATCHES);
    expect(s.hears()).toBe('');
  });

  it('each waits as long from when it came, whatever waits before it', () => {
    const { s } = away();
    s.asks('request', 'echo', 'first');
    s.after(EARLY_MS);
    s.asks('request', 'echo', 'second');
    s.after(LATE_MS - EARLY_MS);
    expect(s.hears()).toMatch(/^500 outcome unknown/);
    s.freesStore();
    expect(s.hears()).toMatch(/^200\|/);
  });

  it('a look-up, and a wait whose look-up is under way', () => {
    const { s } = away();
    const uuid = '0'.repeat(32);
    s.asks('reply', uuid);
    expect(answer(s)).toBe('500 the store did not answer in time');
    s.asks('wait', uuid, '60000');
    expect(answer(s)).toBe('500 the store did not answer in time');
  });

  it.each([
    ['answers', (s: TitanicStage) => s.freesStore()],
    ['is given up', (s: TitanicStage) => s.deactivates()],
  ])('the memory of what was asked counts after the answer, until the store %s', (_, end) => {
    const holdings = new Holdings();
    const { s } = away({ holdings });
    const before = holdings.bytes;
    for (let asked = 0; asked < 3; asked++) s.asks('wait', `${asked}`.repeat(32), '60000');
    expect(answer(s).split(' / ')).toHaveLength(3);
    expect(holdings.bytes - before).toBe(3 * QUERY_BYTES);
    end(s);
    expect([holdings.bytes - before, s.hears()]).toEqual([0, '']);
  });

  it('not a client that waits for a reply', () => {
    const { s } = away();
    s.freesStore();
    const uuid = s.submits('echo');
    expect(s.asks('wait', uuid, String(10 * LATE_MS))).toBe('');
    s.after(9 * LATE_MS);
    expect(s.hears()).toBe('');
    s.after(LATE_MS);
    expect(s.hears()).toBe('300');
  });

  it('a close: what waits for its batch is open again, and can be closed', () => {
    const { s } = away();
    s.freesStore();
    const uuid = s.submits('echo');
    s.holdsStore();
    keepsBusy(s);
    s.asks('close', uuid);
    expect(answer(s)).toMatch(/ \/ 500 the store did not answer in time$/);
    s.freesStore();
    expect(s.stands(uuid)).toBe('pending');
    expect(s.asks('close', uuid)).toBe('200');
  });

  it('commands for schedules, which are not carried out later', () => {
    const { s, claims } = away();
    s.freesStore();
    claims.areListsHeld = true;
    s.asks('schedules', '{}');
    s.asks('schedule', '{"name":"n","cron":"@hourly"}', 'echo', 'hi');
    const late = '500 the store did not answer in time';
    expect(answer(s)).toBe([late, late].join(' / '));
    claims.areListsHeld = false;
    s.turn();
    s.after(10_000);
    expect(s.store.disk.pending).toEqual([]);
    expect(s.hears()).toBe('');
  });

  it("an operator's change", () => {
    const { s } = away();
    s.freesStore();
    const uuid = s.submits('echo');
    s.holdsStore();
    const told = s.operates<null>((operator, done) => {
      operator.cancel(Buffer.from(uuid, 'hex'), 'alice', done);
    });
    s.after(LATE_MS);
    expect(told()).toEqual({
      kind: 'trouble',
      text: 'outcome unknown: the store did not answer in time',
    });
    // It is told once: the stage would say so.
    s.freesStore();
  });
});

describe('a session that lapses while requests wait for the store', () => {
  function lapsed(): TitanicStage {
    const claims = new StageClaims();
    const s = titanicStage({ claims, leaseMs: LEASE_MS, storeTimeoutMs: TIMEOUT_MS });
    claims.answer();
    const uuid = s.submits('echo');
    s.holdsStore();
    s.after(LEASE_MS - 2);
    keepsBusy(s);
    s.asks('request', 'echo', 'waits');
    s.asks('close', uuid);
    s.after(TIMEOUT_MS);
    expect(s.hears()).toBe('');
    return s;
  }

  it('they are answered in time, though nothing can be written; none of them is stored later (D19)', () => {
    const s = lapsed();
    s.after(LATE_MS - TIMEOUT_MS);
    const why = 'this broker could not renew its session with the store';
    const heard = s.hears().replaceAll(/\|[0-9A-F]{32}/g, '');
    const unknown = `500 outcome unknown: ${why}`;
    expect(heard).toBe([unknown, unknown, `500 ${why}`, `500 ${why}`].join(' / '));
    s.renews();
    s.freesStore();
    expect(s.hears()).toBe('');
    expect(s.store.disk.pending).toHaveLength(1 + BATCHES);
  });

  it('when a batch has failed: what waits does not wait for another try of it, and is not stored later', () => {
    const s = lapsed();
    s.store.failure = { kind: 'busy', message: 'the store cannot be reached' };
    s.answers('commit');
    const failed = '500 the store cannot be reached';
    // One of the batch, and both that waited for another one.
    expect(s.hears()).toBe([failed, failed, failed].join(' / '));
    s.answers('commit');
    expect(s.hears()).toBe(failed);
    s.store.failure = null;
    s.renews();
    s.freesStore();
    s.after(10_000);
    expect(s.hears()).toBe('');
    expect(s.store.disk.pending).toHaveLength(1);
  });
});
