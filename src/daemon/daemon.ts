/** Composes one node: configuration → data directory, broker, MMI, transport, log. */
import { Broker } from '../broker/broker.js';
import type { BrokerEvent } from '../broker/events.js';
import type { RequestTrace } from '../broker/request-trace.js';
import type { ListenerRules } from '../broker/rights.js';
import { BrokerLoop } from '../broker/io/loop.js';
import { TransportSink } from '../broker/io/sink.js';
import type { BrokerLimits, BrokerOptions } from '../broker/options.js';
import type { Config, ListenerConfig, TransportName } from '../config/config.js';
import type { Loaded } from '../config/io/load.js';
import { withLiveKeys } from '../config/diff.js';
import { quotasOf } from '../config/quotas.js';
import { isForAll, listenersInFull } from '../config/io/exposure.js';
import { present } from '../core/assert.js';
import { isPostgres } from '../core/postgres-url.js';
import { monotonicMs } from '../core/clock.js';
import type { MajordomoError } from '../core/errors.js';
import { GlobSet } from '../core/glob.js';
import { Holdings } from '../core/holdings.js';
import { secureRandom } from '../core/random.js';
import { packageVersion } from '../core/version.js';
import { EventFeed } from '../http/event-feed.js';
import type { HttpServer } from '../http/io/server.js';
import type { MapPort, OperatorPort } from '../http/ports.js';
import { EXTENSIONS, TITANIC_EXTENSIONS } from '../mmi/extensions.js';
import type { FleetEvent } from '../fleet/events.js';
import type { MapEvent } from '../map/events.js';
import { Mmi } from '../mmi/mmi.js';
import { EventLog, levelOf } from '../observe/event-log.js';
import type { Log } from '../observe/log.js';
import { Refusals } from '../observe/refusals.js';
import { tee, type EventSink } from '../observe/tee.js';
import { Throttle } from '../observe/throttle.js';
import type { StreamEvent } from '../stream/events.js';
import type { TitanicEvent } from '../titanic/machine/events.js';
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
import { openSeveral, type TransportPart } from '../transport/several.js';
import { openZmtpRouter } from '../transport/zmtp/router.js';
import { FLEET_ID_BYTES } from '../wire/fleet.js';
import type { BrokerStatus, EndpointStatus, MinimalStatus } from '../wire/mmi.js';
import { EventStream, type PublishedEvent } from './event-stream.js';
import { NodeHealth } from './health.js';
import type { startHttp } from './http.js';
import { type DataDir, openDataDir } from './io/data-dir.js';
import { Authorising } from './authorising.js';
import { Keys } from './io/keys.js';
import { FleetHost } from './fleet.js';
import { InternalClients } from './internal-clients.js';
import { NodeMetrics } from './metrics.js';
import type { MapHost } from './map.js';
import { nextMapEpoch } from './map-epochs.js';
import { listenForMap, mapLimits, startMap } from './map-start.js';
import { mapView } from './map-view.js';
import { nodeView } from './node-view.js';
import { type StartedPair, startPair } from './pair-start.js';
import { PairView } from './pair-view.js';
import { endpointsTold, reachedOrNull } from './reached.js';
import { logChanges, renewTls, withNewKeys } from './reload.js';
import { standalonePair } from './standalone.js';
import { StoreCauses } from './store-causes.js';
import { startStoredRequests, type TitanicHost } from './stored.js';
import { turnsOf } from './turns.js';

/** How long the last replies and DISCONNECTs may take to leave. */
const LINGER_MS = 1000;

export interface Daemon {
  /** Its endpoints, in the order of the configuration, ports filled in. */
  readonly endpoints: readonly string[];
  /** Its HTTP address; `null`: none. */
  readonly http: string | null;
  /** Applies what can change while running, and logs what needs a restart. */
  reconfigure(config: Config): void;
  /** Calls `then` after a turn of the broker's loop, as proof that the loop runs. */
  afterTurn(then: () => void): void;
  /** A one-line status for people. */
  summary(): string;
  /** Drains and closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts a node.
 * @param isNewStore allows a store other than the one that the data directory remembers
 * @param fatal called if stored data can no longer be trusted: the process must end
 * @throws ERR_DATA_DIR_IN_USE, ERR_DATA_DIR, ERR_DATA_DIR_OPEN, ERR_MDP_ENDPOINT_IN_USE,
 *   ERR_MDP_ENDPOINT, ERR_HTTP_LISTEN, ERR_CONFIG_FILE, ERR_CONFIG_INVALID (files of keys)
 */
export async function startDaemon(
  loaded: Pick<Loaded, 'config' | 'file'>,
  isNewStore: boolean,
  log: Log,
  fatal: (error: MajordomoError) => void,
): Promise<Daemon> {
  const dataDir = openDataDir(loaded.config.node.dataDir);
  try {
    return await startIn(dataDir, loaded, isNewStore, log, fatal);
  } catch (error) {
    dataDir.release();
    throw error;
  }
}

async function startIn(
  dataDir: DataDir,
  { config, file }: Pick<Loaded, 'config' | 'file'>,
  isNewStore: boolean,
  log: Log,
  fatal: (error: MajordomoError) => void,
): Promise<Daemon> {
  const startedAt = monotonicMs();
  const throttle = new Throttle(monotonicMs);
  const health = new NodeHealth();
  const feed = new EventFeed(Date.now);
  let stream: EventStream | null = null;
  /** The one source of the events over HTTP and of those that are published. */
  const watched: EventSink<PublishedEvent> = {
    emit: (event) => {
      if (config.http.listen !== 'off') feed.emit(event, levelOf);
      stream?.emit(event);
    },
  };
  const sink = new TransportSink();
  const listeners = await listenersInFull(config);
  const keys = new Keys(config, log);
  const view = config.bstar.role === 'standalone' ? null : new PairView(config);
  let pair: StartedPair | null = null;
  const holdings = new Holdings(config.limits.memoryBytes);
  let current = config;
  const authorising = authorisingOf(config, keys, log, throttle);
  const rules = listeners.map(rulesOf);
  const options: BrokerOptions = {
    ...brokerOptions(config, keys),
    listeners: authorising?.rulesOf(rules) ?? rules,
    quotasOf: (name) => quotasOf(current, name),
    holdings,
    output: {
      left: (peer) => current.limits.outputBytes - loop.waitingBytes(peer),
      max: () => current.limits.outputBytes,
      takesRequest: (peer, bytes) => loop.takesRequest(peer, bytes),
    },
  };
  const eventLog = new EventLog(log, throttle);
  const refusals = new Refusals(Date.now);
  const broker = new Broker(
    options,
    sink,
    tee<BrokerEvent>(eventLog, watched, refusals),
    secureRandom,
  );
  let listening: readonly EndpointStatus[] = [];
  const status = (now: number): BrokerStatus => ({
    ...brokerStatus(current, now - startedAt, view),
    http: reachedOrNull(http?.url ?? null),
    publicUrl: config.http.publicUrl,
    events: reachedOrNull(stream?.endpoint ?? null),
    map: reachedOrNull(map?.endpoint ?? null),
  });
  const mmi = new Mmi(status);
  broker.host(mmi);
  const clients = new InternalClients();
  broker.keep(clients);
  const loop = new BrokerLoop(broker, holdings);
  const metrics = new NodeMetrics(config, broker, holdings, health, view, startedAt);
  let stored: TitanicHost | null = null;
  let map: MapHost | null = null;
  let fleet: FleetHost | null = null;
  const follow = (): void => {
    const isLogged = current.log.level === 'debug' || current.log.level === 'trace';
    broker.follow(both(isLogged ? eventLog.step : null, stream?.step ?? null));
    stored?.titanic.follow(isLogged ? eventLog.storedStep : null);
  };
  const ports = {
    node: nodeView(broker, health, (now) => ({
      ...{ ...status(now), endpoints: listening },
      store: stored?.database?.toOperators() ?? null,
    })),
    pair: view ?? standalonePair(config.node.name),
    feed,
    refusals,
    publicUrl: config.http.publicUrl,
    operatorApi: (): OperatorPort => {
      if (!config.titanic.enabled) return 'off';
      return health.phase === 'serving' && stored !== null ? stored.operatorApi : 'not_ready';
    },
    showsBodies: config.titanic.showBodies,
    timeSeries: metrics.timeSeries,
    map: (): MapPort | 'off' | 'not_ready' => {
      if (config.map.listen === null) return 'off';
      return map === null ? 'not_ready' : mapView(map.machine);
    },
  };
  const pairEvents = tee<PairEvent>(eventLog, watched, refusals, ...(view === null ? [] : [view]));
  health.pair = view;
  let http: HttpServer | null = null;
  let opened: OpenedRouter;
  try {
    // Before anything slow, so that HTTP can report that the node is starting.
    if (config.http.listen !== 'off') {
      http = await openHttp(config, dataDir.path, ports, metrics.sources, log);
    }
    if (config.titanic.enabled) {
      stored = await startStoredRequests({
        config,
        dataDir: dataDir.path,
        isNewStore,
        configFile: file,
        broker,
        loop,
        clients,
        events: tee<TitanicEvent>(
          health,
          new StoreCauses(tee<TitanicEvent>(eventLog, watched, refusals)),
        ),
        pairEvents: view !== null && config.titanic.replication !== 'off' ? pairEvents : null,
        fatal,
        hint: config.fleet.nats.length === 0 ? null : (content) => fleet?.machine.hint(content),
      });
      metrics.titanic = stored.titanic.figures;
    }
    if (config.map.listen !== null) {
      const storage = present(stored?.map ?? null, 'a map has a store');
      const events = tee<MapEvent>(eventLog, watched, refusals);
      const showsServices = !(await isForAll(config.map.listen));
      map = startMap({ config, storage, broker, loop, keys, holdings, events, showsServices });
      health.map = map.machine;
      metrics.map = map;
      loop.shareMemory(map);
    }
    const database = stored?.database ?? null;
    if (database !== null) {
      mmi.fleet = {
        interconnect: null,
        status: (now) => ({ ...NO_NATS, store: database.toClients(now) }),
      };
    }
    if (config.fleet.nats.length > 0) {
      const events = tee<FleetEvent>(eventLog, watched);
      fleet = new FleetHost({
        config,
        broker,
        loop,
        events,
        keys: () => keys.digest.subarray(0, FLEET_ID_BYTES),
        limits: () => current.limits,
        hinted: stored?.hinted ?? null,
      });
      const { machine } = fleet;
      const host = fleet;
      clients.fleet = machine.hosted;
      mmi.fleet = {
        interconnect: machine,
        status: (now) => ({ ...host.status(now), store: database?.toClients(now) ?? null }),
      };
      health.fleet = host;
      metrics.fleet = machine;
    }
    if (view === null) {
      const machines = { titanic: stored?.titanic ?? null, map, pair: null, fleet };
      loop.accompany(turnsOf(broker, machines, stored?.time));
      map?.activate(await nextMapEpoch(dataDir.path, stored?.map?.epochMax ?? 0));
    } else {
      const directory = dataDir.path;
      const parts = {
        config,
        dataDir: directory,
        broker,
        loop,
        stored,
        map,
        keys,
        view,
        log,
        fatal,
      };
      pair = await startPair({ ...parts, sink, events: pairEvents });
    }
    if (config.events.listen !== null) {
      stream = await EventStream.open({
        listen: config.events.listen,
        keys,
        limits: routerLimits(config, keys),
        holdings,
        events: tee<StreamEvent>(eventLog, watched),
        stepChanged: () => {
          follow();
        },
      });
      metrics.stream = stream;
      loop.shareMemory(stream);
    }
    if (map !== null) {
      await listenForMap(map, config, keys, mapLimits(config, routerLimits(config, keys), keys));
    }
    await fleet?.open(config);
    // Waiting clients connect as soon as the first listener is open.
    authorising?.attach(broker, loop);
    const own = authorising === null ? [] : [authorising.transport];
    opened = await openTransports(config, keys, own, holdings, loop, (transport) => {
      sink.attach(transport);
      loop.attach(transport);
    });
  } catch (error) {
    loop.stop();
    authorising?.close();
    await http?.close();
    await pair?.close();
    await map?.stop();
    await stored?.close();
    await stream?.close();
    await fleet?.close();
    metrics.close();
    throw error;
  }
  const { transport, endpoints } = opened;
  listening = endpointsTold(endpoints, listeners);
  follow();
  keys.watch({
    changed: (name) => {
      loop.rightsChanged(name);
      stream?.rightsChanged(name);
      map?.rightsChanged(name);
    },
    subscriberRevoked: (publicKey) => {
      stream?.revoke(publicKey);
    },
    mapPeerRevoked: (publicKey) => {
      map?.revoke(publicKey);
    },
    revoked: (listener, publicKey) => {
      broker.revoke(listener, publicKey);
    },
    noPeer: (name) => {
      pair?.node.revoke(name);
    },
  });
  health.phase = 'serving';
  const { publicUrl } = config.http;
  const mapEndpoint = map?.endpoint ?? null;
  const published = [
    ...(stream === null ? [] : [`events on ${stream.endpoint}`]),
    ...(mapEndpoint === null ? [] : [`the map on ${mapEndpoint}`]),
  ];
  const where = [...endpoints, ...(http === null ? [] : [http.url]), ...published].join(', ');
  log.info(
    {
      event: 'broker.ready',
      endpoints,
      http: http?.url ?? null,
      publicUrl,
      events: stream?.endpoint ?? null,
      map: mapEndpoint,
      node: config.node.name,
    },
    `listening on ${where}${publicUrl === null ? '' : `; the page is at ${publicUrl}`}`,
  );
  return {
    endpoints,
    http: http?.url ?? null,
    reconfigure: (next) => {
      const before = current;
      log.setLevel(next.log.level);
      const accepted = withNewKeys(before, next, log, {
        broker: () => {
          for (const [listener, secretKeys] of keys.secretKeysOf(next.broker.listen)) {
            transport.setSecretKeys(listener, secretKeys);
          }
        },
        events: () => {
          const secretKeys = keys.secretKeysAt(next.events);
          if (secretKeys !== null) stream?.setSecretKeys(secretKeys);
        },
        map: () => {
          const secretKeys = keys.secretKeysAt(next.map);
          if (secretKeys !== null) map?.setSecretKeys(secretKeys);
        },
      });
      current = withLiveKeys(before, accepted);
      broker.setLimits(brokerLimits(current));
      holdings.limit = current.limits.memoryBytes;
      broker.counters.requests.services.most = current.metrics.services;
      logChanges(before, accepted, log);
      follow();
      transport.setLimits(routerLimits(current, keys));
      stream?.setLimits(routerLimits(current, keys));
      map?.machine.setBytesMax(current.limits.mapBytes);
      map?.setLimits(mapLimits(current, routerLimits(current, keys), keys));
      keys.reread(current);
      renewTls(http, log);
    },
    afterTurn: (then) => {
      loop.afterNextTurn(then);
    },
    summary: () => summaryOf(broker),
    stop: async () => {
      keys.close();
      authorising?.close();
      health.phase = 'draining';
      stored?.quiesce();
      await pair?.leave();
      map?.drain();
      fleet?.drain();
      await drain(broker, loop, transport, current, log);
      await fleet?.close();
      await pair?.close();
      await map?.stop();
      await stored?.close();
      await http?.close();
      await stream?.close();
      metrics.close();
      throttle.flush();
      dataDir.release();
      log.info({ event: 'broker.stopped' }, 'stopped');
    },
  };
}

/** Passes each step to both. */
function both(one: RequestTrace | null, other: RequestTrace | null): RequestTrace | null {
  if (one === null || other === null) return one ?? other;
  return (request, step) => {
    one(request, step);
    other(request, step);
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
    `draining: ${requestsOut} requests at workers`,
  );
  await loop.drain(config.shutdown.graceMs);
  await transport.close(LINGER_MS);
}

/** Opens each listener on the transport that it is configured for. */
async function openTransports(
  config: Config,
  keys: Keys,
  others: readonly TransportPart[],
  holdings: Holdings,
  events: TransportEvents,
  opening: (transport: Transport) => void,
): Promise<OpenedRouter> {
  const listenersOf = (name: TransportName): ListenerOptions[] =>
    config.broker.listen.flatMap((listener, index) => {
      if (listener.transport !== name) return [];
      const curve = keys.curveOf(index);
      const opened = { endpoint: listener.endpoint, index, ...serviceListener(config, listener) };
      return curve === undefined ? opened : { ...opened, curve };
    });
  const { transport, endpoints } = await openSeveral(
    [
      { open: openZmtpRouter, listeners: listenersOf('zmtp') },
      { open: openLibzmq, listeners: listenersOf('libzmq') },
      ...others,
    ],
    { limits: routerLimits(config, keys), peers: new PeerNumbers(), holdings, events, opening },
  );
  // The listener within this process has no endpoint.
  return { transport, endpoints: endpoints.filter((endpoint) => endpoint !== '') };
}

/** Loads HTTP and the metrics code only if they are configured. */
async function openHttp(...args: Parameters<typeof startHttp>): Promise<HttpServer> {
  const http = await import('./http.js');
  return await http.startHttp(...args);
}

/** Loads the native module only if a listener needs it. */
async function openLibzmq(options: RouterOptions): Promise<OpenedRouter> {
  const { openLibzmqRouter } = await import('../transport/libzmq/router.js');
  return await openLibzmqRouter(options);
}

function routerLimits(config: Config, { rightsOf }: Keys): RouterLimits {
  const { limits } = config;
  return {
    messageBytesMax: limits.messageBytes,
    framesMax: limits.frames,
    outputBytesMax: limits.outputBytes,
    connectionsMax: limits.connections,
    connectionsPerIdentityMax: quotasOf(config, null).connections,
    connectionsPerKeyMax: (listener, key) =>
      quotasOf(config, rightsOf(listener, key).quota).connections,
    receiveBytesMax: limits.queuedBytes,
    receiveLimit: 'limits.queuedBytes',
  };
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

function rulesOf({ client, worker, mmi, curve, service }: ListenerConfig): ListenerRules {
  const rights = { client: GlobSet.of(client), worker: GlobSet.of(worker) };
  return {
    ...rights,
    mmi: mmi ?? 'minimal',
    hasKeys: curve !== undefined,
    service: service === null ? null : Buffer.from(service),
  };
}

/** `null`: no service authorises keys. */
function authorisingOf(
  { broker, security }: Config,
  keys: Keys,
  log: Log,
  throttle: Throttle,
): Authorising | null {
  const service = security.authorize;
  if (service === null) return null;
  return new Authorising({ service, listener: broker.listen.length, keys, log, throttle });
}

function brokerLimits(config: Config): BrokerLimits {
  return config.limits;
}

function brokerOptions(
  config: Config,
  { rightsOf }: Keys,
): Omit<BrokerOptions, 'quotasOf' | 'listeners'> {
  return {
    heartbeatIntervalMs: config.broker.heartbeatIntervalMs,
    heartbeatLiveness: config.broker.heartbeatLiveness,
    requestTtlMs: config.broker.requestTtlMs,
    busyTimeoutMs: config.broker.busyTimeoutMs,
    maxDeliveries: config.broker.maxDeliveries,
    rightsOf,
    limits: brokerLimits(config),
  };
}

/** Other brokers may carry its requests, or share its store. */
function isOfFleet({ fleet, titanic }: Config): boolean {
  return fleet.nats.length > 0 || (titanic.enabled && isPostgres(titanic.store));
}

/** Of `mmi.fleet`, where brokers share only a database. */
const NO_NATS = { fleet: null, connected: null, brokers: [], bridged: null } as const;

function brokerStatus(config: Config, uptimeMs: number, view: PairView | null): MinimalStatus {
  const { state, epoch } = view?.status() ?? { state: 'active', epoch: 0 };
  return {
    version: packageVersion(),
    uptimeMs: Math.round(uptimeMs),
    node: config.node.name,
    role: isOfFleet(config) ? 'fleet' : config.bstar.role,
    state,
    epoch,
    limits: numbersOf(config.limits),
    extensions: [...EXTENSIONS, ...(config.titanic.enabled ? TITANIC_EXTENSIONS : [])],
    pairHeartbeatMs: config.bstar.role === 'standalone' ? 0 : config.bstar.heartbeatIntervalMs,
  };
}

/** Without quotas: their names are only for the operator. */
function numbersOf(limits: Config['limits']): Readonly<Record<string, number>> {
  const isNumber = (entry: [string, unknown]): entry is [string, number] =>
    typeof entry[1] === 'number';
  return Object.fromEntries(Object.entries(limits).filter(isNumber));
}
