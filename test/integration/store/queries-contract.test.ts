import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { openSqliteQueries } from '../../../src/store/sqlite/queries/sqlite-queries.js';
import { openSqliteStore } from '../../../src/store/sqlite/sqlite-store.js';
import { describeQueriesContract } from '../../support/queries-contract.js';
import { SCRATCH } from '../../support/scratch.js';

describeQueriesContract(
  'SQLite',
  async () => {
    const directory = await mkdtemp(join(SCRATCH, 'majordomo-store-'));
    const file = join(directory, 'titanic.db');
    return {
      open: openSqliteStore(file),
      openQueries: () => openSqliteQueries(file),
      remove: () => rm(directory, { recursive: true }),
    };
  },
  { isShared: false },
);
