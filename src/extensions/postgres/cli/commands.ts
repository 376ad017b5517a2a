import type { Commands } from '../../../cli/program.js';

export const postgres: Commands = {
  migrate: {
    group: 'durable',
    summary: 'move the durable requests of a store file into a database',
    load: async () => (await import('./migrate.js')).defineMigrate,
  },
};
