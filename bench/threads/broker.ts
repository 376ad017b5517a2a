/**
 * The broker's machine alone, with its sockets in the same thread or in another one:
 * `broker.js WAY [SECRET-KEY]`. Prints its endpoint.
 */
import { Broker } from '../../src/broker/broker.js';
import { BrokerLoop } from '../../src/broker/io/loop.js';
import { TransportSink } from '../../src/broker/io/sink.js';
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_LIVENESS } from '../../src/core/defaults.js';
import { GlobSet } from '../../src/core/glob.js';
import { Holdings } from '../../src/core/holdings.js';
import { secureRandom } from '../../src/core/random.js';
import { PeerNumbers } from '../../src/zmtp/peer-numbers.js';
import type { RouterOptions } from '../../src/zmtp/port.js';
import { openZmtpRouter } from '../../src/zmtp/router/router.js';
import { HOST } from '../ports.js';
import { allowAll } from './listener.js';
import { openThreadedRouter } from './threaded-router.js';

export type Way = 'one' | 'memory' | 'post';

const MIB = 1024 * 1024;
const COUNT_MAX = 1_000_000;
const ALL = GlobSet.of(['*']);

const [, , way = 'one', key] = process.argv;
const holdings = new Holdings(1024 * MIB);
const sink = new TransportSink();
const broker = new Broker(
  {
    heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS,
    heartbeatLiveness: HEARTBEAT_LIVENESS,
    requestTtlMs: 60_000,
    busyTimeoutMs: 600_000,
    maxDeliveries: 3,
    listeners: [{ client: ALL, worker: ALL, mmi: 'full', service: null }],
    holdings,
    limits: {
      services: COUNT_MAX,
      workers: COUNT_MAX,
      queuedRequests: COUNT_MAX,
      queuedBytes: 256 * MIB,
      queuedRequestsPerService: COUNT_MAX,
      messageBytes: MIB,
      frames: 256,
    },
  },
  sink,
  { emit: () => undefined },
  secureRandom,
);
const loop = new BrokerLoop(broker, holdings);
const secretKey = key === undefined ? null : Buffer.from(key, 'hex');
const options: RouterOptions = {
  listeners: [{ endpoint: `tcp://${HOST}:*`, index: 0, ...allowAll(secretKey) }],
  limits: {
    messageBytesMax: MIB,
    framesMax: 256,
    outputBytesMax: 64 * MIB,
    connectionsMax: 1000,
    connectionsPerIdentityMax: 1000,
    receiveBytesMax: 256 * MIB,
  },
  peers: new PeerNumbers(),
  holdings,
  events: loop,
  opening: (transport) => {
    sink.attach(transport);
    loop.attach(transport);
  },
};
const { endpoints } =
  way === 'memory' || way === 'post'
    ? await openThreadedRouter(options, way)
    : await openZmtpRouter(options);
process.stdout.write(`${endpoints[0] ?? ''}\n`);
