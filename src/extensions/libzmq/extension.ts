/** Listeners of the broker on libzmq (`broker.listen[].transport`). */
import type { Extension } from '../../node/extension.js';

export const libzmq: Extension = {
  name: 'libzmq',
  // The native module is loaded when a listener is opened.
  attach: async () => {
    const { openLibzmqRouter } = await import('./router.js');
    return { transport: { name: 'libzmq', open: openLibzmqRouter } };
  },
};
