/** Rules for the map: `map.listen`, which names the first of three ports, and `limits.mapBytes`. */
import type { Config } from './config.js';
import { collide, type Endpoint, parseEndpoint, parseHttpListen } from './endpoint.js';
import { rule, type Rule } from './rule.js';
import { formatSize } from './size.js';

const PORTS = 3;
const PORT_MAX = 65_535;
const BYTES_MOST = 256 * 2 ** 20;
const SHARE_OF_MEMORY = 1 / 2;

/** The default of `limits.mapBytes`. */
export function mapBytesDefault(memoryBytes: number): number {
  return Math.min(BYTES_MOST, Math.floor(memoryBytes * SHARE_OF_MEMORY));
}

const OTHERS = ['broker', 'events', 'bstar', 'http'] as const;

export const MAP_RULES: readonly Rule[] = [
  // 12/CHP counts ports, which a socket file does not have.
  rule(['map.listen'], ({ map }) => {
    const endpoint = map.listen?.endpoint ?? '';
    const parsed = parseEndpoint(endpoint);
    if (!parsed.ok) return null;
    if (parsed.value.scheme !== 'tcp') {
      return `${endpoint}: the map takes three ports in a row, so it needs an endpoint tcp://HOST:PORT`;
    }
    const last = PORT_MAX - PORTS + 1;
    return parsed.value.port > last
      ? `${endpoint}: the map takes this port and the next two; choose one up to ${last}`
      : null;
  }),
  // The records count as memory of the node (D77): a larger map would leave its peers none.
  rule(
    ['map.listen', 'limits.memoryBytes', 'limits.mapBytes'],
    ({ map, limits: { mapBytes, memoryBytes } }) =>
      map.listen !== null && mapBytes > memoryBytes
        ? `${formatSize(mapBytes)} are more than limits.memoryBytes (${formatSize(memoryBytes)}), in which all records of the map count: ` +
          'lower limits.mapBytes, or raise limits.memoryBytes'
        : null,
  ),
  rule(['titanic.enabled', 'map.listen'], ({ map, titanic }) =>
    map.listen !== null && !titanic.enabled
      ? 'the map is kept in the store of durable requests: set titanic.enabled: true, or map.listen: off'
      : null,
  ),
  rule(
    ['titanic.enabled', 'titanic.replication', 'map.listen'],
    ({ map, titanic: { enabled, replication }, bstar }) =>
      map.listen !== null && enabled && bstar.role !== 'standalone' && replication === 'off'
        ? 'a failover would lose changes, because the nodes of this pair replicate nothing: set titanic.replication: sync, or map.listen: off'
        : null,
  ),
  // Other listeners of the node must not use the map's ports.
  ...OTHERS.map((section) =>
    rule([`${section}.listen`, 'map.listen'], (config) => mapBeside(config, section)),
  ),
];

function mapBeside(config: Config, section: (typeof OTHERS)[number]): string | null {
  const endpoint = config.map.listen?.endpoint ?? '';
  for (const text of listenersOf(config, section)) {
    const parsed = section === 'http' ? parseHttpListen(text) : parseEndpoint(text);
    const other = parsed.ok ? parsed.value : null;
    const taken = portsOf(endpoint).find((port) => other !== null && collide(port, other));
    if (taken === undefined) continue;
    return (
      `${endpoint} takes this port and the next two: port ${taken.port} cannot be ` +
      `bound beside ${section}.listen ${text}; change one of them`
    );
  }
  return null;
}

function listenersOf(
  { broker, events, bstar, http }: Config,
  section: (typeof OTHERS)[number],
): readonly string[] {
  if (section === 'broker') return broker.listen.map(({ endpoint }) => endpoint);
  if (section === 'http') return [http.listen];
  const text = section === 'events' ? events.listen?.endpoint : bstar.listen;
  return text === null || text === undefined ? [] : [text];
}

function portsOf(endpoint: string): readonly Extract<Endpoint, { scheme: 'tcp' }>[] {
  const parsed = parseEndpoint(endpoint);
  if (!parsed.ok || parsed.value.scheme !== 'tcp' || parsed.value.port === 0) return [];
  const first = parsed.value;
  return Array.from({ length: PORTS }, (_, above) => ({ ...first, port: first.port + above }));
}
