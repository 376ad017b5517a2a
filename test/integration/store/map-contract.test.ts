import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MemoryDisk } from '../../../src/testing/memory-store.js';
import { openSqliteStore } from '../../../src/titanic/io/sqlite-store.js';
import { describeMapStoreContract } from '../../support/map-store-contract.js';

describeMapStoreContract('SQLite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'majordomo-map-'));
  return {
    open: openSqliteStore(join(directory, 'titanic.db')),
    remove: () => rm(directory, { recursive: true }),
  };
});

describeMapStoreContract('memory', () => {
  const disk = new MemoryDisk({ schedule: (_call, run) => setImmediate(run) });
  return Promise.resolve({ open: disk.openStore, remove: () => Promise.resolve() });
});
