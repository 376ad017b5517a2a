/** Durable requests in a PostgreSQL database that brokers share (`titanic.store`). */
import { isPostgres } from '../../core/postgres-url.js';
import type { Extension } from '../../node/extension.js';

export const postgres: Extension = {
  name: 'postgres',
  isWanted: ({ titanic }) => titanic.enabled && isPostgres(titanic.store),
  check: async (config, file) => {
    const { check } = await import('./checkup.js');
    return await check(config, file);
  },
  database: async () => (await import('./tools.js')).tools,
  openStore: async (deps) => {
    const { startInDatabase } = await import('./start.js');
    return await startInDatabase(deps);
  },
};
