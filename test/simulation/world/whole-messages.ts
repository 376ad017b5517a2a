/** Assembles what a simulated broker sends into whole messages, like a transport. */
import type { BrokerSink } from '../../../src/broker/sink.js';
import { Frames } from '../../../src/core/frames.js';
import { unpack } from '../../../src/core/packed.js';
import type { Output } from '../../../src/transport/port.js';
import {
  writeClientReply,
  writeWorkerDisconnect,
  writeWorkerHeartbeat,
  writeWorkerRequest,
} from '../../../src/wire/outbound.js';
import type { Delivered } from '../model/intent.js';

/** Where the messages go. */
export interface Outlet {
  /** Called before every effect that has consequences; the process may end in it. */
  effect(): void;
  sent(peer: number, frames: Delivered, bytes: number): void;
  closed(peer: number): void;
}

export class WholeMessages implements Output {
  readonly #outlet: Outlet;
  readonly #message = new Frames();

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** Each effect is its own function, so that a test can replace one. */
  get sink(): BrokerSink {
    const outlet = this.#outlet;
    return {
      request: (...effect) => {
        outlet.effect();
        writeWorkerRequest(this, ...effect);
      },
      heartbeat: (...effect) => {
        writeWorkerHeartbeat(this, ...effect);
      },
      disconnect: (...effect) => {
        outlet.effect();
        writeWorkerDisconnect(this, ...effect);
      },
      reply: (...effect) => {
        outlet.effect();
        writeClientReply(this, ...effect);
      },
      close: (peer) => {
        outlet.closed(peer);
      },
      // Only a node of a pair is ever voting.
      vote: () => {
        throw new Error('a vote for a node without a peer');
      },
    };
  }

  write(peer: number, bytes: Uint8Array, start: number, end: number, more: boolean): void {
    const copy = Buffer.from(bytes.subarray(start, end));
    this.#message.push(copy, 0, copy.length);
    if (!more) this.#complete(peer);
  }

  writePacked(peer: number, packed: Buffer, start: number, end: number, more: boolean): void {
    unpack(packed, start, end, this.#message);
    if (!more) this.#complete(peer);
  }

  writeLasting(peer: number, bytes: Buffer, start: number, end: number, more: boolean): void {
    this.write(peer, bytes, start, end, more);
  }

  /** Discards a message that was begun: its process has ended. */
  clear(): void {
    this.#message.clear();
  }

  #complete(peer: number): void {
    const frames = this.#message.copyFrom(0);
    this.#message.clear();
    const bytes = frames.reduce((sum, { length }) => sum + length, 0);
    this.#outlet.sent(peer, frames, bytes);
  }
}
