/**
 * Two real brokers in this process, on sockets, as the nodes of a pair. The test decides which one
 * serves: it sets their states of admission. While a node is voting, a request lets it serve.
 */
import { Holdings } from '../../src/core/holdings.js';
import { Broker } from '../../src/broker/broker.js';
import type { AdmissionState } from '../../src/broker/options.js';
import { BrokerLoop } from '../../src/broker/io/loop.js';
import { TransportSink } from '../../src/broker/io/sink.js';
import { monotonicMs } from '../../src/core/clock.js';
import { secureRandom } from '../../src/core/random.js';
import { Mmi } from '../../src/mmi/mmi.js';
import { PeerNumbers, type Transport } from '../../src/zmtp/port.js';
import { openZmtpRouter } from '../../src/zmtp/router/router.js';
import { STAGE_STATUS } from './stage.js';
import { rules } from './rights.js';

/** Between the nodes: a client learns of it. */
export const PAIR_HEARTBEAT_MS = 200;
/** Long, so that no worker is lost on a busy machine. */
const WORKER_HEARTBEAT_MS = 2500;
const MIB = 1024 * 1024;
const LIMITS = {
  services: 1000,
  workers: 1000,
  queuedRequests: 1_000_000,
  queuedBytes: 1024 * MIB,
  queuedRequestsPerService: 1_000_000,
  messageBytes: 16 * MIB,
  frames: 256,
};
const TRANSPORT_LIMITS = {
  messageBytesMax: 16 * MIB,
  framesMax: 256,
  outputBytesMax: 64 * MIB,
  connectionsMax: 1000,
  connectionsPerIdentityMax: 1000,
  receiveBytesMax: 1024 * MIB,
};

const open: PairNode[] = [];

export class PairNode {
  readonly broker: Broker;
  endpoint = '';
  readonly #loop: BrokerLoop;
  readonly #sink = new TransportSink();
  #transport: Transport | null = null;

  constructor() {
    const options = {
      heartbeatIntervalMs: WORKER_HEARTBEAT_MS,
      heartbeatLiveness: 3,
      requestTtlMs: 60_000,
      busyTimeoutMs: 600_000,
      resumeMs: 10_000,
      maxDeliveries: 3,
      listeners: [rules(true, true)],
      limits: LIMITS,
    };
    this.#sink.onVote(() => this.#vote());
    this.broker = new Broker(options, this.#sink, { emit: () => undefined }, secureRandom);
    this.broker.internals.all.push(
      new Mmi(this.broker.listing, () => ({
        ...STAGE_STATUS,
        state: this.broker.admission === 'serving' ? 'active' : 'passive',
        extensions: ['credit', 'hello'],
        pairHeartbeatMs: PAIR_HEARTBEAT_MS,
      })),
    );
    this.#loop = new BrokerLoop(this.broker, new Holdings());
  }

  async listen(): Promise<this> {
    const { transport, endpoints } = await openZmtpRouter({
      listeners: [{ endpoint: 'tcp://127.0.0.1:0', index: 0 }],
      limits: TRANSPORT_LIMITS,
      peers: new PeerNumbers(),
      events: this.#loop,
    });
    this.#transport = transport;
    this.endpoint = endpoints[0] ?? '';
    this.#sink.attach(transport);
    this.#loop.attach(transport);
    open.push(this);
    return this;
  }

  admission(state: AdmissionState): void {
    this.#loop.wake();
    this.broker.setAdmission(state, monotonicMs());
  }

  /** Its connections end, and it listens no more. */
  async kill(): Promise<void> {
    const transport = this.#transport;
    this.#transport = null;
    this.#loop.stop();
    await transport?.close(0);
  }

  /** It is voting once it knows that its peer is dead. */
  votesIn(ms: number): void {
    setTimeout(() => this.admission('voting'), ms);
  }

  /** Its writes to the disk take a moment. */
  #vote(): void {
    setImmediate(() => {
      // Several requests of one turn are one vote.
      if (this.broker.admission !== 'voting') return;
      this.admission('holding');
      setTimeout(() => this.admission('serving'), 5);
    });
  }
}

/** The active and the passive node. For `afterEach`: `endPairs`. */
export async function startPair(): Promise<[PairNode, PairNode]> {
  const active = await new PairNode().listen();
  const passive = await new PairNode().listen();
  passive.admission('refusing');
  return [active, passive];
}

export async function endPairs(): Promise<void> {
  await Promise.all(open.splice(0).map((node) => node.kill()));
}
