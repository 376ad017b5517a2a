import { OPERATIONS } from './api/operations.js';
import { NO_CURSOR } from './api/parameters.js';
import { httpError, wrongParameter } from './errors.js';
import type { Pace } from './pace.js';
import type { MapPort, Ports } from './ports.js';
import { pacedRoute, type Route } from './route.js';

const EVERYTHING = Buffer.alloc(0);

/** The map, read only. @param pace shared by all lists */
export function mapRoute(ports: Ports, pace: Pace): Route {
  return pacedRoute(OPERATIONS.map, pace, ({ query: { cursor, limit, subtree } }) => {
    const page = present(ports.map())({ cursor, limit, subtree: subtree ?? EVERYTHING });
    if (page === null) throw wrongParameter('cursor', NO_CURSOR);
    return page;
  });
}

/** @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_NOT_READY */
function present(map: ReturnType<Ports['map']>): MapPort {
  switch (map) {
    case 'off':
      throw httpError('ERR_HTTP_NOT_FOUND', 'this node has no map: map.listen is off');
    case 'not_ready':
      throw httpError('ERR_HTTP_NOT_READY', 'the map is being loaded');
    default:
      return map;
  }
}
