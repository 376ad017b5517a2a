/**
 * The shared map: keys and values that many programs hold copies of. It is exported by `majordomo-sdk`.
 * What happens when a node is lost: see `docs/sdk-streams.md`.
 */
export type { LostMapNode, MapChange, MapNode, SharedMapEvents } from './map/map-events.js';
export type {
  MapDeleteOptions,
  MapSetOptions,
  MapValue,
  SharedMapOptions,
} from './map/map-options.js';
export { SharedMap } from './map/shared-map.js';
