import type { CommandModule, Commands } from '../../../cli/program.js';

export const postgres: Commands = {
  migrate: [
    'durable',
    'move the durable requests of a store file into a database',
    (): Promise<CommandModule> => import('./migrate.js'),
  ],
};
