/**
 * Port P + 2 of the map: a SUB that listens. Its peers are writers, PUB sockets that connect; it subscribes to
 * everything, and takes each message as a KVSET.
 */
import type { Frames } from '../../core/frames.js';
import { PeerNumbers } from '../../transport/peer-numbers.js';
import type {
  PeerInfo,
  Rejected,
  RouterLimits,
  Transport,
  TransportEvents,
} from '../../transport/port.js';
import { openZmtpRouter } from '../../transport/zmtp/router.js';
import type { MapPeer, PeerId } from '../sink.js';
import type { MapSocketOptions, OpenedMapSocket } from './snapshot-socket.js';

/** What arrives at port P + 2. */
export interface WriterInputs {
  /** A message; its frames are valid during the call. */
  written(writer: MapPeer, frames: Frames): void;
  writerOversized(writer: MapPeer): void;
  /** See `TransportEvents.rejected`. */
  writerRejected(kind: string, reason: string, from: Rejected): void;
}

export class WriterSocket implements TransportEvents {
  readonly #inputs: WriterInputs;
  readonly #writers = new Map<PeerId, PeerInfo>();
  #transport: Transport | null = null;

  /** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
  static async open(
    options: MapSocketOptions<WriterInputs>,
  ): Promise<OpenedMapSocket<WriterSocket>> {
    const { endpoint, curve, limits, holdings, inputs } = options;
    const socket = new WriterSocket(inputs);
    const sealed = curve === undefined ? {} : { curve };
    const { endpoints } = await openZmtpRouter({
      listeners: [{ endpoint, index: 0, socketType: 'SUB', ...sealed }],
      limits,
      holdings,
      peers: new PeerNumbers(),
      events: socket,
      opening: (transport) => {
        socket.#transport = transport;
      },
    });
    return { socket, endpoint: endpoints[0] ?? endpoint };
  }

  private constructor(inputs: WriterInputs) {
    this.#inputs = inputs;
  }

  /** Ends the connections of the writers of whom `is` is true. */
  disconnect(is: (info: PeerInfo) => boolean): void {
    for (const [peer, info] of this.#writers) if (is(info)) this.#transport?.disconnect(peer);
  }

  /** For new connections. */
  setLimits(limits: RouterLimits): void {
    this.#transport?.setLimits(limits);
  }

  /** See `ListenerCurve.secretKeys`; connections stay. */
  setSecretKeys(secretKeys: readonly Buffer[]): void {
    this.#transport?.setSecretKeys(0, secretKeys);
  }

  /** See `Transport.closeLargest`. */
  closeLargest(identity: string): boolean {
    return this.#transport?.closeLargest(identity) ?? false;
  }

  async stop(): Promise<void> {
    await this.#transport?.close(0);
  }

  // ---------------------------------------------------------------- events of the transport

  connected(peer: PeerId, info: PeerInfo): void {
    this.#writers.set(peer, info);
  }

  message(peer: PeerId, frames: Frames): void {
    const writer = this.#writers.get(peer);
    if (writer !== undefined) this.#inputs.written(writer, frames);
  }

  oversized(peer: PeerId): void {
    const writer = this.#writers.get(peer);
    if (writer !== undefined) this.#inputs.writerOversized(writer);
  }

  full(): void {
    // It is sent one subscription.
  }

  drained(): void {
    // It is never full.
  }

  disconnected(peer: PeerId): void {
    this.#writers.delete(peer);
  }

  rejected(_listener: number, kind: string, reason: string, from: Rejected): void {
    this.#inputs.writerRejected(kind, reason, from);
  }
}
