/** How a broker begins to use a store in a database. */
import { databaseAddressOf } from '../../../src/core/postgres-url.js';
import { PROCESS_CLOCK } from '../../../src/extensions/postgres/clock.js';
import type { StoreReport } from '../../../src/extensions/postgres/postgres-store.js';
import { StoreConnections } from '../../../src/extensions/postgres/store-connections.js';
import type { Tables } from '../../../src/extensions/postgres/tables.js';
import { Tally } from '../../../src/store/tally.js';
import { fakeTimers } from '../../support/fake-timers.js';

const TIMEOUT_MS = 1000;
const STORE_ID = Buffer.alloc(16, 1);
const SERVER = { host: 'db', systemId: '1', timeline: '00000001' };

describe('a broker that begins to use a store', () => {
  fakeTimers();

  /** What becomes of it. @param tables what the database does otherwise than it should */
  async function begun(
    tables: Partial<Tables>,
  ): Promise<{ said: string; reports: string[]; counts: number }> {
    const address = databaseAddressOf('postgresql://u@127.0.0.1/store');
    if (typeof address === 'string') throw new Error(address);
    let counts = 0;
    const count = async (): Promise<Tally> => {
      counts++;
      return await Promise.resolve(new Tally([]));
    };
    const nothing = async (): Promise<void> => await Promise.resolve();
    const connection = {
      ...{ isOpen: true, isIdle: true, destroy: () => undefined },
      migrate: async () => await Promise.resolve({ storeId: STORE_ID, format: 1, isMade: false }),
      setAside: async () => await Promise.resolve(null),
      newestAt: async () => await Promise.resolve(0),
      take: async () => await Promise.resolve({ session: 1, wasUsed: false }),
      renew: async () => await Promise.resolve(1),
      others: async () => await Promise.resolve([]),
      ...{ count, countSnapshot: count, snapshot: nothing, free: nothing },
      ...tables,
    } as Tables;
    const open = {
      ...{ login: { address, passwordFile: null, isLoopback: true }, name: 'db', node: 'a' },
      ...{ timeoutMs: TIMEOUT_MS, leaseMs: 600, storeId: null, hints: false },
      directoryId: '00'.repeat(16),
    };
    const dial = async (): Promise<{
      connection: Tables;
      server: typeof SERVER;
      hostIndex: number;
    }> => await Promise.resolve({ connection, server: SERVER, hostIndex: 0 });
    const reports: StoreReport[] = [];
    let said = 'it waits';
    const server = { clock: PROCESS_CLOCK, random: () => 0, dial };
    StoreConnections.begin(open, server, (report) => reports.push(report)).then(
      () => {
        said = 'it has begun';
      },
      (error: unknown) => {
        said = String(error);
      },
    );
    await jest.advanceTimersByTimeAsync(2 * TIMEOUT_MS);
    return { said, reports: reports.map(({ report }) => report), counts };
  }

  it('does not wait for a session for as long as for a count', async () => {
    const { said } = await begun({ take: async () => await new Promise(() => undefined) });
    expect(said).toMatch(/no answer within/);
  });

  it('does not take a session that has ended for renewed', async () => {
    const { said, reports } = await begun({ renew: async () => await Promise.resolve(null) });
    expect(said).toMatch(/the session of this broker has ended/);
    expect(reports).not.toContain('renewed');
  });

  it('takes its session after it has counted, which may take longer than a lease', async () => {
    const order: string[] = [];
    await begun({
      count: async () => {
        order.push('count');
        return await Promise.resolve(new Tally([]));
      },
      take: async () => {
        order.push('take');
        return await Promise.resolve({ session: 1, wasUsed: false });
      },
      renew: async () => await Promise.resolve(null),
    });
    expect(order).toEqual(['count', 'take']);
  });

  it.each([
    ['counts again what others may have changed since its first count', true, 2],
    ['counts once if nobody else can have changed anything since', false, 1],
  ])('%s', async (_what, wasUsed, times) => {
    const take = async (): ReturnType<Tables['take']> =>
      await Promise.resolve({ session: 1, wasUsed });
    const { said, counts } = await begun({ take });
    expect([said, counts]).toEqual(['it has begun', times]);
  });

  it('counts again after it has taken another session: who ended the one before may be gone', async () => {
    const clocks = [1, 1, null];
    const { counts } = await begun({
      renew: async () => await Promise.resolve(clocks.length > 0 ? (clocks.shift() ?? null) : 1),
    });
    expect(counts).toBe(2);
  });
});
