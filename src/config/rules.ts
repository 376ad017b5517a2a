/** Rules between keys. A rule for one key is in its row. */
import type { Config, ListenerConfig } from './config.js';
import { collide, type Endpoint, parseEndpoint, parseHttpListen } from './endpoint.js';
import { noFleetInPair, noMapInFleet } from './fleet.js';
import { proxiesAreNamed, quotasExist, tokensDiffer } from './http-access.js';
import { mapBeside, sizeOfMap, storeOfMap, threePortsOfMap } from './map-rules.js';
import { PUBLISHERS, publishedBy } from './publishers.js';
import { publicNeedsZmtp, SERVICE_BYTES_MAX } from './service-listeners.js';
import { formatSize } from './size.js';
import { besideDatabase, passwordOfDatabase, storeIsKnown } from './store-rules.js';
import type { Path } from './tree.js';
import { webhooksAreSigned } from './webhook-hosts.js';

/** A violation; `path` is the key to change first. */
export interface Broken {
  readonly path: Path;
  readonly message: string;
}

/** One rule over the keys `about`. It is not checked if one of them is invalid. */
export interface Rule {
  readonly about: readonly string[];
  readonly check: (config: Config) => readonly Broken[];
}

function pairNeeds(key: 'listen' | 'peer'): Rule {
  return {
    about: ['bstar.role', `bstar.${key}`],
    check: ({ bstar }) =>
      bstar.role === 'standalone' || bstar[key] !== null
        ? []
        : [{ path: ['bstar', 'role'], message: `${bstar.role} needs bstar.${key}` }],
  };
}

function listenersAmongThemselves({ broker }: Config): readonly Broken[] {
  const broken: Broken[] = [];
  const seen: { readonly text: string; readonly endpoint: Endpoint }[] = [];
  broker.listen.forEach((listener, index) => {
    const parsed = parseEndpoint(listener.endpoint);
    if (!parsed.ok) return;
    const other = seen.find(({ endpoint }) => collide(endpoint, parsed.value));
    if (other !== undefined) {
      const message = `${listener.endpoint} cannot be bound beside ${other.text}`;
      broken.push({ path: ['broker', 'listen', index], message });
    }
    seen.push({ text: listener.endpoint, endpoint: parsed.value });
  });
  return broken;
}

/** Other listeners of the node must not use the broker's addresses. */
function besideListeners(config: Config, path: Path, text: string | null): readonly Broken[] {
  if (text === null) return [];
  const parsed = path[0] === 'http' ? parseHttpListen(text) : parseEndpoint(text);
  if (!parsed.ok || parsed.value === null) return [];
  const mine = parsed.value;
  for (const { endpoint } of config.broker.listen) {
    const other = parseEndpoint(endpoint);
    if (other.ok && collide(mine, other.value)) {
      return [{ path, message: `${text} cannot be bound beside broker.listen ${endpoint}` }];
    }
  }
  return [];
}

/** libzmq does not authenticate over ipc. */
function sealedByLibzmq({ broker }: Config): readonly Broken[] {
  return broker.listen.flatMap(({ endpoint, transport, curve }, index) =>
    curve !== undefined && transport === 'libzmq' && !endpoint.startsWith('tcp://')
      ? [
          {
            path: ['broker', 'listen', index, 'curve'],
            message: 'transport libzmq supports CURVE on tcp:// only; use transport zmtp',
          },
        ]
      : [],
  );
}

/** libzmq can have only one secret key per listener. */
function oneKeyOfLibzmq({ broker }: Config): readonly Broken[] {
  return broker.listen.flatMap(({ transport, curve }, index) =>
    transport === 'libzmq' && Array.isArray(curve?.secretKeyFile) && curve.secretKeyFile.length > 1
      ? [
          {
            path: ['broker', 'listen', index, 'curve', 'secretKeyFile'],
            message: 'transport libzmq supports one secret key only; use transport zmtp for two',
          },
        ]
      : [],
  );
}

function sealedAndOpen({ broker }: Config): readonly Broken[] {
  return broker.listen.flatMap((listener, index) =>
    eitherSealedOrOpen(listener, ['broker', 'listen', index, 'insecure']),
  );
}

function eitherSealedOrOpen(
  { insecure, curve }: Pick<ListenerConfig, 'insecure' | 'curve'>,
  path: Path,
): readonly Broken[] {
  if (!insecure || curve === undefined) return [];
  return [{ path, message: 'contradicts curve: remove one of the two' }];
}

/**
 * The broker asks the service about keys only on listeners with CURVE, and a worker has to offer
 * it.
 */
function authorised({ broker, security }: Config): readonly Broken[] {
  const service = security.authorize;
  if (service === null) return [];
  const broken = (message: string): readonly Broken[] => [
    { path: ['security', 'authorize'], message },
  ];
  if (/^(mmi|titanic)\./.test(service)) {
    return broken(`${service} is internal to the broker: name another service`);
  }
  if (Buffer.byteLength(service) > SERVICE_BYTES_MAX) {
    return broken(`the name of a service has at most ${SERVICE_BYTES_MAX} bytes`);
  }
  if (broker.listen.some(({ curve }) => curve !== undefined)) return [];
  return broken('has no effect: no listener has curve');
}

/** Every rule. */
export const RULES: readonly Rule[] = [
  { about: ['broker.listen', 'broker.transport'], check: publicNeedsZmtp },
  { about: ['broker.listen', 'broker.transport'], check: oneKeyOfLibzmq },
  { about: ['broker.listen'], check: sealedAndOpen },
  ...PUBLISHERS.map(({ section }) => ({
    about: [`${section}.listen`],
    check: (config: Config) =>
      publishedBy(config)
        .filter((each) => each.section === section)
        .flatMap(({ listen }) => eitherSealedOrOpen(listen, [section, 'listen', 'insecure'])),
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
  { about: ['broker.listen', 'broker.transport'], check: sealedByLibzmq },
  pairNeeds('listen'),
  pairNeeds('peer'),
  {
    about: ['bstar.listen', 'bstar.peer'],
    check: ({ bstar }) =>
      bstar.peer === null || bstar.peer !== bstar.listen
        ? []
        : [
            {
              path: ['bstar', 'peer'],
              message: 'equals bstar.listen: a node cannot be its own peer',
            },
          ],
  },
  {
    about: ['bstar.role', 'bstar.curve'],
    check: ({ bstar }) =>
      bstar.role !== 'backup' || bstar.curve === null || bstar.curve.serverKey !== undefined
        ? []
        : [
            {
              path: ['bstar', 'curve'],
              message: 'the backup connects to the primary and needs serverKey',
            },
          ],
  },
  {
    about: ['bstar.role', 'titanic.replication'],
    check: ({ bstar, titanic }) =>
      bstar.role !== 'standalone' || titanic.replication === 'off'
        ? []
        : [
            {
              path: ['titanic', 'replication'],
              message: `${titanic.replication} needs a pair: set bstar.role, or replication: off`,
            },
          ],
  },
  {
    about: ['titanic.retryBaseMs', 'titanic.retryMaxMs'],
    check: ({ titanic }) =>
      titanic.retryMaxMs >= titanic.retryBaseMs
        ? []
        : [
            {
              path: ['titanic', 'retryMaxMs'],
              message: `${titanic.retryMaxMs} is below titanic.retryBaseMs ${titanic.retryBaseMs}`,
            },
          ],
  },
  {
    about: ['limits.messageBytes', 'limits.outputBytes'],
    check: ({ limits }) =>
      limits.outputBytes >= limits.messageBytes
        ? []
        : [
            {
              path: ['limits', 'outputBytes'],
              message:
                `${formatSize(limits.outputBytes)} is below limits.messageBytes ` +
                `${formatSize(limits.messageBytes)}: the largest message could not be sent`,
            },
          ],
  },
  { about: ['fleet.nats', 'bstar.role'], check: noFleetInPair },
  { about: ['map.listen', 'fleet.nats'], check: noMapInFleet },
  { about: ['broker.listen'], check: listenersAmongThemselves },
  {
    about: ['broker.listen', 'bstar.listen'],
    check: (config) => besideListeners(config, ['bstar', 'listen'], config.bstar.listen),
  },
  {
    about: ['broker.listen', 'events.listen'],
    check: (config) =>
      besideListeners(config, ['events', 'listen'], config.events.listen?.endpoint ?? null),
  },
  {
    about: ['broker.listen', 'http.listen'],
    check: (config) => besideListeners(config, ['http', 'listen'], config.http.listen),
  },
  ...(['broker', 'events', 'bstar', 'http'] as const).map((section) => ({
    about: ['map.listen', `${section}.listen`],
    check: (config: Config) => mapBeside(config, section),
  })),
  {
    about: ['http.listen', 'http.tls'],
    check: ({ http: { listen, tls } }: Config): readonly Broken[] => {
      const scheme = /^https?:/.exec(listen)?.[0] ?? null;
      const is = tls === null ? 'http:' : 'https:';
      if (scheme === null || scheme === is) return [];
      const why = tls === null ? 'https needs http.tls' : 'with http.tls it is https';
      return [{ path: ['http', 'listen'], message: `${listen}: ${why}` }];
    },
  },
  { about: ['http.token', 'http.readToken', 'http.tokens'], check: tokensDiffer },
  { about: ['http.tokens', 'limits.quotas'], check: quotasExist },
  { about: ['http.trustedUserHeader', 'http.trustedProxies'], check: proxiesAreNamed },
  { about: ['http.webhookHosts', 'http.webhookSecretFile'], check: webhooksAreSigned },
];
