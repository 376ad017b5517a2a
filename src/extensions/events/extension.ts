/** The events of the node as a stream (`events.listen`). */
import type { Extension } from '../../node/extension.js';
import { STREAM_LINES } from './lines.js';

export const events: Extension = {
  name: 'events',
  // Subscribers hear of the store's end, too.
  isFirst: true,
  lines: STREAM_LINES,
  attach: async (host) => {
    const { AttachedEvents } = await import('./attached.js');
    return new AttachedEvents(host);
  },
};
