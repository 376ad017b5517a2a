/**
 * Port P + 2 of the map: a SUB that listens. Its peers are writers, PUB sockets that connect; it subscribes to
 * everything, and takes each message as a KVSET.
 */
import type { RejectionKind } from '../../../core/event-fields.js';
import type { Frames } from '../../../core/frames.js';
import type { PeerInfo, Rejected, RouterLimits } from '../../../zmtp/port.js';
import { type ListeningEvents, ListeningSocket } from '../../../zmtp/router/listening-socket.js';
import type { MapPeer, PeerId } from '../machine/sink.js';
import type { MapSocketOptions, OpenedMapSocket } from './snapshot-socket.js';

/** What arrives at port P + 2. */
export interface WriterInputs {
  /** A message; its frames are valid during the call. */
  written(writer: MapPeer, frames: Frames): void;
  writerOversized(writer: MapPeer, reason: string): void;
  /** See `TransportEvents.rejected`. */
  writerRejected(kind: RejectionKind, reason: string, from: Rejected): void;
}

export class WriterSocket implements ListeningEvents {
  readonly listener = new ListeningSocket('SUB', (limits: RouterLimits) => limits, this);
  readonly #inputs: WriterInputs;

  /** @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT */
  static async open({
    endpoint,
    inputs,
    ...options
  }: MapSocketOptions<WriterInputs>): Promise<OpenedMapSocket<WriterSocket>> {
    const socket = new WriterSocket(inputs);
    const [opened = endpoint] = await socket.listener.listen({ ...options, endpoints: [endpoint] });
    return { socket, endpoint: opened };
  }

  private constructor(inputs: WriterInputs) {
    this.#inputs = inputs;
  }

  message(_peer: PeerId, frames: Frames, writer: PeerInfo): void {
    this.#inputs.written(writer, frames);
  }

  oversized(_peer: PeerId, writer: PeerInfo, reason: string): void {
    this.#inputs.writerOversized(writer, reason);
  }

  rejected(kind: RejectionKind, reason: string, from: Rejected): void {
    this.#inputs.writerRejected(kind, reason, from);
  }
}
