import { openSqliteStore } from '../../src/store/sqlite/sqlite-store.js';
import type { OpenNodeStore } from '../../src/store/node-store.js';
import { cursorFor, type Holding } from '../../src/store/store.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { RankedStoreUser } from '../support/ranked-store-user.js';
import { accept, close } from '../support/store-changes.js';
import { storeDirectory } from '../support/store-directory.js';
import { packed } from '../support/store-pair.js';
import { StoreUser } from '../support/store-user.js';

/** A chunk has room for one request. */
const CHUNK_BYTES = 300;
const REQUESTS = 12;
const CLOSED = 6;

const directory = storeDirectory();

/** Requests, closed ones, and records of an extension, which change in turns. */
async function filled(open: OpenNodeStore): Promise<StoreUser> {
  const body = packed('x'.repeat(250));
  const record = { epoch: 1, isDeleted: false, body: Buffer.alloc(100) };
  for (let n = 1; n <= REQUESTS; n++) {
    const parts = await RankedStoreUser.open(open);
    await parts.commit([{ ...record, key: `k${n}`, counter: n }]);
    await parts.close();
    const user = await StoreUser.open(open);
    await user.commit(accept(n, { body }));
    if (n <= CLOSED) await user.commitSo({ tombstones: 'all' }, close(1000 + n));
    await user.close();
  }
  return await StoreUser.open(open);
}

describe('a catch-up over a link that breaks again and again (D20)', () => {
  const engines: Readonly<Record<string, () => OpenNodeStore>> = {
    SQLite: () => openSqliteStore(directory.file),
    'the model': () => new MemoryDisk({ schedule: (_call, run) => setImmediate(run) }).openStore,
  };

  it.each(Object.keys(engines))('goes on where it was, and ends: %s', async (name) => {
    const user = await filled(engines[name]?.() ?? openSqliteStore(directory.file));
    for (const chunksMax of [1, 2, 3]) {
      let holds: Holding | null = null;
      let sent = 0;
      for (let isDone = false; !isDone;) {
        let place = cursorFor(holds);
        for (let left = chunksMax; left > 0 && !isDone; left--) {
          const chunk = await user.read(place, 250, CHUNK_BYTES);
          holds = chunk.holds;
          isDone = chunk.next === null;
          place = chunk.next ?? place;
          sent++;
        }
        expect(sent).toBeLessThan(4 * REQUESTS);
      }
      expect(holds?.upTo).toBe(holds?.bodiesUpTo);
    }
    await user.close();
  });
});
