import { SharedStore } from '../../../../src/bstar/replication/shared-store.js';
import { Watch } from '../../../../src/extensions/postgres/lease.js';
import type { OtherSession } from '../../../../src/extensions/postgres/session.js';

const LEASE_MS = 1000;
const TIMEOUT_MS = 200;

describe('a store that other brokers may use', () => {
  it('is written to only while the session lasts, by the clock of this broker (D19)', () => {
    let now = 100;
    const store = new SharedStore(
      { commit: () => undefined },
      1,
      LEASE_MS,
      TIMEOUT_MS,
      () => now,
      100,
    );
    expect([store.refusal, store.silence]).toEqual([null, null]);
    now = 1099;
    expect(store.refusal).toBeNull();
    now = 1100;
    expect(store.refusal).toContain('could not renew');
    expect(store.silence).toBe(store.refusal);
    // Counted from when the order was sent, whenever its answer came.
    store.renewed(500);
    expect(store.refusal).toBeNull();
    now = 1500;
    expect(store.refusal).not.toBeNull();
  });

  it('says that the session has ended, and nothing about requests while it cannot be reached', () => {
    const store = new SharedStore({ commit: () => undefined }, 1, LEASE_MS, TIMEOUT_MS, () => 0, 0);
    store.lost();
    expect(store.refusal).toBeNull();
    expect(store.silence).toBe('the store cannot be reached');
    store.returned();
    expect(store.silence).toBeNull();
    store.ended();
    expect(store.refusal).toContain('has ended');
    store.renewed(1);
    expect(store.refusal).toBeNull();
  });
});

describe('the session of another broker', () => {
  const other = { session: 1, node: 'a', lease: 'x', isOverdue: true };

  /** Looks as often as it renews, up to a time; what the last look says may be ended. */
  function looks(watch: Watch, sessions: OtherSession[], from: number, to: number): OtherSession[] {
    for (let at = from; at < to; at += 300) watch.see(sessions, LEASE_MS, at);
    return watch.see(sessions, LEASE_MS, to);
  }

  it('may be ended once it was seen unchanged for a whole lease, and is overdue', () => {
    const watch = new Watch();
    expect(looks(watch, [other], 0, 999)).toEqual([]);
    expect(watch.see([{ ...other, isOverdue: false }], LEASE_MS, 1000)).toEqual([]);
    expect(watch.see([other], LEASE_MS, 1000)).toEqual([other]);
  });

  it('is watched anew when it was renewed, or the connection was lost', () => {
    const watch = new Watch();
    const second = { ...other, session: 2 };
    looks(watch, [other, second], 0, 900);
    const renewed = { ...other, lease: 'y' };
    expect(watch.see([renewed, second], LEASE_MS, 1000)).toEqual([second]);
    expect(looks(watch, [renewed], 1300, 1999)).toEqual([]);
    watch.restart();
    expect(looks(watch, [renewed], 2000, 2999)).toEqual([]);
    expect(watch.see([renewed], LEASE_MS, 3000)).toEqual([renewed]);
  });

  it('is watched anew over a new connection, also if no look failed in between', () => {
    const watch = new Watch();
    const [first, second] = [{}, {}];
    watch.over(first);
    looks(watch, [other], 0, 900);
    watch.over(second);
    expect(watch.see([other], LEASE_MS, 1000)).toEqual([]);
    watch.over(second);
    expect(looks(watch, [other], 1300, 2000)).toEqual([other]);
  });

  it('is watched anew by a broker that was stopped: the other one may have been, too', () => {
    const watch = new Watch();
    looks(watch, [other], 0, 600);
    expect(watch.see([other], LEASE_MS, 1600)).toEqual([]);
    expect(looks(watch, [other], 1900, 2600)).toEqual([other]);
  });
});
