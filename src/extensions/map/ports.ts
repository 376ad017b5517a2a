/**
 * The three ports of the map: `map.listen` names P, for snapshots; updates are published at P + 1,
 * and writers connect to P + 2.
 */
import type { Frames } from '../../core/frames.js';
import type { Holdings } from '../../core/holdings.js';
import { listenFor } from '../../core/listen-trouble.js';
import type { MapPort } from './machine/map-events.js';
import { snapshotLimits, writeRecord } from './io/snapshot-output.js';
import type { MapPeer, MapSink } from './machine/sink.js';
import { type PublisherEvents, PublisherSocket } from '../../stream/io/publisher-socket.js';
import type { ListenerCurve } from '../../zmtp/listener-curve.js';
import type { Closing, PeerInfo, RouterLimits, RouterOptions } from '../../zmtp/port.js';
import { type ListeningEvents, ListeningSocket } from '../../zmtp/router/listening-socket.js';

/** What is published when the node stops has so long to leave. */
const LINGER_MS = 1000;
/** How often three ports in a row are looked for, where P is any free port. */
const ATTEMPTS_MAX = 50;
/** `tcp://HOST:PORT` */
const TCP = /^(tcp:\/\/.*:)(\d+|\*)$/;

/** What arrives at the ports. */
export interface MapInputs {
  /** Port P: clients that ask for snapshots. */
  readonly snapshots: ListeningEvents<MapPeer>;
  /** Port P + 1: subscribers. */
  readonly updates: PublisherEvents & {
    /** Whether a subscriber may have all keys that begin with this topic. */
    maySubscribe(subscriber: MapPeer, topic: Buffer): boolean;
  };
  /** Port P + 2, a SUB that listens and subscribes to everything: PUB sockets that connect, whose messages are KVSETs. */
  readonly writers: ListeningEvents<MapPeer>;
}

interface MapPortsOptions {
  /** P; with port 0, the first of three free ones. */
  readonly endpoint: string;
  readonly curve?: ListenerCurve;
  readonly limits: RouterLimits;
  readonly holdings: Holdings;
  readonly names?: RouterOptions['names'];
  readonly inputs: MapInputs;
}

/** The endpoint `offset` ports above this one. */
function endpointAbove(endpoint: string, offset: number): string {
  const [, before = '', port = ''] = TCP.exec(endpoint) ?? [];
  return `${before}${Number(port) + offset}`;
}

/** Where the effects of the machine leave, but the vote. */
export class MapPorts implements Omit<MapSink, 'vote'> {
  /** P, with its real port. */
  readonly endpoint: string;
  readonly #snapshots: ListeningSocket;
  readonly #updates: PublisherSocket;
  readonly #writers: ListeningSocket;

  /** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
  static async open(options: MapPortsOptions): Promise<MapPorts> {
    const [, , port] = TCP.exec(options.endpoint) ?? [];
    const isAny = port === '*' || Number(port) === 0;
    for (let attempt = 1; ; attempt++) {
      try {
        return await openThree(options);
      } catch (error) {
        // The port after a free one may be taken.
        if (!isAny || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  constructor(
    endpoint: string,
    snapshots: ListeningSocket,
    updates: PublisherSocket,
    writers: ListeningSocket,
  ) {
    this.endpoint = endpoint;
    this.#snapshots = snapshots;
    this.#updates = updates;
    this.#writers = writers;
  }

  // ---------------------------------------------------------------- output

  publish(frames: Frames): void {
    this.#updates.publish(frames);
  }

  greet(subscriber: number, frames: Frames): void {
    this.#updates.sendTo(subscriber, frames);
  }

  closeSubscribers(): void {
    this.#updates.listener.disconnect(() => true);
  }

  snapshot(peer: number, frames: Frames): void {
    const { transport } = this.#snapshots;
    if (transport !== null) writeRecord(transport, peer, frames);
  }

  close(peer: number): void {
    this.#snapshots.transport?.disconnect(peer);
  }

  /** At the end of a turn. Publishing has turns of its own. */
  flush(): void {
    this.#snapshots.transport?.flush();
  }

  // ---------------------------------------------------------------- state

  /** Messages of subscribers that are no subscriptions. */
  get malformed(): number {
    return this.#updates.fanOut.counters.malformed;
  }

  // ---------------------------------------------------------------- keys and limits

  /** Ends the connections of whom `is` is true. */
  disconnect(ports: readonly MapPort[], is: (info: Pick<PeerInfo, Who>) => boolean): void {
    if (ports.includes('snapshots')) this.#snapshots.disconnect(is);
    if (ports.includes('updates')) this.#updates.listener.disconnect(is);
    if (ports.includes('writers')) this.#writers.disconnect(is);
  }

  setSecretKeys(secretKeys: readonly Buffer[]): void {
    for (const listener of this.#listeners) listener.setSecretKeys(secretKeys);
  }

  setLimits(limits: RouterLimits): void {
    for (const listener of this.#listeners) listener.setLimits(limits);
  }

  /** See `Transport.closeLargest`. */
  closeLargest(identity: string, closing: Closing): boolean {
    return this.#listeners.some((listener) => listener.closeLargest(identity, closing));
  }

  get #listeners(): readonly ListeningSocket[] {
    return [this.#updates.listener, this.#snapshots, this.#writers];
  }

  async stop(): Promise<void> {
    await Promise.all([
      this.#writers.transport?.close(0),
      this.#snapshots.transport?.close(0),
      this.#updates.listener.transport?.close(LINGER_MS),
    ]);
  }
}

type Who = 'key' | 'publicKey';

const NTH: Readonly<Record<MapPort, string>> = {
  snapshots: 'first',
  updates: 'second',
  writers: 'third',
};

/** Opens a port, whose use stands in the error if it cannot be opened. */
function opening<T>(port: MapPort, open: () => Promise<T>): Promise<T> {
  const use = ` (for ${port}, the ${NTH[port]} of the map's three ports in a row)`;
  return listenFor('map.listen', open, use);
}

/** All three, or none. */
async function openThree(options: MapPortsOptions): Promise<MapPorts> {
  const { endpoint: asked, inputs, ...common } = options;
  const snapshots = new ListeningSocket('ROUTER', snapshotLimits, inputs.snapshots);
  const writers = new ListeningSocket('SUB', (limits: RouterLimits) => limits, inputs.writers);
  const [endpoint = asked] = await opening('snapshots', () =>
    snapshots.listen({ ...common, endpoints: [asked] }),
  );
  const opened = [snapshots];
  try {
    const updates = await opening('updates', () =>
      openPublisher({ ...options, endpoint: endpointAbove(endpoint, 1) }),
    );
    opened.push(updates.listener);
    await opening('writers', () =>
      writers.listen({ ...common, endpoints: [endpointAbove(endpoint, 2)] }),
    );
    return new MapPorts(endpoint, snapshots, updates, writers);
  } catch (error) {
    await Promise.all(opened.map(async (listener) => listener.transport?.close(0)));
    throw error;
  }
}

async function openPublisher({
  endpoint,
  inputs,
  ...options
}: MapPortsOptions): Promise<PublisherSocket> {
  const { socket } = await PublisherSocket.open({
    endpoints: [endpoint],
    ...options,
    authorise: (info, topic) => inputs.updates.maySubscribe(info, topic),
    events: inputs.updates,
  });
  return socket;
}
