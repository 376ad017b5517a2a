import type { Commands } from '../../../cli/program.js';

export const events: Commands = {
  events: {
    group: 'diagnosis',
    summary: 'print the events of a broker as they happen',
    load: async () => (await import('./events.js')).defineEvents,
  },
};
