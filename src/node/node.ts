/**
 * A node: the broker, and beside it HTTP, durable requests, the pair, and extensions. What is started
 * first is closed last, also after a start that failed half-way; the broker's own listeners are closed
 * before all of them.
 */
import type { Status } from '../admin/api/node-answers.js';
import { BrokerLoop } from '../broker/io/loop.js';
import { TransportSink } from '../broker/io/sink.js';
import { Broker } from '../broker/broker.js';
import type { ListenerRules } from '../broker/rights.js';
import type { RequestTrace } from '../broker/request-trace.js';
import { EventFeed } from '../admin/http/event-feed.js';
import type { HttpServer } from '../admin/io/open-server.js';
import { EventLog } from '../admin/log/event-log.js';
import type { Log } from '../admin/log/log.js';
import { tell, tellBound } from '../admin/log/process-events.js';
import { Refusals } from '../admin/log/refusals.js';
import { ADMIN_EVENTS } from '../admin/operator-events.js';
import { BROKER_EVENTS } from '../broker/broker-events.js';
import { type EventSink, type EventTable, type NamedEvent, tee } from '../core/event-table.js';
import { Throttle } from '../admin/log/throttle.js';
import type { OperatorPort, Ports } from '../admin/ports.js';
import { PAIR_EVENTS, type PairEvent } from '../bstar/pair-events.js';
import { enabledExtensions } from '../config/enabled.js';
import { hasPrograms } from '../config/http-rules.js';
import type { Config } from '../config/config.js';
import type { ListenerConfig } from '../config/entries.js';
import { withLiveKeys } from '../config/diff.js';
import { listenersInFull } from '../config/io/exposure.js';
import type { Loaded } from '../config/io/load.js';
import { quotasOf } from '../config/quotas.js';
import { monotonicMs } from '../core/clock.js';
import { MajordomoError } from '../core/errors.js';
import { Holdings } from '../core/holdings.js';
import { keepFree } from '../core/piece.js';
import { randomName, secureRandom } from '../core/random.js';
import { Mmi } from '../mmi/mmi.js';
import { TITANIC_EVENTS, type TitanicEvent } from '../titanic/machine/requests/events.js';
import type { AllBrokersStatus } from '../wire/mmi.js';
import type { BrokerStatus } from '../wire/mmi-answers.js';
import type { ListenerOptions, Transport } from '../zmtp/port.js';
import { Authorising } from './authorising.js';
import type { Attached, Extension, Host } from './extension.js';
import { NodeHealth } from './health.js';
import { type DataDir, openDataDir } from './io/data-dir.js';
import { Keys } from './io/keys.js';
import { openListeners } from './listeners.js';
import { NodeMetrics } from './metrics.js';
import { nodeView } from './node-view.js';
import type { StartedPair } from './pair-start.js';
import { PairView } from './pair-view.js';
import { endpointStatuses, reachedOrNull } from './reached.js';
import {
  logChanges,
  refuseMixture,
  renewTls,
  tokenChanges,
  withNewKeys,
  withTokensOf,
} from './reload.js';
import { addressesOf, type Names, type Resolve } from '../zmtp/sockets/names.js';
import { ServerKeys } from './server-keys.js';
import {
  brokerOptions,
  brokerStatus,
  limitsOfServices,
  routerLimits,
  rulesOf,
} from './settings.js';
import { standalonePair } from './standalone.js';
import { StoreCauses } from './store-causes.js';
import type { TitanicHost } from './stored.js';
import { turnsOf } from './turns.js';

/** How long the last replies and DISCONNECTs may take to leave. */
const LINGER_MS = 1000;
/** The part of `limits.memoryBytes` that is kept free at most, beside it, for large messages. */
const FREE_SHARE = 1 / 8;
/** What `mmi.fleet` says where brokers share only a database. */
const NO_NATS = { fleet: null, connected: null, brokers: [], bridged: null } as const;

interface NodeOrder {
  readonly loaded: Pick<Loaded, 'config' | 'file'>;
  /** The extensions, in the order in which they are attached. */
  readonly extensions: readonly Extension[];
  /** Allows a store other than the one that the data directory remembers. */
  readonly isNewStore: boolean;
  readonly log: Log;
  /** Called if stored data can no longer be trusted: the process must end. */
  readonly fatal: (error: MajordomoError) => void;
  /** Finds the addresses of names that are listened on; default: the system. */
  readonly resolve?: Resolve;
}

/**
 * Starts a node.
 * @throws ERR_DATA_DIR_IN_USE, ERR_DATA_DIR, ERR_DATA_DIR_OPEN, ERR_MDP_ENDPOINT_IN_USE,
 *   ERR_MDP_ENDPOINT, ERR_HTTP_LISTEN, ERR_CONFIG_FILE, ERR_CONFIG_INVALID (files of keys)
 */
export async function startNode(order: NodeOrder): Promise<Node> {
  const { config } = order.loaded;
  const dataDir = openDataDir(config.node.dataDir);
  try {
    const node = new Node(order, dataDir, await listenersInFull(config));
    try {
      await node.start();
    } catch (error) {
      await node.abandon();
      throw error;
    }
    return node;
  } catch (error) {
    dataDir.release(false);
    throw error;
  }
}

export class Node implements Host {
  readonly config: Config;
  readonly broker: Broker;
  readonly loop: BrokerLoop;
  readonly mmi: Mmi;
  readonly keys: Keys;
  readonly holdings: Holdings;
  readonly names: Names;
  readonly refusals = new Refusals(Date.now);
  readonly events: EventSink<NamedEvent>;
  readonly eventTable: EventTable;
  readonly innerListener: number;
  readonly #order: NodeOrder;
  readonly #log: Log;
  readonly #dataDir: DataDir;
  readonly #listeners: readonly ListenerConfig[];
  readonly #startedAt = monotonicMs();
  /** Tells this start of the broker from all others. */
  readonly #instance = randomName();
  readonly #throttle = new Throttle(monotonicMs);
  readonly #eventLog: EventLog;
  readonly #eventFeed: EventFeed;
  readonly #sink = new TransportSink(() => this.#current.limits.outputBytes);
  readonly #health = new NodeHealth();
  readonly #metrics: NodeMetrics;
  /** `null`: a standalone node. */
  readonly #pairView: PairView | null;
  /** Rules of listeners in this process: see `Extension.inner`. */
  readonly #inner: readonly ListenerRules[];
  /** `null`: no service authorises keys. */
  readonly #authorising: Authorising | null;
  readonly #attached: Attached[] = [];
  /** What closes each part that was started, in that order. */
  readonly #closing: (() => Promise<void>)[] = [];
  #current: Config;
  readonly #serverKeys: ServerKeys;
  #http: HttpServer | null = null;
  #renewTokens: ((config: Config) => readonly string[] | null) | null = null;
  #stored: TitanicHost | null = null;
  #pair: StartedPair | null = null;
  #transport: Transport | null = null;
  #endpoints: readonly string[] = [];
  #listening: Status['endpoints'] = [];

  constructor(order: NodeOrder, dataDir: DataDir, listeners: readonly ListenerConfig[]) {
    const { config } = order.loaded;
    const { log, extensions } = order;
    this.#order = order;
    this.#log = log;
    this.#dataDir = dataDir;
    this.#listeners = listeners;
    this.config = config;
    this.#current = config;
    this.eventTable = eventsOf(extensions);
    this.#eventLog = new EventLog(log, this.#throttle, this.eventTable);
    this.#eventFeed = new EventFeed(Date.now, this.eventTable);
    this.events = tee<NamedEvent>(this.#eventLog, this.#toWatchers);
    this.keys = new Keys(config, log);
    this.#serverKeys = new ServerKeys(config);
    this.#pairView = config.bstar.role === 'standalone' ? null : new PairView(config);
    this.#health.pair = this.#pairView;
    this.#health.ofExtensions = () => this.#attached.flatMap(({ degraded }) => degraded ?? []);
    this.holdings = new Holdings();
    this.#limitMemory(config);
    this.names = {
      resolve: order.resolve ?? addressesOf,
      bound: (name) => tellBound(log, name),
    };
    this.innerListener = config.broker.listen.length;
    this.#inner = enabledFrom(extensions, config).flatMap(({ inner }) => inner ?? []);
    this.#authorising = this.#newAuthorising();
    this.broker = this.#newBroker();
    this.#setServiceLimits(null);
    this.mmi = new Mmi(this.broker.listing, (now) => this.#status(now));
    this.broker.internals.all.push(this.mmi);
    this.loop = new BrokerLoop(this.broker, this.holdings);
    this.#metrics = new NodeMetrics(
      config,
      this.broker,
      this.holdings,
      this.#health,
      this.#pairView,
      this.#startedAt,
      dataDir.afterCrash,
    );
  }

  #newAuthorising(): Authorising | null {
    const { security, broker } = this.config;
    const service = security.authorize;
    if (service === null) return null;
    const { keys } = this;
    const listener = broker.listen.length + this.#inner.length;
    return new Authorising({ service, listener, keys, log: this.#log, throttle: this.#throttle });
  }

  #newBroker(): Broker {
    const { config, keys, holdings } = this;
    const rules = [...this.#listeners.map(rulesOf), ...this.#inner];
    return new Broker(
      {
        ...brokerOptions(config, keys),
        listeners: this.#authorising?.rulesOf(rules) ?? rules,
        quotasOf: (name) => quotasOf(this.#current, name),
        holdings,
        output: this.#sink,
      },
      this.#sink,
      tee(this.events, this.refusals),
      secureRandom,
    );
  }

  // ---------------------------------------------------------------- what parts see of it

  /** The configuration in effect now. */
  get current(): Config {
    return this.#current;
  }

  get dataDir(): string {
    return this.#dataDir.path;
  }

  get stored(): TitanicHost | null {
    return this.#stored;
  }

  /** Passes each event to HTTP's feed, to the time series and to extensions. */
  readonly #toWatchers: EventSink<NamedEvent> = {
    emit: (event) => {
      if (this.config.http.listen !== 'off') {
        this.#eventFeed.emit(event, this.#eventLog.levelOf);
        this.#metrics.timeSeries.note(event);
      }
      for (const each of this.#attached) each.emit?.(event);
    },
  };

  /** Steps of requests are traced while the log shows them, or an extension wants them. */
  traceChanged(): void {
    const { level } = this.#current.log;
    const isLogged = level === 'debug' || level === 'trace';
    const traces = this.#attached.map(({ trace }) => trace ?? null);
    this.broker.tracer.start(together([isLogged ? this.#eventLog.step : null, ...traces]));
    this.#stored?.titanic.follow(isLogged ? this.#eventLog.storedStep : null);
  }

  /** Where extensions listen. */
  #published(): Record<'events' | 'map', string | null> {
    const endpoints: Record<'events' | 'map', string | null> = { events: null, map: null };
    for (const { listens } of this.#attached) {
      if (listens !== undefined) endpoints[listens.as] = listens.endpoint;
    }
    return endpoints;
  }

  #status(now: number): BrokerStatus {
    const { events, map } = this.#published();
    return {
      ...brokerStatus(this.#current, now - this.#startedAt, this.#pairView),
      instance: this.#instance,
      http: reachedOrNull(this.#http?.url ?? null),
      publicUrl: this.config.http.publicUrl,
      events: reachedOrNull(events),
      map: reachedOrNull(map),
    };
  }

  // ---------------------------------------------------------------- start

  async start(): Promise<void> {
    const { config } = this;
    const { extensions, log } = this.#order;
    const enabled = enabledFrom(extensions, config);
    // Before anything slow, so that HTTP can report that the node is starting.
    if (config.http.listen !== 'off') {
      // HTTP and the metrics code are loaded only if they are configured.
      const { startHttp, renewTokens } = await import('./http.js');
      const { sources } = this.#metrics;
      const http = await startHttp(
        config,
        this.dataDir,
        this.#ports(),
        sources,
        this.holdings,
        this.names,
        extensions,
        log,
        this.events,
      );
      this.#http = http;
      this.#renewTokens = (next) => renewTokens(http, next, this.dataDir, log);
      const { DayFile } = await import('./io/day-file.js');
      this.#closing.push(this.#metrics.timeSeries.keepDay(new DayFile(this.dataDir)));
      this.#closing.push(() => http.close());
    }
    for (const each of enabled) if (each.isFirst === true) await this.#attach(each);
    if (config.titanic.enabled) await this.#startStored(enabled);
    for (const each of enabled) if (each.isFirst !== true) await this.#attach(each);
    await this.#startTurns();
    for (const each of this.#attached) await each.open?.();
    // Waiting clients connect as soon as the first listener is open.
    this.#authorising?.attach(this.broker, this.loop);
    await this.#listen();
    this.traceChanged();
    this.#watchKeys();
    this.#health.phase = 'serving';
    this.#tellReady();
  }

  async #startStored(enabled: readonly Extension[]): Promise<void> {
    const { config, broker, loop, events, refusals } = this;
    const { isNewStore, fatal, loaded, extensions } = this.#order;
    const isReplicated = this.#pairView !== null && config.titanic.replication !== 'off';
    const engine = enabled.find(({ openStore }) => openStore !== undefined);
    const openStore = engine?.openStore ?? (await import('./stored.js')).startStoredRequests;
    const stored = await openStore({
      config,
      dataDir: this.dataDir,
      isNewStore,
      configFile: loaded.file,
      parts: new Set(extensions.flatMap(({ part }) => part?.number ?? [])),
      broker,
      loop,
      fatal,
      events: tee<TitanicEvent>(this.#health, new StoreCauses(tee<TitanicEvent>(events, refusals))),
      pairEvents: isReplicated ? this.#pairEvents() : null,
    });
    this.#stored = stored;
    this.#closing.push(() => stored.close());
    this.#metrics.titanic = stored.titanic.figures;
    const { database } = stored;
    if (database !== null) {
      const status = (now: number): AllBrokersStatus => ({
        ...NO_NATS,
        store: database.toClients(now),
      });
      this.mmi.others = { interconnect: null, status };
    }
  }

  async #attach(extension: Extension): Promise<void> {
    const attached = await extension.attach?.(this);
    if (attached === undefined) return;
    this.#attached.push(attached);
    this.#closing.push(async () => {
      await attached.close?.();
    });
    const { metrics } = attached;
    if (metrics !== undefined) this.#metrics.extensions.set(extension.name, metrics);
  }

  #pairEvents(): EventSink<PairEvent> {
    const view = this.#pairView === null ? [] : [this.#pairView];
    return tee<PairEvent>(this.events, this.refusals, ...view);
  }

  /** Starts the machines beside the broker; those of a pair run once it says so. */
  async #startTurns(): Promise<void> {
    const { config, dataDir, broker, loop, keys } = this;
    const served = this.#attached.flatMap((each) => each.served ?? []);
    const others = this.#attached.flatMap((each) => each.turns ?? []);
    const stored = this.#stored;
    // What operators have paused and limited is known to the broker before it gets the first request.
    stored?.titanic.run(
      stored.time.now(),
      stored.time.wall(),
      broker.internalRequests,
      broker.storedDeliveries,
    );
    if (this.#pairView === null) {
      const machines = { titanic: stored?.titanic ?? null, pair: null, served, others };
      loop.accompany(turnsOf(broker, machines, stored?.time));
      for (const each of served) await each.activateAlone();
      return;
    }
    const { startPair } = await import('./pair-start.js');
    const pair = await startPair({
      config,
      dataDir,
      broker,
      loop,
      keys,
      serverKeys: this.#serverKeys,
      names: this.names,
      stored,
      served,
      others,
      sink: this.#sink,
      view: this.#pairView,
      events: this.#pairEvents(),
      log: this.#log,
      fatal: this.#order.fatal,
    });
    this.#pair = pair;
    this.#closing.push(() => pair.close());
  }

  async #listen(): Promise<void> {
    const { config, keys, holdings, names, loop } = this;
    const opened = await openListeners({
      config,
      keys,
      holdings,
      names,
      events: loop,
      transports: this.#attached.flatMap((each) => each.transport ?? []),
      others: [
        ...this.#attached.flatMap(({ inner }) =>
          inner === undefined ? [] : [{ open: inner, listeners: [innerAt(this.innerListener)] }],
        ),
        ...(this.#authorising === null ? [] : [this.#authorising.transport]),
      ],
      opening: (transport) => {
        this.#sink.attach(transport);
        loop.attach(transport);
      },
    });
    this.#transport = opened.transport;
    this.#endpoints = opened.endpoints;
    this.#listening = endpointStatuses(opened.endpoints, this.#listeners);
  }

  #watchKeys(): void {
    this.keys.watch({
      changed: (name) => {
        this.loop.rightsChanged(name);
        for (const each of this.#attached) each.rightsChanged?.(name);
      },
      revoked: (listener, publicKey) => this.broker.connections.revoke(listener, publicKey),
      noPeer: (name) => this.#pair?.node.link?.revoke(name),
    });
  }

  #tellReady(): void {
    const { publicUrl } = this.config.http;
    const endpoints = this.#endpoints;
    const http = this.http;
    const published = this.#attached.flatMap(({ listens }) => listens ?? []);
    const { events, map } = this.#published();
    const where = [...endpoints, ...(http === null ? [] : [http])]
      .concat(published.map(({ shown, endpoint }) => `${shown} on ${endpoint}`))
      .join(', ');
    tell(
      this.#log,
      'broker.ready',
      { endpoints, http, publicUrl, events, map, node: this.config.node.name },
      `listening on ${where}${publicUrl === null ? '' : `; the page is at ${publicUrl}`}`,
    );
  }

  #ports(): Omit<Ports, 'metrics'> {
    const { config } = this;
    return {
      node: nodeView(
        this.broker,
        this.#health,
        (now) => ({
          ...this.#status(now),
          endpoints: this.#listening,
          store: this.#stored?.database?.toOperators() ?? null,
        }),
        () => this.#metrics.titanic?.owners ?? [],
      ),
      pair: this.#pairView ?? standalonePair(config.node.name),
      eventFeed: this.#eventFeed,
      refusals: this.refusals,
      publicUrl: config.http.publicUrl,
      operatorApi: (): OperatorPort => {
        if (!config.titanic.enabled) return 'off';
        const stored = this.#health.phase === 'serving' ? this.#stored : null;
        return stored?.operatorApi ?? 'not_ready';
      },
      showsBodies: config.titanic.showBodies,
      programs: hasPrograms(config),
      timeSeries: this.#metrics.timeSeries,
    };
  }

  // ---------------------------------------------------------------- while it runs

  /** The broker's endpoints, in the order of the configuration, ports filled in. */
  get endpoints(): readonly string[] {
    return this.#endpoints;
  }

  /** The HTTP address; `null`: none. */
  get http(): string | null {
    return this.#http?.url ?? null;
  }

  /**
   * Applies what can change while running, and logs what needs a restart.
   * @throws ERR_CONFIG_INVALID if the values that stay and the new ones contradict each other: nothing is applied
   */
  reconfigure(next: Config): void {
    const before = this.#current;
    refuseMixture(before, next);
    this.#log.setLevel(next.log.level);
    const read = withNewKeys(before, next, this.#log, [
      { section: 'broker', renew: this.#renewSecretKeys },
      ...this.#attached.flatMap(({ keyed }) => keyed ?? []),
    ]);
    const renew = this.#renewTokens ?? (() => []);
    const renewed = renew(withLiveKeys(before, read));
    const accepted = renewed === null ? withTokensOf(before, read) : read;
    this.#current = withLiveKeys(before, accepted);
    const { limits, metrics } = this.#current;
    this.broker.setLimits(limits);
    this.#setServiceLimits(before);
    this.#limitMemory(this.#current);
    this.broker.counters.requests.services.most = metrics.services;
    const { live, restart } = this.#serverKeys.renewed(before, accepted, this.#log);
    const tokens = tokenChanges(before, this.#current, renewed ?? []);
    const files = { live: [...live, ...renewTls(this.#http, this.#log), ...tokens], restart };
    logChanges(before, accepted, files, this.#log);
    this.traceChanged();
    this.#transport?.setLimits(routerLimits(this.#current, this.keys));
    for (const each of this.#attached) each.reconfigure?.(this.#current);
    this.keys.reread(this.#current);
  }

  /** @param before the configuration until now; `null`: there was none */
  #setServiceLimits(before: Config | null): void {
    const { services } = this.#current.broker;
    if (JSON.stringify(services) === JSON.stringify(before?.broker.services ?? [])) return;
    this.broker.setServiceLimits(limitsOfServices(services));
  }

  #limitMemory({ limits }: Config): void {
    this.holdings.limit = limits.memoryBytes;
    keepFree(limits.memoryBytes * FREE_SHARE);
  }

  readonly #renewSecretKeys = ({ broker }: Config): void => {
    for (const [listener, secretKeys] of this.keys.secretKeysOf(broker.listen)) {
      this.#transport?.setSecretKeys(listener, secretKeys);
    }
  };

  /** A one-line status for people. */
  summary(): string {
    const { load } = this.broker;
    const waiting = load.requests - load.requestsOut;
    return `workers: ${load.workers}; requests: ${waiting} waiting, ${load.requestsOut} at workers`;
  }

  // ---------------------------------------------------------------- stop

  /** Drains and closes everything. */
  async stop(): Promise<void> {
    this.keys.close();
    this.#authorising?.close();
    this.#health.phase = 'draining';
    this.#stored?.quiesce();
    await this.#pair?.leave();
    for (const each of this.#attached) each.drain?.();
    await this.#drain();
    await this.#close();
    this.#throttle.flush();
    this.#dataDir.release(true);
    tell(this.#log, 'broker.stopped', {}, 'stopped');
  }

  async #drain(): Promise<void> {
    const { graceMs } = this.#current.shutdown;
    const { requestsOut, workers } = this.broker.load;
    tell(
      this.#log,
      'broker.draining',
      { requestsOut, workers, graceMs },
      `draining: ${requestsOut} requests at workers`,
    );
    await this.loop.drain(graceMs);
    await this.#transport?.close(LINGER_MS);
  }

  /** Ends a node whose start failed. */
  async abandon(): Promise<void> {
    this.loop.stop();
    this.#authorising?.close();
    await this.#close();
  }

  async #close(): Promise<void> {
    for (const close of this.#closing.toReversed()) await close();
    this.#metrics.close();
  }
}

/** A listener in this process, which has no endpoint. */
function innerAt(index: number): ListenerOptions {
  return { endpoint: '', index };
}

/**
 * The extensions of this program that a configuration enables.
 * @throws ERR_CONFIG_INVALID if this program has not all of them
 */
function enabledFrom(extensions: readonly Extension[], config: Config): readonly Extension[] {
  const enabled = enabledExtensions(config);
  for (const [name, key] of enabled) {
    if (extensions.some((each) => each.name === name)) continue;
    const text = `${key}: this program was built without the extension ${name}`;
    throw new MajordomoError('ERR_CONFIG_INVALID', text);
  }
  return extensions.filter(({ name }) => enabled.has(name));
}

/** All events that a node with these extensions may have. */
export function eventsOf(extensions: readonly Extension[]): EventTable {
  const tables = extensions.map(({ events }) => events ?? {});
  return Object.assign(
    {},
    ADMIN_EVENTS,
    BROKER_EVENTS,
    TITANIC_EVENTS,
    PAIR_EVENTS,
    ...tables,
  ) as EventTable;
}

/** Passes each step to all that are there. */
function together(all: readonly (RequestTrace | null)[]): RequestTrace | null {
  const traces = all.filter((trace) => trace !== null);
  const [only = null] = traces;
  if (traces.length < 2) return only;
  return (request, step) => {
    for (const trace of traces) trace(request, step);
  };
}
