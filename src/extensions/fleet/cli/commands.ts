import type { Commands } from '../../../cli/program.js';

export const fleet: Commands = {
  fleet: {
    group: 'pair',
    summary: 'show the brokers of a fleet',
    load: async () => (await import('./fleet.js')).defineFleet,
  },
};
