/** What a writer says of a batch that the database makes in part. */
import { PROCESS_CLOCK } from '../../../src/extensions/postgres/clock.js';
import { Fence } from '../../../src/extensions/postgres/fence.js';
import { PersistentConnection } from '../../../src/extensions/postgres/persistent-connection.js';
import type { Tables } from '../../../src/extensions/postgres/tables.js';
import { BatchWriter } from '../../../src/extensions/postgres/writer.js';
import { BUSY, type Change, DONE, PASSED } from '../../../src/store/store.js';
import { Tally } from '../../../src/store/tally.js';

const TIMEOUT_MS = 10_000;

it('a change that is postponed again and again is not said to be made', async () => {
  const sent: number[] = [];
  const connection = {
    ...{ isOpen: true, isIdle: true, destroy: () => undefined },
    limitLocks: async () => {
      await Promise.resolve();
    },
    commit: async (_fence, changes) => {
      sent.push(changes.length);
      const results = changes.map((_, at) => (at === 0 && sent.length === 1 ? DONE : PASSED));
      const postponed = [...changes.keys()].filter((at) => results[at] !== DONE);
      return await Promise.resolve({ results, deltas: [], postponed });
    },
  } as Partial<Tables> as Tables;
  const persistent = new PersistentConnection<Tables>(
    async () =>
      await Promise.resolve({
        connection,
        server: { host: 'db', systemId: null, timeline: null },
        hostIndex: 0,
      }),
    PROCESS_CLOCK,
    TIMEOUT_MS,
    { hostIndex: 0 },
    {
      connected: () => Promise.resolve(),
      unreachable: () => undefined,
      retried: () => undefined,
    },
  );
  const nothing = (): void => undefined;
  const events = {
    ...{ refused: nothing, locked: nothing, miscounted: nothing, counted: nothing },
    foundClaimed: nothing,
  };
  const writer = new BatchWriter(
    ...([[persistent], PROCESS_CLOCK, TIMEOUT_MS, new Fence(1), new Tally([]), events] as const),
  );
  const close = (n: number): Change => ({
    ...{ kind: 'close', uuid: Buffer.alloc(16, n), at: 0, keyUntil: 0, by: 'key:a' },
  });
  const { results } = await writer.commit([close(1), close(2), close(3)]);
  expect(results).toEqual([DONE, BUSY, BUSY]);
  expect(sent).toEqual([3, 2, 2, 2]);
});
