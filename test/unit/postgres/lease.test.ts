/** When the session of a broker is renewed. */
import { PROCESS_CLOCK } from '../../../src/extensions/postgres/clock.js';
import { SessionLease } from '../../../src/extensions/postgres/lease.js';
import { PersistentConnection } from '../../../src/extensions/postgres/persistent-connection.js';
import type { Tables } from '../../../src/extensions/postgres/tables.js';
import { fakeTimers } from '../../support/fake-timers.js';

const LEASE_MS = 30_000;

describe('a lease', () => {
  fakeTimers();

  it('is renewed at once when the store has returned, also if its last try ends just then', async () => {
    const persistent = new PersistentConnection<Tables>(
      () => Promise.reject(new Error('it is not tried')),
      PROCESS_CLOCK,
      1000,
      { hostIndex: 0 },
      {
        connected: () => Promise.resolve(),
        unreachable: () => undefined,
        retried: () => undefined,
      },
    );
    const failing: ((error: Error) => void)[] = [];
    jest.spyOn(persistent, 'use').mockImplementation(
      () =>
        new Promise((_, reject) => {
          failing.push(reject);
        }),
    );
    const claimant = { node: 'a', directoryId: Buffer.alloc(16), leaseMs: LEASE_MS };
    const lease = new SessionLease(
      persistent,
      PROCESS_CLOCK,
      claimant,
      { user: 'u', database: 'store' },
      1,
      {
        report: () => undefined,
        taken: () => undefined,
        accompanied: () => undefined,
      },
    );
    await jest.advanceTimersByTimeAsync(0);
    expect(failing).toHaveLength(1);
    lease.returned();
    failing[0]?.(new Error('it was away'));
    await Promise.resolve();
    await jest.advanceTimersByTimeAsync(1);
    expect(failing).toHaveLength(2);
    const closed = lease.close();
    failing[1]?.(new Error('closed'));
    await closed;
    expect(jest.getTimerCount()).toBe(0);
  });
});
