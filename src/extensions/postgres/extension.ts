/** Durable requests in a PostgreSQL database that brokers share (`titanic.store`). */
import type { Extension } from '../../node/extension.js';

export const postgres: Extension = {
  name: 'postgres',
  check: async (config, file) => {
    const { check } = await import('./checkup.js');
    return await check(config, file);
  },
  database: async (config) => await (await import('./tools.js')).databaseTool(config),
  openStore: async (deps) => {
    const { startInDatabase } = await import('./start.js');
    return await startInDatabase(deps);
  },
};
