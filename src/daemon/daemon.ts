/** Composes one node: configuration → data directory, broker, MMI, transport, log. */
import { Broker } from '../broker/broker.js';
import type { BrokerEvent } from '../broker/events.js';
import { BrokerLoop } from '../broker/io/loop.js';
import { TransportSink } from '../broker/io/sink.js';
import type { BrokerLimits, BrokerOptions } from '../broker/options.js';
import type { Config, TransportName } from '../config/config.js';
import { diff } from '../config/diff.js';
import { monotonicMs } from '../core/clock.js';
import type { MajordomoError } from '../core/errors.js';
import { secureRandom } from '../core/random.js';
import { packageVersion } from '../core/version.js';
import { EventFeed } from '../http/event-feed.js';
import type { HttpServer } from '../http/io/server.js';
import type { Office } from '../http/ports.js';
import { Mmi } from '../mmi/mmi.js';
import { EventLog } from '../observe/event-log.js';
import type { Log, LogLevel } from '../observe/log.js';
import { tee } from '../observe/tee.js';
import { Throttle } from '../observe/throttle.js';
import type { TitanicEvent } from '../titanic/events.js';
import type { PairEvent } from '../bstar/events.js';
import { PeerNumbers } from '../transport/peer-numbers.js';
import type {
  ListenerOptions,
  OpenedRouter,
  RouterLimits,
  RouterOptions,
  Transport,
  TransportEvents,
} from '../transport/port.js';
import { openSeveral } from '../transport/several.js';
import { openZmtpRouter } from '../transport/zmtp/router.js';
import type { BrokerStatus } from '../wire/mmi.js';
import { NodeHealth } from './health.js';
import type { startHttp } from './http.js';
import { type DataDir, openDataDir } from './io/data-dir.js';
import { Keys } from './io/keys.js';
import { NodeMetrics } from './metrics.js';
import { nodeView } from './node-view.js';
import { type StartedPair, startPair } from './pair-start.js';
import { PairView } from './pair-view.js';
import { standalonePair } from './standalone.js';
import { startStoredRequests, type StoredRequests } from './stored.js';
import { turnsOf } from './turns.js';

/** How long the last replies and DISCONNECTs may take to leave. */
const LINGER_MS = 1000;

export interface Daemon {
  /** Where it listens, in the order of the configuration, ports filled in. */
  readonly endpoints: readonly string[];
  /** Where it answers HTTP; `null`: nowhere. */
  readonly http: string | null;
  /** Applies what can change while running, and logs what needs a restart. */
  reconfigure(config: Config): void;
  /** Calls `then` after a turn of the broker's loop: the proof that it turns. */
  afterTurn(then: () => void): void;
  /** What goes on here, in one line for people. */
  summary(): string;
  /** Drains and closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts a node.
 * @param fatal what was stored can no longer be trusted: the process has to end
 * @throws ERR_DATA_DIR_IN_USE, ERR_DATA_DIR, ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT,
 *   ERR_HTTP_LISTEN, ERR_CONFIG_FILE, ERR_CONFIG_INVALID (files of keys)
 */
export async function startDaemon(
  config: Config,
  log: Log,
  fatal: (error: MajordomoError) => void,
): Promise<Daemon> {
  const dataDir = openDataDir(config.node.dataDir);
  try {
    return await startIn(dataDir, config, log, fatal);
  } catch (error) {
    dataDir.release();
    throw error;
  }
}

async function startIn(
  dataDir: DataDir,
  config: Config,
  log: Log,
  fatal: (error: MajordomoError) => void,
): Promise<Daemon> {
  const startedAt = monotonicMs();
  const throttle = new Throttle(monotonicMs);
  const health = new NodeHealth();
  const feed = new EventFeed(Date.now);
  const sink = new TransportSink();
  const keys = new Keys(config.broker.listen, config.bstar.curve, log);
  const view = config.bstar.role === 'standalone' ? null : new PairView(config);
  let pair: StartedPair | null = null;
  const options = brokerOptions(config, keys, () => pair?.node.vote() ?? false);
  const told = new EventLog(log, throttle);
  const broker = new Broker(options, sink, tee<BrokerEvent>(told, feed), secureRandom);
  let current = config;
  const status = (now: number): BrokerStatus => brokerStatus(current, now - startedAt, view);
  broker.host(new Mmi(status));
  const loop = new BrokerLoop(broker);
  const metrics = new NodeMetrics(config, broker, health, view, startedAt);
  let stored: StoredRequests | null = null;
  const ports = {
    node: nodeView(broker, health, status),
    pair: view ?? standalonePair(config.node.name),
    feed,
    office: (): Office => {
      if (!config.titanic.enabled) return 'off';
      return health.phase === 'serving' && stored !== null ? stored.office : 'not_ready';
    },
    pictures: metrics.pictures,
  };
  const pairEvents = tee<PairEvent>(told, feed, ...(view === null ? [] : [view]));
  health.pair = view;
  let http: HttpServer | null = null;
  let opened: OpenedRouter;
  try {
    // Before what may take its time: whoever asks meanwhile is told that it starts.
    if (config.http.listen !== 'off') {
      http = await openHttp(config, dataDir.path, ports, metrics.sources, log);
    }
    if (config.titanic.enabled) {
      stored = await startStoredRequests({
        config,
        dataDir: dataDir.path,
        broker,
        loop,
        events: tee<TitanicEvent>(told, health, feed),
        pairEvents: view !== null && config.titanic.replication !== 'off' ? pairEvents : null,
        fatal,
      });
      metrics.titanic = stored.titanic;
    }
    if (view === null) {
      loop.accompany(turnsOf(broker, stored?.titanic ?? null, null));
    } else {
      const directory = dataDir.path;
      const parts = { config, dataDir: directory, broker, loop, stored, keys, view, log, fatal };
      pair = await startPair({ ...parts, events: pairEvents });
    }
    // Clients that wait for a broker are there as soon as its first listener is.
    opened = await openTransports(config, keys, loop, (transport) => {
      sink.attach(transport);
      loop.attach(transport);
    });
  } catch (error) {
    loop.stop();
    await http?.close();
    await pair?.close();
    await stored?.close();
    metrics.close();
    throw error;
  }
  const { transport, endpoints } = opened;
  const followAt = (level: LogLevel): void => {
    const isFollowed = level === 'debug' || level === 'trace';
    broker.follow(isFollowed ? told.step : null);
    stored?.titanic.follow(isFollowed ? told.storedStep : null);
  };
  followAt(config.log.level);
  keys.watch((listener, name) => {
    broker.revoke(listener, name);
  });
  health.phase = 'serving';
  log.info(
    { event: 'broker.ready', endpoints, http: http?.url ?? null, node: config.node.name },
    `listening on ${[...endpoints, ...(http === null ? [] : [http.url])].join(', ')}`,
  );
  return {
    endpoints,
    http: http?.url ?? null,
    reconfigure: (next) => {
      reconfigure(current, next, broker, log);
      followAt(next.log.level);
      transport.setLimits(routerLimits(next));
      keys.reread();
      current = { ...current, limits: next.limits, log: next.log };
    },
    afterTurn: (then) => {
      loop.afterNextTurn(then);
    },
    summary: () => summaryOf(broker),
    stop: async () => {
      keys.close();
      health.phase = 'draining';
      stored?.quiesce();
      await pair?.leave();
      await drain(broker, loop, transport, current, log);
      await pair?.close();
      await stored?.close();
      await http?.close();
      metrics.close();
      throttle.flush();
      dataDir.release();
      log.info({ event: 'broker.stopped' }, 'stopped');
    },
  };
}

function summaryOf({ load }: Broker): string {
  const waiting = load.requests - load.requestsOut;
  return `workers: ${load.workers}; requests: ${waiting} waiting, ${load.requestsOut} at workers`;
}

async function drain(
  broker: Broker,
  loop: BrokerLoop,
  transport: Transport,
  config: Config,
  log: Log,
): Promise<void> {
  const { requestsOut, workers } = broker.load;
  log.info(
    { event: 'broker.draining', requestsOut, workers, graceMs: config.shutdown.graceMs },
    `draining: ${requestsOut} requests are at workers`,
  );
  await loop.drain(config.shutdown.graceMs);
  await transport.close(LINGER_MS);
}

function reconfigure(current: Config, next: Config, broker: Broker, log: Log): void {
  const { live, restart } = diff(current, next);
  broker.setLimits(brokerLimits(next));
  log.setLevel(next.log.level);
  log.info(
    { event: 'config.reloaded', applied: live, needRestart: restart },
    `configuration reread: ${live.length} changes applied, ${restart.length} need a restart`,
  );
}

/** Each listener on the transport that it asks for. */
function openTransports(
  config: Config,
  keys: Keys,
  events: TransportEvents,
  opening: (transport: Transport) => void,
): Promise<OpenedRouter> {
  const listenersOf = (name: TransportName): ListenerOptions[] =>
    config.broker.listen.flatMap(({ endpoint, transport }, index) => {
      if (transport !== name) return [];
      const curve = keys.curveOf(index);
      return curve === undefined ? { endpoint, index } : { endpoint, index, curve };
    });
  return openSeveral(
    [
      { open: openZmtpRouter, listeners: listenersOf('zmtp') },
      { open: openLibzmq, listeners: listenersOf('libzmq') },
    ],
    { limits: routerLimits(config), peers: new PeerNumbers(), events, opening },
  );
}

/** HTTP, and what makes metrics, are loaded only where they are wanted. */
async function openHttp(...args: Parameters<typeof startHttp>): Promise<HttpServer> {
  const http = await import('./http.js');
  return await http.startHttp(...args);
}

/** The native module is loaded only where a listener wants it. */
async function openLibzmq(options: RouterOptions): Promise<OpenedRouter> {
  const { openLibzmqRouter } = await import('../transport/libzmq/router.js');
  return await openLibzmqRouter(options);
}

function routerLimits({ limits }: Config): RouterLimits {
  return {
    messageBytesMax: limits.messageBytes,
    framesMax: limits.frames,
    outputBytesMax: limits.outputBytes,
    connectionsMax: limits.connections,
    receiveBytesMax: limits.queuedBytes,
  };
}

function brokerLimits(config: Config): BrokerLimits {
  return config.limits;
}

function brokerOptions(config: Config, keys: Keys, vote: () => boolean): BrokerOptions {
  return {
    vote,
    heartbeatIntervalMs: config.broker.heartbeatIntervalMs,
    heartbeatLiveness: config.broker.heartbeatLiveness,
    requestTtlMs: config.broker.requestTtlMs,
    busyTimeoutMs: config.broker.busyTimeoutMs,
    maxDeliveries: config.broker.maxDeliveries,
    listeners: config.broker.listen.map(({ allow }) => ({
      client: allow.includes('client'),
      worker: allow.includes('worker'),
    })),
    rightsOf: keys.rightsOf,
    limits: brokerLimits(config),
  };
}

function brokerStatus(config: Config, uptimeMs: number, view: PairView | null): BrokerStatus {
  const { state, epoch } = view?.status() ?? { state: 'active', epoch: 0 };
  return {
    version: packageVersion(),
    uptimeMs: Math.round(uptimeMs),
    node: config.node.name,
    role: config.bstar.role,
    state,
    epoch,
    limits: { ...config.limits },
    extensions: ['credit', 'hello', ...(config.titanic.enabled ? ['submit', 'wait'] : [])],
    pairHeartbeatMs: config.bstar.role === 'standalone' ? 0 : config.bstar.heartbeatIntervalMs,
  };
}
