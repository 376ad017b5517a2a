/**
 * Port P of the map: a ROUTER whose clients ask for snapshots. A snapshot is written piece by piece, as
 * its client reads: more than `OUTPUT_BYTES_MAX` never waits for one of them.
 */
import type { Frames } from '../../core/frames.js';
import type { Holdings } from '../../core/holdings.js';
import { pack, packedBytes } from '../../core/packed.js';
import { PeerNumbers } from '../../transport/peer-numbers.js';
import type {
  ListenerCurve,
  PeerInfo,
  Rejected,
  RouterLimits,
  Transport,
  TransportEvents,
} from '../../transport/port.js';
import { openZmtpRouter } from '../../transport/zmtp/router.js';
import type { MapPeer, PeerId } from '../sink.js';

/** Maximum size of what a client sends: a question is much smaller. */
const MESSAGE_BYTES_MAX = 1024;
const FRAMES_MAX = 8;
/** Of all connections together. */
const RECEIVE_BYTES_MAX = 16 * 1024 * 1024;
/** What waits for one client. More would be a second copy of the map for each of them. */
const OUTPUT_BYTES_MAX = 256 * 1024;
/** Values of this size or more are not copied for each client. */
const LASTING_BYTES_MIN = 64 * 1024;

/** What arrives at port P. */
export interface SnapshotInputs {
  clientConnected(peer: PeerId, info: MapPeer): void;
  /** The frames are valid during the call. */
  clientMessage(peer: PeerId, frames: Frames): void;
  clientOversized(peer: PeerId, info: MapPeer): void;
  clientFull(peer: PeerId): void;
  clientDrained(peer: PeerId): void;
  clientGone(peer: PeerId): void;
  /** See `TransportEvents.rejected`. */
  clientRejected(kind: string, reason: string, from: Rejected): void;
}

/** What a port of the map is opened with. */
export interface MapSocketOptions<Inputs> {
  /** Where to listen. */
  readonly endpoint: string;
  readonly curve?: ListenerCurve;
  /** Of the broker's listeners; this port has smaller ones of its own where it needs less. */
  readonly limits: RouterLimits;
  /** Where to count what peers make it hold. */
  readonly holdings: Holdings;
  readonly inputs: Inputs;
}

/** A socket that listens, and its endpoint with the real port. */
export interface OpenedMapSocket<Socket> {
  readonly socket: Socket;
  readonly endpoint: string;
}

export class SnapshotSocket implements TransportEvents {
  readonly #inputs: SnapshotInputs;
  readonly #peers = new Map<PeerId, PeerInfo>();
  #transport: Transport | null = null;

  /** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
  static async open(
    options: MapSocketOptions<SnapshotInputs>,
  ): Promise<OpenedMapSocket<SnapshotSocket>> {
    const { endpoint, curve, limits, holdings, inputs } = options;
    const socket = new SnapshotSocket(inputs);
    const { endpoints } = await openZmtpRouter({
      listeners: [{ endpoint, index: 0, ...(curve === undefined ? {} : { curve }) }],
      limits: limitsOf(limits),
      holdings,
      peers: new PeerNumbers(),
      events: socket,
      opening: (transport) => {
        socket.#transport = transport;
      },
    });
    return { socket, endpoint: endpoints[0] ?? endpoint };
  }

  private constructor(inputs: SnapshotInputs) {
    this.#inputs = inputs;
  }

  /** Writes a message for this client; `flush` sends it. */
  send(peer: PeerId, frames: Frames): void {
    const transport = this.#transport;
    if (transport === null) return;
    const size = packedBytes(frames, 0, frames.count);
    const room = size < LASTING_BYTES_MIN ? transport.room(peer, size) : null;
    if (room === null) this.#sendFrames(transport, peer, frames);
    else pack(frames, 0, frames.count, room.words.bytes, room.at, false);
  }

  #sendFrames(transport: Transport, peer: PeerId, frames: Frames): void {
    const last = frames.count - 1;
    for (let index = 0; index <= last; index++) {
      const buffer = frames.buffer(index);
      const start = frames.start(index);
      const end = frames.end(index);
      // A long value is the record's own, which nobody changes; the others are written again.
      const isLasting = end - start >= LASTING_BYTES_MIN;
      if (isLasting) transport.writeLasting(peer, buffer, start, end, index < last);
      else transport.write(peer, buffer, start, end, index < last);
    }
  }

  flush(): void {
    this.#transport?.flush();
  }

  /** Ends a connection. */
  close(peer: PeerId): void {
    this.#transport?.disconnect(peer);
  }

  /** Ends the connections of the clients of whom `is` is true. */
  disconnect(is: (info: PeerInfo) => boolean): void {
    for (const [peer, info] of this.#peers) if (is(info)) this.close(peer);
  }

  /** For new connections. */
  setLimits(limits: RouterLimits): void {
    this.#transport?.setLimits(limitsOf(limits));
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
    this.#peers.set(peer, info);
    this.#inputs.clientConnected(peer, info);
  }

  message(peer: PeerId, frames: Frames): void {
    this.#inputs.clientMessage(peer, frames);
  }

  oversized(peer: PeerId): void {
    const info = this.#peers.get(peer);
    if (info !== undefined) this.#inputs.clientOversized(peer, info);
  }

  full(peer: PeerId): void {
    this.#inputs.clientFull(peer);
  }

  drained(peer: PeerId): void {
    this.#inputs.clientDrained(peer);
  }

  disconnected(peer: PeerId): void {
    this.#peers.delete(peer);
    this.#inputs.clientGone(peer);
  }

  rejected(_listener: number, kind: string, reason: string, from: Rejected): void {
    this.#inputs.clientRejected(kind, reason, from);
  }
}

function limitsOf(limits: RouterLimits): RouterLimits {
  return {
    ...limits,
    messageBytesMax: MESSAGE_BYTES_MAX,
    framesMax: FRAMES_MAX,
    outputBytesMax: Math.min(OUTPUT_BYTES_MAX, limits.outputBytesMax),
    receiveBytesMax: RECEIVE_BYTES_MAX,
  };
}
