/**
 * Port P of the map: a ROUTER whose clients ask for snapshots. A snapshot is written piece by piece, as
 * its client reads: more than `OUTPUT_BYTES_MAX` never waits for one of them.
 */
import type { RejectionKind } from '../../../core/event-fields.js';
import type { Frames } from '../../../core/frames.js';
import type { Holdings } from '../../../core/holdings.js';
import { pack, packedBytes } from '../../../core/packed.js';
import type { ListenerCurve } from '../../../zmtp/listener-curve.js';
import type {
  PeerInfo,
  Rejected,
  RouterLimits,
  RouterOptions,
  Transport,
} from '../../../zmtp/port.js';
import {
  type ListeningEvents,
  ListeningSocket,
  QUESTION_LIMITS,
} from '../../../zmtp/router/listening-socket.js';
import type { MapPeer, PeerId } from '../machine/sink.js';

/** What waits for one client. More would be a second copy of the map for each of them. */
const OUTPUT_BYTES_MAX = 256 * 1024;
/** Values of this size or more are not copied for each client. */
const LASTING_BYTES_MIN = 64 * 1024;

/** What arrives at port P. */
export interface SnapshotInputs {
  clientConnected(peer: PeerId, info: MapPeer): void;
  /** The frames are valid during the call. */
  clientMessage(peer: PeerId, frames: Frames): void;
  clientOversized(info: MapPeer, reason: string): void;
  clientFull(peer: PeerId): void;
  clientDrained(peer: PeerId): void;
  clientGone(peer: PeerId): void;
  /** See `TransportEvents.rejected`. */
  clientRejected(kind: RejectionKind, reason: string, from: Rejected): void;
}

/** What a port of the map is opened with. */
export interface MapSocketOptions<Inputs> {
  /** Where to listen. */
  readonly endpoint: string;
  readonly curve?: ListenerCurve;
  /** Limits of the broker's listeners; this port has smaller ones of its own where it needs less. */
  readonly limits: RouterLimits;
  /** Where to count what peers make it hold. */
  readonly holdings: Holdings;
  readonly names?: RouterOptions['names'];
  readonly inputs: Inputs;
}

/** A socket that listens, and its endpoint with the real port. */
export interface OpenedMapSocket<Socket> {
  readonly socket: Socket;
  readonly endpoint: string;
}

export class SnapshotSocket implements ListeningEvents {
  readonly listener = new ListeningSocket('ROUTER', limitsOf, this);
  readonly #inputs: SnapshotInputs;

  /** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
  static async open({
    endpoint,
    inputs,
    ...options
  }: MapSocketOptions<SnapshotInputs>): Promise<OpenedMapSocket<SnapshotSocket>> {
    const socket = new SnapshotSocket(inputs);
    const [opened = endpoint] = await socket.listener.listen({ ...options, endpoints: [endpoint] });
    return { socket, endpoint: opened };
  }

  private constructor(inputs: SnapshotInputs) {
    this.#inputs = inputs;
  }

  /** Writes a message for this client; `flush` sends it. */
  send(peer: PeerId, frames: Frames): void {
    const { transport } = this.listener;
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
    this.listener.transport?.flush();
  }

  // ---------------------------------------------------------------- what arrives

  connected(peer: PeerId, info: PeerInfo): void {
    this.#inputs.clientConnected(peer, info);
  }

  message(peer: PeerId, frames: Frames): void {
    this.#inputs.clientMessage(peer, frames);
  }

  oversized(_peer: PeerId, info: PeerInfo, reason: string): void {
    this.#inputs.clientOversized(info, reason);
  }

  outputFull(peer: PeerId): void {
    this.#inputs.clientFull(peer);
  }

  drained(peer: PeerId): void {
    this.#inputs.clientDrained(peer);
  }

  disconnected(peer: PeerId): void {
    this.#inputs.clientGone(peer);
  }

  rejected(kind: RejectionKind, reason: string, from: Rejected): void {
    this.#inputs.clientRejected(kind, reason, from);
  }
}

function limitsOf(limits: RouterLimits): RouterLimits {
  return {
    ...limits,
    ...QUESTION_LIMITS,
    outputBytesMax: Math.min(OUTPUT_BYTES_MAX, limits.outputBytesMax),
  };
}
