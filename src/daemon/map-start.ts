/** Starts the map of a node (`map.listen`), on the store of its durable requests. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { Broker } from '../broker/broker.js';
import type { BrokerLoop } from '../broker/io/loop.js';
import { EpochFile } from '../bstar/io/epoch-file.js';
import type { Config } from '../config/config.js';
import { quotasOf } from '../config/quotas.js';
import type { Holdings } from '../core/holdings.js';
import type { MapEvents } from '../map/events.js';
import type { RouterLimits } from '../transport/port.js';
import type { Keys } from './io/keys.js';
import { MapHost } from './map.js';
import { PAIR_EPOCH_FILE } from './pair-start.js';
import type { MapKeeping } from './stored.js';

/** The epochs of a standalone node's map. */
const EPOCH_FILE = 'map.epoch';

export interface MapDeps {
  readonly config: Config;
  /** Where its records are. */
  readonly storage: MapKeeping;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly keys: Keys;
  readonly holdings: Holdings;
  readonly events: MapEvents;
}

/** Begins to load the records. It serves nobody before `listenForMap` and `MapHost.activate`. */
export function startMap(deps: MapDeps): MapHost {
  const { config, storage, broker, loop, keys, holdings, events } = deps;
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
  broker.watchServices((service, isServed) => {
    map.service(service, isServed);
  });
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

/**
 * A standalone node serves its map under a new epoch from each start on, which is on disk before: also
 * numbers of changes that were published but not stored (renewals, services) never come again (D48).
 * So do those of a node that was one of a pair before.
 * @param epochMax of what is stored, which may come from another node
 * @throws ERR_BSTAR_EPOCH, ERR_BSTAR_DISK
 */
export async function nextMapEpoch(dataDir: string, epochMax: number): Promise<number> {
  const file = await EpochFile.open(join(dataDir, EPOCH_FILE), Date.now());
  try {
    const ofPair = await pairEpoch(dataDir);
    const epoch = Math.max(file.persisted.epoch, ofPair, epochMax) + 1;
    await file.persist({ epoch, wasActive: false });
    return epoch;
  } finally {
    await file.close();
  }
}

/** The epoch that this node had in a pair; 0: it was in none. */
async function pairEpoch(dataDir: string): Promise<number> {
  const path = join(dataDir, PAIR_EPOCH_FILE);
  if (!existsSync(path)) return 0;
  const file = await EpochFile.open(path, Date.now());
  await file.close();
  return file.persisted.epoch;
}
