/** The three ports of the map at a simulated node, between its processes and the network. */
import { Frames } from '../../../src/core/frames.js';
import type { MapMachine } from '../../../src/map/map-machine.js';
import type { MapPeer, MapSink, PeerId } from '../../../src/map/sink.js';
import type { SimClock } from '../world/clock.js';
import type { PipeOptions } from '../world/pipe.js';
import { type Connection, SimNetwork } from '../world/network.js';

export type Message = readonly Buffer[];
export type MapLink = Connection<Message, Message>;
type MapNetwork = SimNetwork<Message, Message>;

const SUBSCRIBE = 1;

/** The owner of the processes. */
export interface MapHost {
  /** False: no process runs, or none can be reached. */
  isReached(): boolean;
  /** Runs an action in the process that runs now, at once or when it next takes a turn. */
  enter(part: (machine: MapMachine) => void): void;
  /** Input has arrived: a turn follows. */
  wake(): void;
  /** Before each effect: the process may end there. */
  effect(): void;
  vote(): void;
  note(what: string, frames: readonly Uint8Array[]): void;
  /** A message goes to subscribers. */
  published(frames: Message): void;
  /** A message of a snapshot goes to a client. */
  answered(frames: Message): void;
}

export interface MapPortsOptions extends PipeOptions {
  readonly noticeMaxMs: number;
  /** A subscriber with more waiting loses its connection (D43). */
  readonly subscriberBytesMax: number;
}

/** What a port does with the messages and ends of its connections. */
interface PortInputs {
  connected?(machine: MapMachine, id: PeerId, info: MapPeer): void;
  message(machine: MapMachine, id: PeerId, info: MapPeer, frames: Frames): void;
  disconnected?(machine: MapMachine, id: PeerId): void;
}

/** One port: its connections have numbers while a process runs. */
class Port {
  readonly network: MapNetwork;
  readonly links = new Map<PeerId, MapLink>();
  readonly #ids = new Map<MapLink, PeerId>();
  readonly #host: MapHost;
  readonly #inputs: PortInputs;
  #last = 0;

  constructor(
    clock: SimClock,
    options: MapPortsOptions,
    outputBytesMax: number,
    host: MapHost,
    inputs: PortInputs,
  ) {
    this.#host = host;
    this.#inputs = inputs;
    const { delayMinMs, delayMaxMs, noticeMaxMs } = options;
    const net = { delayMinMs, delayMaxMs, noticeMaxMs, outputBytesMax };
    this.network = new SimNetwork(clock, net, {
      connected: (link) => {
        this.#connected(link);
      },
      received: (link, frames) => {
        this.#enter(link, (machine, id) => {
          host.note(`> ${link.address}`, frames);
          inputs.message(machine, id, infoOf(link), Frames.of(...frames));
        });
      },
      full: (link) => {
        clock.after(0, () => {
          link.end();
        });
      },
      drained: () => undefined,
      disconnected: (link) => {
        this.#enter(link, (machine, id) => {
          this.#ids.delete(link);
          this.links.delete(id);
          inputs.disconnected?.(machine, id);
        });
      },
    });
  }

  #connected(link: MapLink): void {
    if (!this.#host.isReached()) {
      link.end();
      return;
    }
    this.#host.enter((machine) => {
      const id = ++this.#last;
      this.#ids.set(link, id);
      this.links.set(id, link);
      this.#inputs.connected?.(machine, id, infoOf(link));
    });
  }

  #enter(link: MapLink, part: (machine: MapMachine, id: PeerId) => void): void {
    this.#host.enter((machine) => {
      const id = this.#ids.get(link);
      if (id === undefined) return;
      this.#host.wake();
      part(machine, id);
    });
  }

  /** Its process has ended: nothing of its connections is left. */
  clear(): void {
    this.links.clear();
    this.#ids.clear();
    this.network.endAll();
  }

  /** All its connections are lost. */
  cut(serverKnows: boolean): void {
    for (const link of this.links.values()) link.cut(serverKnows, true);
  }
}

/** The ports P, P + 1 and P + 2 of one node; they outlive its processes. */
export class MapPorts {
  readonly snapshots: Port;
  readonly updates: Port;
  readonly writers: Port;
  readonly #host: MapHost;
  readonly #clock: SimClock;
  readonly #topics = new Map<PeerId, Buffer[]>();

  constructor(clock: SimClock, options: MapPortsOptions, host: MapHost) {
    this.#host = host;
    this.#clock = clock;
    this.snapshots = new Port(clock, options, Infinity, host, {
      connected: (machine, id, info) => {
        machine.connected(id, info);
      },
      message: (machine, id, _, frames) => {
        machine.message(id, frames, clock.now);
      },
      disconnected: (machine, id) => {
        machine.disconnected(id);
      },
    });
    this.updates = new Port(clock, options, options.subscriberBytesMax, host, {
      message: (machine, id, _, frames) => {
        this.#subscribed(machine, id, frames.copy(0));
      },
      disconnected: (_, id) => {
        this.#topics.delete(id);
      },
    });
    this.writers = new Port(clock, options, Infinity, host, {
      message: (machine, _, info, frames) => {
        machine.kvset(info, frames, clock.now);
      },
    });
  }

  #subscribed(machine: MapMachine, id: PeerId, message: Buffer): void {
    if (message[0] !== SUBSCRIBE) return;
    const topic = message.subarray(1);
    const topics = this.#topics.get(id);
    if (topics === undefined) this.#topics.set(id, [topic]);
    else topics.push(topic);
    machine.subscribed(id, topic);
  }

  /** The process has ended. */
  clear(): void {
    this.#topics.clear();
    for (const port of [this.snapshots, this.updates, this.writers]) port.clear();
  }

  /** Clients no longer reach the node. @param serverKnows whether it is notified */
  cut(serverKnows: boolean): void {
    for (const port of [this.snapshots, this.updates, this.writers]) port.cut(serverKnows);
  }

  /** For the machine of a process. */
  get sink(): MapSink {
    return {
      publish: (frames) => {
        this.#effect('publishes', frames, (message) => {
          this.#host.published(message);
          for (const [id, topics] of this.#topics) {
            if (topics.some((topic) => covers(topic, message))) {
              this.#write(this.updates.links.get(id), message);
            }
          }
        });
      },
      greet: (subscriber, frames) => {
        this.#effect('greets', frames, (message) => {
          this.#host.published(message);
          this.#write(this.updates.links.get(subscriber), message);
        });
      },
      closeSubscribers: () => {
        this.#host.note('closes subscribers', []);
        for (const link of this.updates.links.values()) link.end();
      },
      snapshot: (peer, frames) => {
        this.#effect('answers', frames, (message) => {
          this.#host.answered(message);
          this.#write(this.snapshots.links.get(peer), message);
        });
      },
      close: (peer) => {
        this.snapshots.links.get(peer)?.end();
      },
      vote: () => {
        this.#host.vote();
      },
    };
  }

  #effect(what: string, frames: Frames, carryOut: (message: Message) => void): void {
    this.#host.effect();
    const message = frames.copyFrom(0);
    this.#host.note(what, message);
    carryOut(message);
  }

  #write(link: MapLink | undefined, message: Message): void {
    link?.write(message, bytesIn(message));
  }

  get now(): number {
    return this.#clock.now;
  }
}

function covers(topic: Buffer, [first = Buffer.alloc(0)]: Message): boolean {
  return first.subarray(0, topic.length).equals(topic);
}

export function bytesIn(message: Message): number {
  return message.reduce((sum, { length }) => sum + length, 0);
}

function infoOf({ identity, key, address }: MapLink): MapPeer {
  return { identity, key, address };
}
