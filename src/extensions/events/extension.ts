/** The events of the node as a stream (`events.listen`). */
import type { Extension } from '../../node/extension.js';
import { STREAM_LINES } from './lines.js';

export const events: Extension = {
  name: 'events',
  lines: STREAM_LINES,
  isWanted: (config) => config.events.listen !== null,
  attach: async (host) => {
    const { AttachedEvents } = await import('./attached.js');
    return new AttachedEvents(host);
  },
};
