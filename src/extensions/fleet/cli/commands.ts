import type { CommandModule, Commands } from '../../../cli/program.js';

export const fleet: Commands = {
  fleet: [
    'pair',
    'show the brokers of a fleet',
    (): Promise<CommandModule> => import('./fleet.js'),
  ],
};
