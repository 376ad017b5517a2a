/** Durable requests in a PostgreSQL database that brokers share (`titanic.store`). */
import { isPostgres } from '../../core/postgres-url.js';
import type { Extension } from '../../node/extension.js';

export const postgres: Extension = {
  name: 'postgres',
  isWanted: ({ titanic }) => titanic.enabled && isPostgres(titanic.store),
  openStore: async (deps) => {
    const { startInDatabase } = await import('./start.js');
    return await startInDatabase(deps);
  },
};
