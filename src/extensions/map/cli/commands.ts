import type { CommandModule, Commands } from '../../../cli/program.js';

export const map: Commands = {
  map: [
    'requests',
    'read, change and watch the map: keys and values that programs share',
    (): Promise<CommandModule> => import('./map.js'),
  ],
};
