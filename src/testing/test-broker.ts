/** A broker in the process of a test: real sockets, the node's own machines, nothing on disk. */
import { Broker } from '../broker/broker.js';
import { BrokerLoop } from '../broker/io/loop.js';
import { monotonicMs, SYSTEM_TIME, type Time } from '../core/clock.js';
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_LIVENESS } from '../core/defaults.js';
import { MajordomoError } from '../core/errors.js';
import { GlobSet } from '../core/glob.js';
import { Holdings } from '../core/holdings.js';
import { secureRandom } from '../core/random.js';
import { TransportSink } from '../broker/io/sink.js';
import { StoreReports } from '../node/store-reports.js';
import { turnsOf } from '../node/turns.js';
import { PROTOCOL_EXTENSIONS, RESUME, TITANIC_EXTENSIONS } from '../mmi/protocol-extensions.js';
import { Mmi } from '../mmi/mmi.js';
import { Standalone } from '../bstar/replication/standalone.js';
import { Titanic } from '../titanic/machine/titanic.js';
import { PeerNumbers, type Transport } from '../zmtp/port.js';
import { readOptions } from '../sdk/option-reader.js';
import { checkedBy, type TableOf, type ValuesOf, whole } from '../sdk/option-tables.js';
import { openZmtpRouter } from '../zmtp/router/router.js';
import type { FakeClock } from './fake-clock.js';
import { MemoryStore } from './memory-store.js';
import { MemoryTables } from './memory-tables.js';

/**
 * Options of `startTestBroker`. Durations are in milliseconds.
 *
 *     await startTestBroker({ maxAttempts: 2, retryBaseMs: 10 });
 */
export interface TestBrokerOptions {
  /** Where it listens: `tcp://HOST:PORT`, or `ipc://PATH`. Default: a free port on 127.0.0.1. */
  readonly endpoint?: string;
  /** How long a request may wait for a worker. Default 60000. */
  readonly requestTtlMs?: number;
  /** How often one request is given to a worker, if workers are lost. Default 3. */
  readonly maxDeliveries?: number;
  /** How often a durable request is attempted before it is dead. Default 10. */
  readonly maxAttempts?: number;
  /** The pause before the second attempt, before jitter; it doubles with each further one. Default 500. */
  readonly retryBaseMs?: number;
  /** The longest pause between attempts. Default 60000. */
  readonly retryMaxMs?: number;
  /**
   * The clock of the broker. With one, it takes a worker as lost only when its connection is closed, because
   * no heartbeats arrive while the clock leaps. Default: the system's time.
   */
  readonly clock?: FakeClock;
}

/** A running test broker. */
export interface TestBroker extends AsyncDisposable {
  /** Where clients and workers connect, with the real port. */
  readonly endpoint: string;
  /**
   * Ends all connections and starts again on the same endpoint, as after a crash: waiting requests are
   * lost, stored ones are not.
   */
  restart(): Promise<void>;
  /** Ends all connections and forgets durable requests. May be called again. */
  close(): Promise<void>;
}

const COUNT_MAX = 2_147_483_647;
export const TEST_BROKER_OPTIONS = {
  endpoint: checkedBy(
    (value) => typeof value === 'string',
    'text: tcp://HOST:PORT or ipc://PATH',
    'tcp://127.0.0.1:0',
  ),
  requestTtlMs: whole(1, COUNT_MAX, 60_000),
  maxDeliveries: whole(1, COUNT_MAX, 3),
  maxAttempts: whole(1, COUNT_MAX, 10),
  retryBaseMs: whole(1, COUNT_MAX, 500),
  retryMaxMs: whole(1, COUNT_MAX, 60_000),
  clock: checkedBy(isClock, 'a FakeClock'),
} satisfies TableOf<TestBrokerOptions>;
type Settings = ValuesOf<typeof TEST_BROKER_OPTIONS>;

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
const LINGER_MS = 1000;
const BUSY_TIMEOUT_MS = 600_000;
const RESUME_MS = 10_000;
/** Far more than a test needs, and far less than a test machine has. */
const LIMITS = {
  services: 10_000,
  workers: 10_000,
  queuedRequests: 1_000_000,
  queuedBytes: 256 * MIB,
  queuedRequestsPerService: 1_000_000,
  messageBytes: 16 * MIB,
  frames: 256,
};
const ROUTER_LIMITS = {
  messageBytesMax: LIMITS.messageBytes,
  framesMax: LIMITS.frames,
  outputBytesMax: 64 * MIB,
  sparesReaders: true,
  connectionsMax: 10_000,
  connectionsPerIdentityMax: 10_000,
  connectionsPerKeyMax: () => 10_000,
  receiveBytesMax: LIMITS.queuedBytes,
};
const STORE_LIMITS = {
  replyTtlMs: 7 * DAY_MS,
  requestTtlMs: 7 * DAY_MS,
  keyTtlMs: DAY_MS,
  maxInFlight: 1000,
  inFlightBytes: 256 * MIB,
  maxOpen: 1_000_000,
  maxBytes: 1024 * MIB,
};
const ALL = GlobSet.of(['*']);
/** With a clock that leaps: more heartbeats, and milliseconds, than any test lets pass. */
const NEVER = 2 ** 40;

/**
 * Starts a broker in this process. It speaks both versions of MDP, answers `mmi.*`, and keeps stored
 * requests in memory; it loads no native module.
 *
 * @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT, ERR_MDP_ENDPOINT_IN_USE
 * @example
 * await using broker = await startTestBroker();
 * await using worker = new Worker({ endpoints: broker.endpoint, service: 'echo' }, ({ frames }) => frames);
 * await using client = new Client(broker.endpoint);
 * expect((await client.request('echo', 'hello')).text()).toBe('hello');
 */
export async function startTestBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  const broker = new RunningBroker(readOptions('startTestBroker', TEST_BROKER_OPTIONS, options));
  await broker.start();
  return broker;
}

class RunningBroker implements TestBroker {
  readonly #settings: Settings;
  readonly #time: Time;
  /** Stored requests, which outlast a restart. */
  readonly #tables = new MemoryTables();
  #endpoint: string;
  #stop: (() => Promise<void>) | null = null;
  #isClosed = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#endpoint = settings.endpoint;
    this.#time = settings.clock ?? SYSTEM_TIME;
  }

  get endpoint(): string {
    return this.#endpoint;
  }

  async start(): Promise<void> {
    const { clock } = this.#settings;
    const holdings = new Holdings(1024 * MIB);
    const sink = new TransportSink();
    const broker = this.#newBroker(holdings, sink);
    const loop = new BrokerLoop(broker, holdings, () => this.#time.now());
    const reports = this.#reports(loop);
    const store = new MemoryStore(
      this.#tables,
      { schedule: (_call, run) => setImmediate(run) },
      reports,
    );
    const titanic = await this.#startTitanic(broker, store, reports);
    loop.accompany(turnsOf(broker, { titanic, pair: null }, this.#time));
    const leaps = new Set<() => void>();
    const forget = clock?.onLeap(() => turnAfterLeap(loop, leaps));
    const stop = (): void => {
      forget?.();
      for (const done of leaps) done();
      loop.stop();
      store.kill();
    };
    const { transport, endpoints } = await openZmtpRouter({
      listeners: [{ endpoint: this.#endpoint, index: 0 }],
      limits: ROUTER_LIMITS,
      peers: new PeerNumbers(),
      holdings,
      events: loop,
      opening: (opened: Transport) => {
        sink.attach(opened);
        loop.attach(opened);
      },
    }).catch((error: unknown) => {
      stop();
      throw error;
    });
    this.#endpoint = endpoints[0] ?? this.#endpoint;
    this.#stop = async () => {
      stop();
      await transport.close(LINGER_MS);
    };
  }

  async restart(): Promise<void> {
    if (this.#stop === null) {
      throw new MajordomoError('ERR_MDP_CLOSED', 'the test broker is closed: start another one');
    }
    await this.#stop();
    // Closed meanwhile.
    if (this.#isClosed) return;
    await this.start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const stop = this.#stop;
    this.#stop = null;
    await stop?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #newBroker(holdings: Holdings, sink: TransportSink): Broker {
    const { requestTtlMs, maxDeliveries, clock } = this.#settings;
    const options = {
      heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
      heartbeatLiveness: clock === undefined ? HEARTBEAT_LIVENESS : NEVER,
      requestTtlMs,
      busyTimeoutMs: clock === undefined ? BUSY_TIMEOUT_MS : NEVER,
      maxDeliveries,
      resumeMs: clock === undefined ? RESUME_MS : NEVER,
      listeners: [{ client: ALL, worker: ALL, mmi: 'full' as const, service: null, resumes: true }],
      holdings,
      limits: LIMITS,
    };
    const broker = new Broker(options, sink, SILENT, secureRandom);
    const startedAt = monotonicMs();
    broker.internals.all.push(
      new Mmi(broker.listing, () => ({
        version: 'test',
        uptimeMs: Math.round(monotonicMs() - startedAt),
        node: 'test',
        role: 'standalone',
        state: 'active',
        epoch: 0,
        limits: LIMITS,
        extensions: [...PROTOCOL_EXTENSIONS, RESUME, ...TITANIC_EXTENSIONS],
        pairHeartbeatMs: 0,
        http: null,
        publicUrl: null,
        events: null,
        map: null,
      })),
    );
    return broker;
  }

  #reports(loop: BrokerLoop): StoreReports {
    const wake = (): void => loop.wake();
    return new StoreReports(wake, this.#time, (error) => {
      throw error;
    });
  }

  async #startTitanic(broker: Broker, store: MemoryStore, reports: StoreReports): Promise<Titanic> {
    const { maxAttempts, retryBaseMs, retryMaxMs } = this.#settings;
    const recovered = this.#tables.open();
    const titanic = new Titanic(
      { ...STORE_LIMITS, maxAttempts, retryBaseMs, retryMaxMs },
      store,
      new Standalone(store, recovered.firstTransaction),
      SILENT,
      secureRandom,
      broker.counters.requests.services,
    );
    reports.titanic = titanic;
    titanic.counted(recovered.counts);
    titanic.setTime(this.#time.now(), this.#time.wall());
    broker.internals.all.push(titanic);
    broker.storedDeliveries.attach(titanic);
    await reports.restore(titanic);
    return titanic;
  }
}

const SILENT = { emit: (): void => undefined };

/**
 * Resolves after the turn that acts on a leap.
 * @param leaps gets what ends the wait if there is no turn any more
 */
async function turnAfterLeap(loop: BrokerLoop, leaps: Set<() => void>): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      leaps.delete(done);
      resolve();
    };
    leaps.add(done);
    loop.afterNextTurn(done);
    loop.leapt();
  });
}

/** Whether it is a `FakeClock`, also that of another copy of the package. */
function isClock(value: unknown): value is FakeClock {
  return typeof value === 'object' && value !== null && 'onLeap' in value;
}
