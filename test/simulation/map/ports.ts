/** The three ports of the map at a simulated node, between its processes and the network. */
import { Frames } from '../../../src/core/frames.js';
import type { OpenMapPorts } from '../../../src/extensions/map/host.js';
import type { MapInputs } from '../../../src/extensions/map/ports.js';
import type { MapPeer, PeerId } from '../../../src/extensions/map/machine/sink.js';
import type { SimClock } from '../world/clock.js';
import type { PipeOptions } from '../world/pipe.js';
import { type Connection, SimNetwork } from '../world/network.js';

export type Message = readonly Buffer[];
export type MapLink = Connection<Message, Message>;
export type MapNetwork = SimNetwork<Message, Message>;

const SUBSCRIBE = 1;

/** The owner of the processes. */
export interface PortsHost {
  /** False: no process runs, or none can be reached. */
  isReached(): boolean;
  /** Runs an action in the process that runs now, at once or when it next takes a turn. */
  enter(part: (inputs: MapInputs) => void): void;
  /** Before each effect: the process may end there. */
  effect(): void;
  note(what: string, frames: readonly Uint8Array[]): void;
  /** A message goes to subscribers. */
  published(frames: Message): void;
  /** A message of a snapshot goes to a client. */
  answered(frames: Message): void;
}

export interface PortsOptions extends PipeOptions {
  readonly noticeMaxMs: number;
  /** A subscriber with more waiting loses its connection (D43). */
  readonly subscriberBytesMax: number;
}

/** What becomes of the messages and ends of a port's connections. */
interface Handler {
  connected?(inputs: MapInputs, id: PeerId, info: MapPeer): void;
  message(inputs: MapInputs, id: PeerId, info: MapPeer, frames: Frames): void;
  disconnected?(inputs: MapInputs, id: PeerId): void;
}

/** One port: its connections have numbers while a process runs. */
class Port {
  readonly network: MapNetwork;
  readonly links = new Map<PeerId, MapLink>();
  readonly #ids = new Map<MapLink, PeerId>();
  readonly #host: PortsHost;
  readonly #handler: Handler;
  #last = 0;

  constructor(
    clock: SimClock,
    options: PortsOptions,
    outputBytesMax: number,
    host: PortsHost,
    handler: Handler,
  ) {
    this.#host = host;
    this.#handler = handler;
    const { delayMinMs, delayMaxMs, noticeMaxMs } = options;
    const net = { delayMinMs, delayMaxMs, noticeMaxMs, outputBytesMax };
    this.network = new SimNetwork(clock, net, {
      connected: (link) => this.#connected(link),
      received: (link, frames) => {
        this.#enter(link, (inputs, id) => {
          host.note(`> ${link.routingId.toString()}`, frames);
          handler.message(inputs, id, infoOf(link), Frames.of(...frames));
        });
      },
      outputFull: (link) => {
        clock.after(0, () => link.end());
      },
      drained: () => undefined,
      disconnected: (link) => {
        this.#enter(link, (inputs, id) => {
          this.#ids.delete(link);
          this.links.delete(id);
          handler.disconnected?.(inputs, id);
        });
      },
    });
  }

  #connected(link: MapLink): void {
    if (!this.#host.isReached()) {
      link.end();
      return;
    }
    this.#host.enter((inputs) => {
      const id = ++this.#last;
      this.#ids.set(link, id);
      this.links.set(id, link);
      this.#handler.connected?.(inputs, id, infoOf(link));
    });
  }

  #enter(link: MapLink, part: (inputs: MapInputs, id: PeerId) => void): void {
    this.#host.enter((inputs) => {
      const id = this.#ids.get(link);
      if (id !== undefined) part(inputs, id);
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
export class SimMapPorts {
  readonly snapshots: Port;
  readonly updates: Port;
  readonly writers: Port;
  readonly #host: PortsHost;
  readonly #topics = new Map<PeerId, Buffer[]>();
  /** What writers sent over connections that stand still: it arrives late, also after their end. */
  readonly #stalled = new Map<MapLink, [id: PeerId, info: MapPeer, message: Message][]>();

  constructor(clock: SimClock, options: PortsOptions, host: PortsHost) {
    this.#host = host;
    this.snapshots = new Port(clock, options, Infinity, host, {
      connected: (inputs, id, info) => inputs.snapshots.connected?.(id, info),
      message: (inputs, id, info, frames) => inputs.snapshots.message(id, frames, info),
      disconnected: (inputs, id) => inputs.snapshots.disconnected?.(id),
    });
    this.updates = new Port(clock, options, options.subscriberBytesMax, host, {
      message: (inputs, id, _, frames) => this.#subscribed(inputs, id, frames.copy(0)),
      disconnected: (_, id) => {
        this.#topics.delete(id);
      },
    });
    this.writers = new Port(clock, options, Infinity, host, {
      message: (inputs, id, info, frames) => {
        const link = this.writers.links.get(id);
        const late = link === undefined ? undefined : this.#stalled.get(link);
        if (late === undefined) inputs.writers.message(id, frames, info);
        else late.push([id, info, frames.copyFrom(0)]);
      },
    });
  }

  /** From now on, what writers send over the connections that they have now waits. */
  stallWriters(): void {
    for (const link of this.writers.links.values()) {
      if (!this.#stalled.has(link)) this.#stalled.set(link, []);
    }
  }

  /** What waited arrives. */
  resumeWriters(): void {
    const late = [...this.#stalled.values()].flat();
    this.#stalled.clear();
    for (const [id, info, message] of late) {
      this.#host.note('> late', message);
      this.#host.enter((inputs) => inputs.writers.message(id, Frames.of(...message), info));
    }
  }

  #subscribed(inputs: MapInputs, id: PeerId, message: Buffer): void {
    if (message[0] !== SUBSCRIBE) return;
    const topic = message.subarray(1);
    const topics = this.#topics.get(id);
    if (topics === undefined) this.#topics.set(id, [topic]);
    else topics.push(topic);
    inputs.updates.subscribedTo?.(id, topic);
  }

  /** The process has ended. */
  clear(): void {
    this.#topics.clear();
    this.#stalled.clear();
    for (const port of [this.snapshots, this.updates, this.writers]) port.clear();
  }

  /** Clients no longer reach the node. @param serverKnows whether it is notified */
  cut(serverKnows: boolean): void {
    for (const port of [this.snapshots, this.updates, this.writers]) port.cut(serverKnows);
  }

  /** For the process that begins. */
  open(): OpenMapPorts {
    const host = this.#host;
    return {
      endpoint: 'simulated',
      malformed: 0,
      publish: (frames) => {
        this.#effect('publishes', frames, (message) => {
          host.published(message);
          for (const [id, topics] of this.#topics) {
            if (topics.some((topic) => covers(topic, message))) {
              write(this.updates.links.get(id), message);
            }
          }
        });
      },
      greet: (subscriber, frames) => {
        this.#effect('greets', frames, (message) => {
          host.published(message);
          write(this.updates.links.get(subscriber), message);
        });
      },
      closeSubscribers: () => {
        host.note('closes subscribers', []);
        for (const link of this.updates.links.values()) link.end();
      },
      snapshot: (peer, frames) => {
        this.#effect('answers', frames, (message) => {
          host.answered(message);
          write(this.snapshots.links.get(peer), message);
        });
      },
      close: (peer) => this.snapshots.links.get(peer)?.end(),
      flush: nothing,
      disconnect: nothing,
      setSecretKeys: nothing,
      setLimits: nothing,
      closeLargest: () => false,
      stop: () => Promise.resolve(),
    };
  }

  #effect(what: string, frames: Frames, carryOut: (message: Message) => void): void {
    this.#host.effect();
    const message = frames.copyFrom(0);
    this.#host.note(what, message);
    carryOut(message);
  }
}

function nothing(): void {
  // Nothing of the kind happens here.
}

function write(link: MapLink | undefined, message: Message): void {
  link?.write(message, bytesIn(message));
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
