/** Programs that send requests over HTTP (`http.tokens` with `role: request`), and webhooks, also without them. */
import { httpError } from '../../admin/http/errors.js';
import { GlobSet } from '../../core/glob.js';
import type { Extension } from '../../node/extension.js';
import type { AttachedPrograms } from './attached.js';
import type { Callers } from './callers.js';
import { PROGRAMS_EVENTS } from './programs-events.js';
import type { HasKey } from './request-route.js';

export function programs(): Extension {
  let attached: AttachedPrograms | null = null;
  return {
    name: 'programs',
    events: PROGRAMS_EVENTS,
    inner: {
      client: GlobSet.all,
      worker: GlobSet.none,
      mmi: 'minimal',
      hasKeys: true,
      service: null,
    },
    routes: async (config) => {
      const { requestRoute } = await import('./request-route.js');
      const { durableRoutes } = await import('./durable-routes.js');
      const started = (): AttachedPrograms => {
        if (attached !== null) return attached;
        throw httpError('ERR_HTTP_NOT_READY', 'the node is starting');
      };
      const callers = (): Callers => started().callers;
      const isStored = config.titanic.enabled;
      const hasKey: HasKey = async (token, service, key) => {
        const known = await attached?.hasKey(token, service, key);
        if (typeof known !== 'object') return known === true;
        throw httpError('ERR_HTTP_STORE', known.message);
      };
      return () => [
        requestRoute(callers, () => started().keys, hasKey, isStored),
        ...durableRoutes(callers, isStored),
      ];
    },
    attach: async (host) => {
      const { AttachedPrograms: Programs } = await import('./attached.js');
      attached = new Programs(host);
      return attached;
    },
  };
}
