import fc from 'fast-check';

import { verifyStore } from '../../src/store/sqlite/records/verify.js';
import { ATTEMPTS_RETAINED, type ServiceCount } from '../../src/store/store.js';
import { RequestCounters } from '../../src/broker/request-counters.js';
import { StoredServices } from '../../src/titanic/machine/requests/stored-services.js';
import { MemoryDisk } from '../support/memory-disk.js';
import { sqliteContent } from '../support/sqlite-content.js';
import { randomBatches } from '../support/random-changes.js';
import { accept, attempt } from '../support/store-changes.js';
import { storeDirectory } from '../support/store-directory.js';
import { inPlaces, StoreUser } from '../support/store-user.js';

const RUNS = 40;

describe('SQLite against memory, any changes in any order', () => {
  const directory = storeDirectory();

  it('they answer every batch alike, and have the same content in the end (D16, D17)', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(randomBatches, async (all) => {
        const file = directory.apart(String(run++));
        const disk = new MemoryDisk({ schedule: (_call, work) => setImmediate(work) });
        const sqlite = await directory.open(file);
        const memory = await StoreUser.open(disk.openStore);
        const kept = new StoredServices(new RequestCounters().services);
        for (const changes of all) {
          const [ours, theirs] = [await sqlite.tryCommit(changes), await memory.tryCommit(changes)];
          expect(withoutBytes(ours)).toEqual(withoutBytes(theirs));
          if ('counts' in ours) kept.update(ours.counts.services);
          expect(keptIn(kept)).toEqual(disk.content().services);
        }
        await sqlite.close();
        expect(sqliteContent(file)).toEqual(disk.content());
        expect(verifyStore(file, () => {}).problems).toEqual([]);
        const again = await directory.open(file);
        expect(again.reported).toEqual(sqlite.reported);
        const listed = await memory.list(0);
        expect(again.pending).toEqual('kind' in listed ? listed : inPlaces(listed));
        await again.close();
      }),
      { numRuns: RUNS },
    );
  });

  it('both keep only the last of many attempts', async () => {
    const disk = new MemoryDisk({ schedule: (_call, work) => setImmediate(work) });
    const sqlite = await directory.open();
    const memory = await StoreUser.open(disk.openStore);
    const changes = [accept(1), ...Array.from({ length: 50 }, (_, at) => attempt(1, at + 1))];
    await sqlite.commit(...changes);
    await memory.commit(...changes);
    await sqlite.close();
    expect(sqliteContent(directory.file)).toEqual(disk.content());
    expect(disk.content().requests[0]?.attempts).toHaveLength(ATTEMPTS_RETAINED);
  });
});

function withoutBytes(outcome: object): object {
  return 'counts' in outcome
    ? { ...outcome, counts: { ...(outcome.counts as object), bytes: 0, owners: [], services: [] } }
    : outcome;
}

/** What whoever is told the changes knows of each service. */
function keptIn(kept: StoredServices): readonly ServiceCount[] {
  return [...kept.services.values()]
    .map(({ counted: _counted, ...count }) => count)
    .sort((a, b) => a.service.compare(b.service));
}
