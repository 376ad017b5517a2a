/** Rules for `fleet.nats`. */
import type { Config } from './config.js';
import type { Broken } from './rules.js';

/** A fleet takes the place of a pair: every one of its brokers serves. */
export function noFleetInPair({ fleet, bstar }: Config): readonly Broken[] {
  if (fleet.nats.length === 0 || bstar.role === 'standalone') return [];
  const message =
    `${bstar.role} is a role in a pair, and all brokers of a fleet serve at once: ` +
    'set bstar.role: standalone, or fleet.nats: off';
  return [{ path: ['fleet', 'nats'], message }];
}

/** The map belongs to one node or to a pair. */
export function noMapInFleet({ fleet, map }: Config): readonly Broken[] {
  if (fleet.nats.length === 0 || map.listen === null) return [];
  const message =
    'the map belongs to a single node or a pair, and brokers of a fleet would each have another one: ' +
    'set map.listen: off, or fleet.nats: off';
  return [{ path: ['map', 'listen'], message }];
}
