/** Opens the broker's listeners, each on the transport that it is configured for. */
import type { Config } from '../config/config.js';
import type { ListenerConfig, TransportName } from '../config/entries.js';
import type { Holdings } from '../core/holdings.js';
import { listenFor } from '../core/listen-trouble.js';
import {
  type ListenerOptions,
  type OpenedRouter,
  PeerNumbers,
  type Transport,
  type TransportEvents,
} from '../zmtp/port.js';
import { openZmtpRouter } from '../zmtp/router/router.js';
import type { Names } from '../zmtp/sockets/names.js';
import { type OpenRouter, openSeveral, type TransportPart } from '../zmtp/several.js';
import type { Keys } from './io/keys.js';
import { routerLimits } from './settings.js';

interface ListenersOrder {
  readonly config: Config;
  readonly keys: Keys;
  readonly holdings: Holdings;
  readonly names: Names;
  /** The transports of extensions. */
  readonly transports: readonly { readonly name: TransportName; readonly open: OpenRouter }[];
  /** Listeners that are in no configuration. */
  readonly others: readonly TransportPart[];
  readonly events: TransportEvents;
  readonly opening: (transport: Transport) => void;
}

/** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT; nothing stays open */
export async function openListeners(order: ListenersOrder): Promise<OpenedRouter> {
  const { config, keys, holdings, names, transports, others, events, opening } = order;
  const configured = [{ name: 'zmtp', open: openZmtpRouter } as const, ...transports];
  const parts = configured.map(({ name, open }) => ({
    open,
    listeners: listenersOf(config, keys, name),
  }));
  const { transport, endpoints } = await listenFor('broker.listen', () =>
    openSeveral([...parts, ...others], {
      limits: routerLimits(config, keys),
      peers: new PeerNumbers(),
      holdings,
      names,
      events,
      opening,
    }),
  );
  // The listener within this process has no endpoint.
  return { transport, endpoints: endpoints.filter((endpoint) => endpoint !== '') };
}

function listenersOf(config: Config, keys: Keys, name: TransportName): ListenerOptions[] {
  return config.broker.listen.flatMap((listener, index) => {
    if (listener.transport !== name) return [];
    const curve = keys.curveOf(index);
    const opened = { endpoint: listener.endpoint, index, ...serviceListener(config, listener) };
    return curve === undefined ? opened : { ...opened, curve };
  });
}

/** What is particular to a listener for one service. */
function serviceListener(
  { broker }: Config,
  listener: ListenerConfig,
): Pick<ListenerOptions, 'identity' | 'pings'> {
  if (listener.service === null) return {};
  const identity = listener.public === null ? {} : { identity: Buffer.from(listener.public) };
  if (listener.worker.length === 0) return identity;
  const everyMs = broker.heartbeatIntervalMs;
  return { pings: { everyMs, silentMs: everyMs * broker.heartbeatLiveness } };
}
