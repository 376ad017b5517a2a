/** Rules between keys. A rule for one key is in its schema. */
import type { Config } from './config.js';
import { SERVICE_NAME_BYTES_MAX } from '../core/numbers.js';
import type { ListenerConfig } from './entries.js';
import { collide, type Endpoint, parseEndpoint, parseHttpListen } from './endpoint.js';
import { HTTP_RULES } from './http-rules.js';
import { MAP_RULES } from './map-rules.js';
import { PUBLISHERS } from './publishers.js';
import { broken, type Broken, rule, type Rule } from './rule.js';
import { formatSize } from './size.js';
import { STORE_RULES } from './store-rules.js';
import type { Path } from './tree.js';
import { WEBHOOK_RULE } from './webhook-hosts.js';

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
        broken(['broker', 'listen', index, ...path], isBroken(listener) ? message : null),
      ),
  };
}

const EITHER = 'contradicts curve: remove one of the two';

function isSealedAndOpen(listener: Pick<ListenerConfig, 'insecure' | 'curve'>): boolean {
  return listener.insecure && listener.curve !== undefined;
}

function listenersAmongThemselves({ broker }: Config): readonly Broken[] {
  const seen: { readonly text: string; readonly endpoint: Endpoint }[] = [];
  return broker.listen.flatMap(({ endpoint: text }, index) => {
    const parsed = parseEndpoint(text);
    if (!parsed.ok) return [];
    const other = seen.find(({ endpoint }) => collide(endpoint, parsed.value));
    seen.push({ text, endpoint: parsed.value });
    return broken(
      ['broker', 'listen', index],
      other === undefined ? null : `${text} cannot be bound beside ${other.text}`,
    );
  });
}

/** A rule: other listeners of the node must not use the broker's addresses. */
function besideListeners(
  section: 'bstar' | 'events' | 'http',
  textOf: (config: Config) => string | null | undefined,
): Rule {
  return rule(['broker.listen', `${section}.listen`], (config) => {
    const text = textOf(config) ?? 'off';
    const parsed = section === 'http' ? parseHttpListen(text) : parseEndpoint(text);
    const mine = parsed.ok ? parsed.value : null;
    const beside = config.broker.listen.find(({ endpoint }) => {
      const other = parseEndpoint(endpoint);
      return mine !== null && other.ok && collide(mine, other.value);
    });
    if (beside === undefined) return null;
    return `${text} cannot be bound beside broker.listen ${beside.endpoint}`;
  });
}

/**
 * The broker asks the service about keys only on listeners with CURVE, and a worker has to offer
 * it.
 */
function authoriserFault({ broker, security }: Config): string | null {
  const service = security.authorize;
  if (service === null) return null;
  if (/^(mmi|titanic)\./.test(service)) {
    return `${service} is internal to the broker: name another service`;
  }
  if (Buffer.byteLength(service) > SERVICE_NAME_BYTES_MAX) {
    return `the name of a service has at most ${SERVICE_NAME_BYTES_MAX} bytes`;
  }
  const hasKeys = broker.listen.some(({ curve }) => curve !== undefined);
  return hasKeys ? null : 'has no effect: no listener has curve';
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
    check: ({ [section]: { listen } }: Config) =>
      broken(
        [section, 'listen', 'insecure'],
        listen !== null && isSealedAndOpen(listen) ? EITHER : null,
      ),
  })),
  ...MAP_RULES,
  ...STORE_RULES,
  rule(['broker.listen', 'security.authorize'], authoriserFault),
  // libzmq does not authenticate over ipc.
  ofListeners(
    ['curve'],
    ({ endpoint, transport, curve }) =>
      curve !== undefined && transport === 'libzmq' && !endpoint.startsWith('tcp://'),
    'transport libzmq supports CURVE on tcp:// only; use transport zmtp',
  ),
  ...(['listen', 'peer'] as const).map((key) =>
    rule([`bstar.${key}`, 'bstar.role'], ({ bstar }) =>
      bstar.role !== 'standalone' && bstar[key] === null
        ? `${bstar.role} needs bstar.${key}`
        : null,
    ),
  ),
  rule(['bstar.listen', 'bstar.peer'], ({ bstar: { listen, peer } }) =>
    peer !== null && peer === listen ? 'equals bstar.listen: a node cannot be its own peer' : null,
  ),
  rule(['bstar.role', 'bstar.curve'], ({ bstar: { role, curve } }) =>
    role === 'backup' && curve !== null && curve.serverKey === undefined
      ? 'the backup connects to the primary and needs serverKey'
      : null,
  ),
  rule(['bstar.role', 'titanic.replication'], ({ bstar, titanic: { replication } }) =>
    bstar.role === 'standalone' && replication !== 'off'
      ? `${replication} needs a pair: set bstar.role, or replication: off`
      : null,
  ),
  rule(['titanic.retryBaseMs', 'titanic.retryMaxMs'], ({ titanic }) =>
    titanic.retryMaxMs < titanic.retryBaseMs
      ? `${titanic.retryMaxMs} is below titanic.retryBaseMs ${titanic.retryBaseMs}`
      : null,
  ),
  rule(['limits.messageBytes', 'limits.outputBytes'], ({ limits }) =>
    limits.outputBytes < limits.messageBytes
      ? `${formatSize(limits.outputBytes)} is below limits.messageBytes ` +
        `${formatSize(limits.messageBytes)}: the largest message could not be sent`
      : null,
  ),
  // A fleet takes the place of a pair: every one of its brokers serves.
  rule(['bstar.role', 'fleet.nats'], ({ fleet, bstar: { role } }) =>
    fleet.nats.length > 0 && role !== 'standalone'
      ? `${role} is a role in a pair, and all brokers of a fleet serve at once: ` +
        'set bstar.role: standalone, or fleet.nats: off'
      : null,
  ),
  // The map belongs to one node or to a pair.
  rule(['fleet.nats', 'map.listen'], ({ fleet, map }) =>
    fleet.nats.length > 0 && map.listen !== null
      ? 'the map belongs to a single node or a pair, and brokers of a fleet would each have another one: ' +
        'set map.listen: off, or fleet.nats: off'
      : null,
  ),
  { about: ['broker.listen'], check: listenersAmongThemselves },
  besideListeners('bstar', ({ bstar }) => bstar.listen),
  besideListeners('events', ({ events }) => events.listen?.endpoint),
  besideListeners('http', ({ http }) => http.listen),
  ...HTTP_RULES,
  WEBHOOK_RULE,
];
