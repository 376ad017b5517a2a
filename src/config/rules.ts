/** Rules between keys. A rule for one key is in its schema. */
import type { Config, ListenerConfig } from './config.js';
import { collide, type Endpoint, parseEndpoint, parseHttpListen } from './endpoint.js';
import { proxiesAreNamed, quotasExist, tokensDiffer } from './http-access.js';
import { mapBeside, sizeOfMap, storeOfMap, threePortsOfMap } from './map-rules.js';
import { broken, type Broken } from './problem.js';
import { PUBLISHERS } from './publishers.js';
import { SERVICE_BYTES_MAX } from './service-listeners.js';
import { formatSize } from './size.js';
import { besideDatabase, passwordOfDatabase, storeIsKnown } from './store-rules.js';
import type { Path } from './tree.js';

/** One rule over the keys `about`. It is not checked if one of them is invalid. */
interface Rule {
  readonly about: readonly string[];
  readonly check: (config: Config) => readonly Broken[];
}

function pairNeeds(key: 'listen' | 'peer'): Rule {
  return {
    about: ['bstar.role', `bstar.${key}`],
    check: ({ bstar }) =>
      broken(
        bstar.role !== 'standalone' && bstar[key] === null,
        'bstar.role',
        `${bstar.role} needs bstar.${key}`,
      ),
  };
}

/** A rule for each listener of the broker. @param path the key below it to change */
function ofListeners(
  path: Path,
  isBroken: (listener: ListenerConfig) => boolean,
  message: string,
): Rule {
  return {
    about: ['broker.listen', 'broker.transport'],
    check: ({ broker }) =>
      broker.listen.flatMap((listener, index) =>
        broken(isBroken(listener), ['broker', 'listen', index, ...path], message),
      ),
  };
}

const EITHER = 'contradicts curve: remove one of the two';

function isSealedAndOpen({ insecure, curve }: Pick<ListenerConfig, 'insecure' | 'curve'>): boolean {
  return insecure && curve !== undefined;
}

function listenersAmongThemselves({ broker }: Config): readonly Broken[] {
  const seen: { readonly text: string; readonly endpoint: Endpoint }[] = [];
  return broker.listen.flatMap(({ endpoint: text }, index) => {
    const parsed = parseEndpoint(text);
    if (!parsed.ok) return [];
    const other = seen.find(({ endpoint }) => collide(endpoint, parsed.value));
    seen.push({ text, endpoint: parsed.value });
    if (other === undefined) return [];
    const message = `${text} cannot be bound beside ${other.text}`;
    return broken(true, ['broker', 'listen', index], message);
  });
}

/** Other listeners of the node must not use the broker's addresses. */
function besideListeners(
  section: 'bstar' | 'events' | 'http',
  textOf: (config: Config) => string | null | undefined,
): Rule {
  return {
    about: ['broker.listen', `${section}.listen`],
    check: (config) => {
      const text = textOf(config) ?? 'off';
      const parsed = section === 'http' ? parseHttpListen(text) : parseEndpoint(text);
      const mine = parsed.ok ? parsed.value : null;
      const beside = config.broker.listen.find(({ endpoint }) => {
        const other = parseEndpoint(endpoint);
        return mine !== null && other.ok && collide(mine, other.value);
      });
      const message = `${text} cannot be bound beside broker.listen ${beside?.endpoint ?? ''}`;
      return broken(beside !== undefined, `${section}.listen`, message);
    },
  };
}

/**
 * The broker asks the service about keys only on listeners with CURVE, and a worker has to offer
 * it.
 */
function authorised({ broker, security }: Config): readonly Broken[] {
  const service = security.authorize;
  if (service === null) return [];
  const wrong = (message: string): readonly Broken[] => broken(true, 'security.authorize', message);
  if (/^(mmi|titanic)\./.test(service)) {
    return wrong(`${service} is internal to the broker: name another service`);
  }
  if (Buffer.byteLength(service) > SERVICE_BYTES_MAX) {
    return wrong(`the name of a service has at most ${SERVICE_BYTES_MAX} bytes`);
  }
  if (broker.listen.some(({ curve }) => curve !== undefined)) return [];
  return wrong('has no effect: no listener has curve');
}

/** Every rule. */
export const RULES: readonly Rule[] = [
  // Freelance clients need a transport that knows the types of sockets.
  ofListeners(
    ['public'],
    (listener) => listener.public !== null && listener.transport === 'libzmq',
    'Freelance clients need transport zmtp: remove public, or use that transport',
  ),
  // libzmq can have only one secret key per listener.
  ofListeners(
    ['curve', 'secretKeyFile'],
    ({ transport, curve }) =>
      transport === 'libzmq' &&
      Array.isArray(curve?.secretKeyFile) &&
      curve.secretKeyFile.length > 1,
    'transport libzmq supports one secret key only; use transport zmtp for two',
  ),
  ofListeners(['insecure'], isSealedAndOpen, EITHER),
  ...PUBLISHERS.map(({ section }) => ({
    about: [`${section}.listen`],
    check: (config: Config) => {
      const { listen } = config[section];
      return broken(
        listen !== null && isSealedAndOpen(listen),
        `${section}.listen.insecure`,
        EITHER,
      );
    },
  })),
  { about: ['map.listen'], check: threePortsOfMap },
  { about: ['map.listen', 'limits.mapBytes', 'limits.memoryBytes'], check: sizeOfMap },
  { about: ['map.listen', 'titanic.enabled', 'titanic.replication'], check: storeOfMap },
  { about: ['titanic.store'], check: storeIsKnown },
  {
    about: ['titanic.store', 'bstar.role', 'map.listen', 'limits.messageBytes'],
    check: besideDatabase,
  },
  { about: ['titanic.store', 'titanic.storePasswordFile'], check: passwordOfDatabase },
  { about: ['broker.listen', 'security.authorize'], check: authorised },
  // libzmq does not authenticate over ipc.
  ofListeners(
    ['curve'],
    ({ endpoint, transport, curve }) =>
      curve !== undefined && transport === 'libzmq' && !endpoint.startsWith('tcp://'),
    'transport libzmq supports CURVE on tcp:// only; use transport zmtp',
  ),
  pairNeeds('listen'),
  pairNeeds('peer'),
  {
    about: ['bstar.listen', 'bstar.peer'],
    check: ({ bstar }) =>
      broken(
        bstar.peer !== null && bstar.peer === bstar.listen,
        'bstar.peer',
        'equals bstar.listen: a node cannot be its own peer',
      ),
  },
  {
    about: ['bstar.role', 'bstar.curve'],
    check: ({ bstar: { role, curve } }) =>
      broken(
        role === 'backup' && curve !== null && curve.serverKey === undefined,
        'bstar.curve',
        'the backup connects to the primary and needs serverKey',
      ),
  },
  {
    about: ['bstar.role', 'titanic.replication'],
    check: ({ bstar, titanic: { replication } }) =>
      broken(
        bstar.role === 'standalone' && replication !== 'off',
        'titanic.replication',
        `${replication} needs a pair: set bstar.role, or replication: off`,
      ),
  },
  {
    about: ['titanic.retryBaseMs', 'titanic.retryMaxMs'],
    check: ({ titanic: { retryBaseMs, retryMaxMs } }) =>
      broken(
        retryMaxMs < retryBaseMs,
        'titanic.retryMaxMs',
        `${retryMaxMs} is below titanic.retryBaseMs ${retryBaseMs}`,
      ),
  },
  {
    about: ['limits.messageBytes', 'limits.outputBytes'],
    check: ({ limits: { messageBytes, outputBytes } }) =>
      broken(
        outputBytes < messageBytes,
        'limits.outputBytes',
        `${formatSize(outputBytes)} is below limits.messageBytes ${formatSize(messageBytes)}: ` +
          'the largest message could not be sent',
      ),
  },
  {
    about: ['fleet.nats', 'bstar.role'],
    check: ({ fleet, bstar: { role } }) =>
      broken(
        fleet.nats.length > 0 && role !== 'standalone',
        'fleet.nats',
        `${role} is a role in a pair, and all brokers of a fleet serve at once: ` +
          'set bstar.role: standalone, or fleet.nats: off',
      ),
  },
  {
    about: ['map.listen', 'fleet.nats'],
    check: ({ fleet, map }) =>
      broken(
        fleet.nats.length > 0 && map.listen !== null,
        'map.listen',
        'the map belongs to a single node or a pair, and brokers of a fleet would each have another one: ' +
          'set map.listen: off, or fleet.nats: off',
      ),
  },
  { about: ['broker.listen'], check: listenersAmongThemselves },
  besideListeners('bstar', ({ bstar }) => bstar.listen),
  besideListeners('events', ({ events }) => events.listen?.endpoint),
  besideListeners('http', ({ http }) => http.listen),
  ...(['broker', 'events', 'bstar', 'http'] as const).map((section) => ({
    about: ['map.listen', `${section}.listen`],
    check: (config: Config) => mapBeside(config, section),
  })),
  {
    about: ['http.listen', 'http.tls'],
    check: ({ http: { listen, tls } }: Config): readonly Broken[] => {
      const isHttps = tls !== null;
      const why = isHttps ? 'with http.tls it is https' : 'https needs http.tls';
      const isOther = listen.startsWith(isHttps ? 'http:' : 'https:');
      return broken(isOther, 'http.listen', `${listen}: ${why}`);
    },
  },
  { about: ['http.token', 'http.readToken', 'http.tokens'], check: tokensDiffer },
  { about: ['http.tokens', 'limits.quotas'], check: quotasExist },
  { about: ['http.trustedUserHeader', 'http.trustedProxies'], check: proxiesAreNamed },
];
