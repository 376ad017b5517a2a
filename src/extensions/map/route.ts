import { OPERATIONS } from '../../admin/api/operations.js';
import { NO_CURSOR } from '../../admin/api/parameters.js';
import { httpError, wrongParameter } from '../../admin/http/errors.js';
import type { Pace } from '../../admin/http/pace.js';
import { pacedRoute, type Route } from '../../admin/http/route.js';
import type { MapView } from './view.js';

/**
 * The map, read only.
 * @param view of now; `off`: this node has none
 * @param pace shared by all lists
 */
export function mapRoute(view: () => MapView | 'off' | 'not_ready', pace: Pace): Route {
  return pacedRoute(OPERATIONS.map, pace, ({ query }) => {
    const page = present(view())(query);
    if (page === null) throw wrongParameter('cursor', NO_CURSOR);
    return page;
  });
}

/** @throws ERR_HTTP_NOT_FOUND, ERR_HTTP_NOT_READY */
function present(map: MapView | 'off' | 'not_ready'): MapView {
  switch (map) {
    case 'off':
      throw httpError('ERR_HTTP_NOT_FOUND', 'this node has no map: map.listen is off');
    case 'not_ready':
      throw httpError('ERR_HTTP_NOT_READY', 'the map is being loaded');
    default:
      return map;
  }
}
