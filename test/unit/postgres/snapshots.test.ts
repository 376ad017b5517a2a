import { oldestSnapshot, safety } from '../../../src/extensions/postgres/findings.js';
import { SnapshotAges, type SnapshotHolder } from '../../../src/extensions/postgres/looks.js';

function holder(given: Partial<SnapshotHolder>): SnapshotHolder {
  return {
    ...{ kind: 'transaction', name: '12', xmin: '700', transactions: 5, seconds: 1 },
    isActive: true,
    ...given,
  };
}

describe('the age of the oldest snapshot', () => {
  it('is that of the server; where it gives none, the time that the broker has seen it', () => {
    const ages = new SnapshotAges();
    const slot = holder({ kind: 'slot', name: 'a', seconds: null });
    const oldest = (holders: readonly SnapshotHolder[], nowMs: number): number | null =>
      ages.oldest({ areAllSeen: true, holders }, nowMs);
    expect(oldest([], 0)).toBe(0);
    expect(oldest([holder({ seconds: 4 }), holder({ seconds: 9 })], 0)).toBe(9);
    expect(oldest([slot], 10_000)).toBe(0);
    expect(oldest([slot, holder({ seconds: 7 })], 30_000)).toBe(20);
    // It has moved on.
    expect(oldest([{ ...slot, xmin: '701' }], 40_000)).toBe(0);
    expect(oldest([], 50_000)).toBe(0);
    expect(oldest([{ ...slot, xmin: '701' }], 60_000)).toBe(0);
  });

  it('is unknown to a role that does not see all', () => {
    expect(new SnapshotAges().oldest({ areAllSeen: false, holders: [] }, 0)).toBeNull();
  });
});

describe('doctor, of a database', () => {
  const state = (holders: readonly SnapshotHolder[], areAllSeen = true): [string, string] => {
    const found = oldestSnapshot({ areAllSeen, holders }, 'broker');
    return [found.state, `${found.text} | ${found.remedy ?? ''}`];
  };

  it('says what holds old snapshots, and how to end it', () => {
    expect(state([])[0]).toBe('ok');
    expect(state([holder({ seconds: 59 })])[0]).toBe('ok');
    expect(state([holder({ seconds: 60 })])).toEqual([
      'warning',
      expect.stringMatching(/process "12" has been open for 60 s.*pg_terminate_backend/),
    ]);
    expect(state([holder({ kind: 'prepared', name: 'x\n', seconds: 99 })])).toEqual([
      'warning',
      expect.stringMatching(/"x\\n".*ROLLBACK PREPARED/),
    ]);
    const slot = holder({ kind: 'slot', name: 's', seconds: null });
    expect(state([slot])[0]).toBe('ok');
    expect(state([{ ...slot, transactions: 100_000 }])[0]).toBe('warning');
    expect(state([{ ...slot, isActive: false }])).toEqual([
      'warning',
      expect.stringMatching(/nobody reads it.*pg_drop_replication_slot/),
    ]);
    expect(state([holder({ kind: 'standby', seconds: null, transactions: 1e6 })])[1]).toContain(
      'hot_standby_feedback',
    );
    expect(state([], false)).toEqual([
      'warning',
      expect.stringContaining('GRANT pg_read_all_stats TO "broker"'),
    ]);
    expect(oldestSnapshot(null, 'broker').state).toBe('ok');
  });

  it('says on how many machines receipts are', () => {
    const snapshots = { areAllSeen: true, holders: [] };
    const one = { host: 'db', synchronous: 0, isSynchronous: false, snapshots };
    expect(safety(one)).toMatchObject({ state: 'warning' });
    expect(safety(one).text).toContain('one machine');
    expect(safety({ ...one, synchronous: 1, isSynchronous: true }).state).toBe('ok');
    expect(safety({ ...one, isSynchronous: true }).state).toBe('problem');
    // This role does not see standbys; a commit would wait if there were none.
    const unseen = { ...snapshots, areAllSeen: false };
    expect(safety({ ...one, isSynchronous: true, snapshots: unseen }).state).toBe('ok');
  });
});
