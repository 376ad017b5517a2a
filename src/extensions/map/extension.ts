/** The shared map (`map.listen`). */
import type { Extension } from '../../node/extension.js';
import type { AttachedMap } from './attached.js';
import { MAP_EVENTS } from './machine/map-events.js';
import { MAP_PART } from './part.js';

export function map(): Extension {
  let attached: AttachedMap | null = null;
  return {
    name: 'map',
    events: MAP_EVENTS,
    part: MAP_PART,
    ports: 3,
    check: async (config, _file, served) => {
      const { check } = await import('./cli/checkup.js');
      return await check(config, served);
    },
    routes: async (config) => {
      const { mapRoute } = await import('./route.js');
      const isOff = config.map.listen === null;
      return (pace) => [mapRoute(() => (isOff ? 'off' : (attached?.view ?? 'not_ready')), pace)];
    },
    attach: async (host) => {
      const { AttachedMap: Map } = await import('./attached.js');
      attached = await Map.attach(host);
      return attached;
    },
  };
}
