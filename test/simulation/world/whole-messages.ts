/** Assembles what a simulated broker sends into whole messages, like a transport. */
import type { BrokerSink } from '../../../src/broker/sink.js';
import { Words } from '../../../src/core/bytes.js';
import { Frames } from '../../../src/core/frames.js';
import { type Room, unpack } from '../../../src/core/packed.js';
import type { Output } from '../../../src/zmtp/port.js';
import { MessageWriter } from '../../../src/wire/outbound.js';
import type { Delivered } from '../model/intent.js';

/** Where the messages go. */
export interface Outlet {
  /** Called before every effect that has consequences; the process may end in it. */
  effect(): void;
  sent(peer: number, frames: Delivered, bytes: number): void;
  closed(peer: number): void;
  /** A worker is sent this request: the first frame of its body. */
  delivered?(key: string, peer: number, token: string): void;
}

export class WholeMessages implements Output {
  readonly #outlet: Outlet;
  readonly #message = new Frames();
  #rooms = 0;
  #reserved: { readonly peer: number; readonly words: Words } | null = null;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /** Each kind of message is its own function, so that a test can replace one. */
  get sink(): BrokerSink {
    const outlet = this.#outlet;
    const to = new MessageWriter(this);
    return {
      messages: {
        request: (...message) => {
          outlet.effect();
          to.request(...message);
          this.#read();
          if (outlet.delivered === undefined) return;
          const [peer, , token, body, start, end] = message;
          const frames = new Frames();
          unpack(body.bytes, start, end, frames);
          const key = frames.view(0).toString('latin1');
          outlet.delivered(key, peer, token.bytes.toString('latin1'));
        },
        requestWithHeaders: (...message) => {
          outlet.effect();
          to.requestWithHeaders(...message);
          this.#read();
        },
        requestWithGroup: (...message) => {
          outlet.effect();
          to.requestWithGroup(...message);
          this.#read();
        },
        askRuns: (...message) => to.askRuns(...message),
        cancel: (...message) => {
          outlet.effect();
          to.cancel(...message);
        },
        heartbeat: (...message) => to.heartbeat(...message),
        disconnect: (...message) => {
          outlet.effect();
          to.disconnect(...message);
        },
        reply: (...message) => {
          outlet.effect();
          const sent = to.reply(...message);
          this.#read();
          return sent;
        },
        whole: (...message) => {
          outlet.effect();
          to.whole(...message);
          this.#read();
        },
      },
      close: (peer) => outlet.closed(peer),
      // Only a node of a pair is ever voting.
      vote: () => {
        throw new Error('a vote for a node without a peer');
      },
    };
  }

  /** Every other message is written whole, like by our own engine. */
  room(peer: number, bytes: number): Room | null {
    this.#read();
    this.#rooms++;
    if (this.#rooms % 2 === 0) return null;
    const words = new Words(Buffer.alloc(bytes));
    this.#reserved = { peer, words };
    return { words, at: 0 };
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

  #read(): void {
    const reserved = this.#reserved;
    if (reserved === null) return;
    this.#reserved = null;
    const { bytes } = reserved.words;
    this.writePacked(reserved.peer, bytes, 0, bytes.length, false);
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
