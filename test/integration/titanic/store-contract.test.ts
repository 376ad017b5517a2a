import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openSqliteStore } from '../../../src/titanic/io/sqlite-store.js';
import { MemoryDisk } from '../../../src/testing/memory-store.js';
import { describeStoreContract } from '../../support/store-contract.js';

describeStoreContract('SQLite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'majordomo-store-'));
  return {
    open: openSqliteStore(join(directory, 'titanic.db')),
    remove: () => rm(directory, { recursive: true }),
  };
});

describeStoreContract('memory', async () => {
  const disk = new MemoryDisk({ schedule: (_call, run) => setImmediate(run) });
  return { open: disk.openStore, remove: async () => {} };
});
