import type { CommandModule, Commands } from '../../../cli/program.js';

export const events: Commands = {
  events: [
    'diagnosis',
    'print the events of a broker as they happen',
    (): Promise<CommandModule> => import('./events-command.js'),
  ],
};
