import { MessageWriter } from '../../wire/outbound.js';
import type { Transport } from '../../zmtp/port.js';
import type { OutputRoom } from '../options.js';
import type { BrokerSink } from '../sink.js';

/** Carries out the broker's effects by writing directly into the peers' output, and knows its room. */
export class TransportSink implements BrokerSink, OutputRoom {
  readonly messages: MessageWriter = new MessageWriter();
  #transport: Transport | null = null;
  #voted: () => void = () => undefined;

  readonly max: () => number;

  /** @param max of the output of a peer now, in bytes */
  constructor(max: () => number = () => Infinity) {
    this.max = max;
  }

  /** Before this call, effects are discarded. */
  attach(transport: Transport): void {
    this.#transport = transport;
    this.messages.attach(transport);
  }

  /** @param voted called when a client's request asks this node to serve */
  onVote(voted: () => void): void {
    this.#voted = voted;
  }

  left(peer: number): number {
    return this.max() - (this.#transport?.waitingBytes(peer) ?? 0);
  }

  takesRequest(peer: number, bytes: number): boolean {
    return this.#transport?.takesRequest(peer, bytes) ?? true;
  }

  close(peer: number): void {
    this.#transport?.disconnect(peer);
  }

  vote(): void {
    this.#voted();
  }
}
