/** The events of the node as a stream (`events.listen`). */
import type { Extension } from '../../node/extension.js';
import { STREAM_EVENTS } from '../../stream/stream-events.js';

export const events: Extension = {
  name: 'events',
  // Subscribers hear of the store's end, too.
  isFirst: true,
  events: STREAM_EVENTS,
  ports: 1,
  check: async (config, _file, served) => {
    const { check } = await import('./cli/checkup.js');
    return await check(config, served);
  },
  attach: async (host) => {
    const { AttachedEvents } = await import('./attached.js');
    return new AttachedEvents(host);
  },
};
