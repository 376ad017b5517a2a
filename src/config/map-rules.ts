/** Rules for the map: `map.listen`, which names the first of three ports, and `limits.mapBytes`. */
import type { Config } from './config.js';
import { collide, type Endpoint, parseEndpoint, parseHttpListen } from './endpoint.js';
import { broken, type Broken } from './problem.js';
import { formatSize } from './size.js';

const PORTS = 3;
const PORT_MAX = 65_535;
const BYTES_MOST = 256 * 2 ** 20;
const SHARE_OF_MEMORY = 1 / 2;

function wrong(message: string): readonly Broken[] {
  return broken(true, 'map.listen', message);
}

/** 12/CHP counts ports, which a socket file does not have. */
export function threePortsOfMap({ map: { listen } }: Config): readonly Broken[] {
  const parsed = listen === null ? null : parseEndpoint(listen.endpoint);
  if (parsed?.ok !== true || listen === null) return [];
  if (parsed.value.scheme !== 'tcp') {
    return wrong(
      `${listen.endpoint}: the map takes three ports in a row, so it needs an endpoint tcp://HOST:PORT`,
    );
  }
  const last = PORT_MAX - PORTS + 1;
  if (parsed.value.port <= last) return [];
  return wrong(
    `${listen.endpoint}: the map takes this port and the next two; choose one up to ${last}`,
  );
}

/** The default of `limits.mapBytes`. */
export function mapBytesDefault(memoryBytes: number): number {
  return Math.min(BYTES_MOST, Math.floor(memoryBytes * SHARE_OF_MEMORY));
}

/** The records count as memory of the node (D77): a larger map would leave its peers none. */
export function sizeOfMap({ map, limits: { mapBytes, memoryBytes } }: Config): readonly Broken[] {
  const message =
    `${formatSize(mapBytes)} are more than limits.memoryBytes (${formatSize(memoryBytes)}), in which all records ` +
    'of the map count: lower limits.mapBytes, or raise limits.memoryBytes';
  return broken(map.listen !== null && mapBytes > memoryBytes, 'limits.mapBytes', message);
}

export function storeOfMap({ map, titanic, bstar }: Config): readonly Broken[] {
  if (map.listen === null) return [];
  if (!titanic.enabled) {
    return wrong(
      'the map is kept in the store of durable requests: set titanic.enabled: true, or map.listen: off',
    );
  }
  if (bstar.role === 'standalone' || titanic.replication !== 'off') return [];
  return wrong(
    'a failover would lose changes, because the nodes of this pair replicate nothing: set titanic.replication: sync, or map.listen: off',
  );
}

/** Other listeners of the node must not use the map's ports. */
export function mapBeside(
  config: Config,
  section: 'broker' | 'events' | 'bstar' | 'http',
): readonly Broken[] {
  const { listen } = config.map;
  const ports = listen === null ? [] : portsOf(listen.endpoint);
  for (const text of listenersOf(config, section)) {
    const parsed = section === 'http' ? parseHttpListen(text) : parseEndpoint(text);
    if (!parsed.ok || parsed.value === null) continue;
    const other = parsed.value;
    const taken = ports.find((port) => collide(port, other));
    if (taken === undefined) continue;
    return wrong(
      `${listen?.endpoint ?? ''} takes this port and the next two: port ${taken.port} cannot be ` +
        `bound beside ${section}.listen ${text}; change one of them`,
    );
  }
  return [];
}

function listenersOf(
  { broker, events, bstar, http }: Config,
  section: 'broker' | 'events' | 'bstar' | 'http',
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
