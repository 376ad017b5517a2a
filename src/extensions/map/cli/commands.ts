import type { Commands } from '../../../cli/program.js';

export const map: Commands = {
  map: {
    group: 'requests',
    summary: 'read, change and watch the map: keys and values that programs share',
    load: async () => (await import('./map.js')).defineMap,
  },
};
