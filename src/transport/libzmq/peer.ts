import type { Holder } from '../../core/holdings.js';
import type { PeerId, PeerInfo } from '../port.js';
import { Outbox } from '../outbox.js';
import type { MarkedRouter } from './sockets.js';

/** One ROUTER socket, which is one listener, and its peers by routing id. */
export interface Listening {
  readonly socket: MarkedRouter;
  readonly index: number;
  readonly known: Map<string, RouterPeer>;
}

/** Called when the outcome of a message given to libzmq is known. */
export interface SendOutcome {
  sent(peer: RouterPeer): void;
  failed(peer: RouterPeer, error: unknown): void;
}

/** One peer of a ROUTER, and the output that libzmq has not taken yet. */
export class RouterPeer {
  readonly id: PeerId;
  readonly info: PeerInfo;
  readonly outbox: Outbox;
  readonly listening: Listening;
  readonly holder: Holder;
  #countedBytes = 0;
  /** The listener's key for it. */
  readonly key: string;
  /** Written to since the last flush. */
  dirty = false;
  /** libzmq was given a message and has not reported the outcome yet. */
  sending = false;
  /** libzmq's own queue for this peer is full: the timer tries again. */
  blocked = false;
  gone = false;
  /** `full` was reported, `drained` not yet. */
  isFullReported = false;
  // Made once, so that sending allocates no closure per message.
  readonly #sent: () => void;
  readonly #failed: (error: unknown) => void;

  constructor(
    id: PeerId,
    info: PeerInfo,
    key: string,
    listening: Listening,
    outputBytesMax: number,
    holder: Holder,
    outcome: SendOutcome,
  ) {
    this.holder = holder;
    this.id = id;
    this.info = info;
    this.key = key;
    this.listening = listening;
    this.outbox = new Outbox([info.routingId], outputBytesMax);
    this.#sent = () => {
      outcome.sent(this);
    };
    this.#failed = (error) => {
      outcome.failed(this, error);
    };
  }

  /** Its output has changed. */
  countOutput(): void {
    const change = this.outbox.bytes - this.#countedBytes;
    this.#countedBytes += change;
    if (change !== 0) this.holder.add('output', change);
  }

  /** Gives libzmq one whole message; with `sendTimeout: 0` it takes all of it or nothing. */
  send(message: Buffer[]): void {
    this.sending = true;
    this.listening.socket.send(message).then(this.#sent, this.#failed);
  }
}
