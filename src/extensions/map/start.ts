/** Starts the map of a node (`map.listen`), on the store of its durable requests. */
import type { Broker } from '../../broker/broker.js';
import type { BrokerLoop } from '../../broker/io/loop.js';
import type { Config } from '../../config/config.js';
import { quotasOf } from '../../config/quotas.js';
import type { Holdings } from '../../core/holdings.js';
import type { MapEvents } from './machine/events.js';
import type { RouterLimits } from '../../zmtp/port.js';
import type { Keys } from '../../node/io/keys.js';
import { MapHost } from './host.js';
import type { MapKeeping } from '../../node/stored.js';

export interface MapDeps {
  readonly config: Config;
  /** Where its records are. */
  readonly storage: MapKeeping;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly keys: Keys;
  readonly holdings: Holdings;
  readonly events: MapEvents;
  /** Whether its readers may know all services (D74). */
  readonly showsServices: boolean;
}

/** Begins to load the records. It serves nobody before `listenForMap` and `MapHost.activate`. */
export function startMap(deps: MapDeps): MapHost {
  const { config, storage, broker, loop, keys, holdings, events, showsServices } = deps;
  const map = new MapHost({
    bytesMax: config.limits.mapBytes,
    rightsOf: keys.mapRights,
    holdings,
    replica: storage.replica,
    store: storage.store,
    events,
    wake: () => {
      loop.wake();
    },
  });
  storage.serve(map.machine);
  if (showsServices) {
    broker.watchServices((service, isServed) => {
      map.service(service, isServed);
    });
  }
  map.machine.tombstones(storage.tombstoneBytes);
  map.machine.open();
  return map;
}

/** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
export async function listenForMap(
  map: MapHost,
  { map: { listen } }: Config,
  { mapCurve: curve }: Keys,
  limits: RouterLimits,
): Promise<void> {
  if (listen === null) return;
  const sealed = curve === undefined ? {} : { curve };
  await map.listen({ endpoint: listen.endpoint, ...sealed, limits });
}

/** The limits of each of its ports. */
export function mapLimits(config: Config, limits: RouterLimits, { mapRights }: Keys): RouterLimits {
  const connectionsPerKeyMax: RouterLimits['connectionsPerKeyMax'] = (_port, key) =>
    quotasOf(config, mapRights(key).quota).connections;
  return { ...limits, connectionsPerKeyMax };
}
