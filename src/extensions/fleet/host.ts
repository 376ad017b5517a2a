/** The fleet of a node: the machine and its bus, in turns of the broker's loop. */
import { createHash } from 'node:crypto';

import type { Reason } from '../../admin/api/node-answers.js';
import { by } from '../../admin/metrics/broker-metrics.js';
import type { MetricsPart } from '../../admin/metrics/metrics.js';
import type { BrokerLoop, Companion } from '../../broker/io/loop.js';
import type { Config } from '../../config/config.js';
import { monotonicMs } from '../../core/clock.js';
import { secureRandom } from '../../core/random.js';
import { packageVersion } from '../../core/version.js';
import type { FleetEvents } from './machine/fleet-events.js';
import { FleetMachine } from './machine/fleet.js';
import type { NatsBus } from './io/nats.js';
import type { FleetSink } from './machine/sink.js';
import type { Attached, Host } from '../../node/extension.js';
import { FLEET_ID_BYTES } from './machine/protocol.js';
import type { AllBrokersStatus } from '../../wire/mmi.js';
import { natsOptionsOf } from './nats-options.js';

/** How long the last packs may take to leave. */
const LEAVE_MS = 200;

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();

export class FleetHost implements Attached {
  readonly machine: FleetMachine;
  readonly turns: Companion;
  readonly #config: Config;
  readonly #loop: BrokerLoop;
  readonly #name: string;
  readonly #events: FleetEvents;
  readonly #servers: readonly string[];
  #bus: NatsBus | null = null;
  /** The server that this broker was connected to last. */
  #server = '';
  #downReason: string | null = null;

  constructor(host: Host) {
    const { config, broker, loop, mmi, keys, stored, events } = host;
    const id = Buffer.alloc(FLEET_ID_BYTES);
    secureRandom(id);
    const { name } = config.fleet;
    const hints = stored?.hints ?? null;
    this.#config = config;
    this.#name = name;
    this.#events = events;
    this.#servers = config.fleet.nats.map((url) => new URL(url).host);
    const sink: FleetSink = {
      publish: (subject, pack, unheard) => this.#bus?.publish(subject, pack, unheard),
      subscribe: (subject) => this.#bus?.subscribe(subject),
      unsubscribe: (subject) => this.#bus?.unsubscribe(subject),
    };
    const options = {
      id,
      fleet: name,
      node: config.node.name,
      version: packageVersion(),
      keys: () => keys.digest.subarray(0, FLEET_ID_BYTES),
      digest: sha256,
      messageBytesMax: () => host.current.limits.messageBytes,
      memoryBytesMax: () => host.current.limits.memoryBytes,
      ...(hints === null ? {} : { hinted: hints.received }),
    };
    this.machine = new FleetMachine(options, sink, events);
    this.machine.setTime(monotonicMs());
    this.#loop = loop;
    broker.connect(this.machine);
    broker.watchServices((service, isServed) => this.machine.service(service, isServed));
    hints?.sendBy((content) => this.machine.hint(content));
    mmi.others = {
      interconnect: this.machine,
      status: (now) => ({ ...this.#status(now), store: stored?.database?.toClients(now) ?? null }),
    };
    const { machine } = this;
    this.turns = {
      setTime: (now) => machine.setTime(now),
      run: (now) => machine.run(now, broker.storedDeliveries, broker.remote),
      dueInMs: (now) => machine.dueInMs(now),
      get isSettled() {
        return machine.isSettled;
      },
    };
  }

  /**
   * Connects to NATS; if no server answers, later.
   * @throws ERR_CONFIG_FILE, ERR_FLEET_REFUSED
   */
  async open(): Promise<void> {
    const { NatsBus: Bus } = await import('./io/nats.js');
    const { machine } = this;
    // The machine subscribes when it hears of a connection, so the bus has to be here by then.
    const first: { up: readonly [number, string] | null } = { up: null };
    const input = (apply: () => void): void => {
      this.#loop.wake();
      apply();
    };
    const linkUp = (payloadMax: number, server: string): void => {
      this.#server = server;
      this.#downReason = null;
      input(() => machine.linkUp(payloadMax, server));
    };
    this.#bus = await Bus.open(natsOptionsOf(this.#config), {
      up: (payloadMax, server) => {
        if (this.#bus === null) first.up = [payloadMax, server];
        else linkUp(payloadMax, server);
      },
      down: (reason) => {
        this.#downReason = reason;
        input(() => machine.linkDown(reason));
      },
      received: (bytes) => input(() => machine.received(bytes)),
      unheard: (service) => input(() => machine.unheard(service)),
      full: (isFull) => input(() => machine.busFull(isFull)),
      refused: (reason) => {
        this.#events.emit({ name: 'fleet.refused', reason: `${this.#refusing}: ${reason}` });
      },
    });
    if (first.up !== null) linkUp(...first.up);
  }

  get degraded(): readonly Reason[] {
    if (this.machine.isUp) return [];
    const why = this.#downReason === null ? '' : `: ${this.#downReason}`;
    const text = `no connection to NATS${why}; requests wait for workers that are registered here, and other brokers get none of them`;
    return [{ code: 'fleet_down', text }];
  }

  readonly metrics: MetricsPart = {
    write: (out) => {
      const { isUp, peers, counters } = this.machine;
      out.metric('fleet_interconnect_up');
      out.sample('', Number(isUp));
      out.metric('fleet_peers');
      out.sample('', peers);
      by(out, 'fleet_requests_bridged_total', 'direction', counters.bridged);
      by(out, 'fleet_requests_returned_total', 'reason', counters.returned);
      by(out, 'fleet_packs_dropped_total', 'reason', counters.dropped);
    },
  };

  /** Which server refuses something now. While it connects, it tries all of them. */
  get #refusing(): string {
    if (this.machine.isUp) return this.#server;
    return `${this.#servers.length > 1 ? 'one of ' : ''}${this.#servers.join(', ')}`;
  }

  /** For `mmi.fleet`, without the store. */
  #status(now: number): Omit<AllBrokersStatus, 'store'> {
    const { machine } = this;
    const brokers = machine.members(now).map((member) => ({
      id: member.id,
      node: member.node,
      version: member.version,
      self: member.isSelf,
      silentMs: member.silentMs,
      requestsOut: member.out,
      requestsHeld: member.held,
      keysDiffer: member.keysDiffer,
    }));
    const { bridged, returned } = machine.counters;
    const sum = returned.busy + returned.returned + returned.lost;
    return {
      fleet: this.#name,
      connected: machine.isUp,
      brokers,
      bridged: { ...bridged, returned: sum },
    };
  }

  /** Called before the broker drains: other brokers send this one no more requests. */
  drain(): void {
    this.machine.drain();
    this.#loop.wake();
  }

  /** Called after the broker has drained. */
  async close(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, LEAVE_MS).unref());
    await Promise.race([this.#bus?.close(), late]);
    this.#bus = null;
  }
}
