import { monotonicMs } from '../../core/clock.js';
import { type MemoryAccount, STALLED_MS } from '../../core/holdings.js';
import type { Closing, PeerId, PeerInfo } from '../../zmtp/port.js';
import { Outbox } from '../../zmtp/outbox.js';
import type { MarkedRouter } from '../../zmtp/libzmq/sockets.js';

/** A ROUTER socket, which is one listener, and its peers by routing id. */
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

/** A peer of a ROUTER, and the output that libzmq has not taken yet. */
export class RouterPeer {
  readonly id: PeerId;
  readonly info: PeerInfo;
  readonly outbox: Outbox;
  readonly listening: Listening;
  readonly memory: MemoryAccount;
  #countedBytes = 0;
  /** Whether the output is requests: see `Transport.takesRequest`. */
  #isWorker = false;
  /** When the peer last took some of its waiting output, or that began to wait. */
  #readAt = 0;
  /** The listener's key for it. */
  readonly key: string;
  /** Written to since the last flush. */
  dirty = false;
  /** libzmq was given a message and has not reported the outcome yet. */
  sending = false;
  /** libzmq's own queue for this peer is full: the timer tries again. */
  blocked = false;
  gone = false;
  /** `takesRequest` was false, and `drained` was not reported yet. */
  isAwaited = false;
  /** `outputFull` was reported, `drained` not yet. */
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
    memory: MemoryAccount,
    outcome: SendOutcome,
  ) {
    this.memory = memory;
    this.id = id;
    this.info = info;
    this.key = key;
    this.listening = listening;
    this.outbox = new Outbox([info.routingId], outputBytesMax);
    this.#sent = () => outcome.sent(this);
    this.#failed = (error) => outcome.failed(this, error);
  }

  /** Counts the output, which has changed. */
  countOutput(): void {
    this.#count(this.outbox.bytes);
  }

  #count(bytes: number): void {
    const change = bytes - this.#countedBytes;
    if (change === 0) return;
    if (change < 0 || this.#countedBytes === 0) this.#readAt = monotonicMs();
    this.#countedBytes = bytes;
    this.memory.add(this.#isWorker ? 'dispatched' : 'output', change);
  }

  /** See `Transport.takesRequest`. */
  takesRequest(bytes: number): boolean {
    if (!this.#isWorker) {
      this.#count(0);
      this.#isWorker = true;
      this.countOutput();
    }
    const { outbox } = this;
    if (outbox.empty && !outbox.full) return true;
    if (outbox.hasRoom(bytes) && this.memory.mayDispatch(bytes)) return true;
    this.isAwaited = true;
    return false;
  }

  /** What forgetting it would release; 0 if it is none of those that are to be closed. */
  closableBytes(which: Closing['which'], now: number): number {
    if (which === 'incomplete' || this.#isWorker !== (which === 'workers')) return 0;
    return which === 'stalled' && now - this.#readAt < STALLED_MS ? 0 : this.outbox.bytes;
  }

  /** Gives libzmq one whole message; with `sendTimeout: 0` it takes all of it or nothing. */
  send(message: Buffer[]): void {
    this.sending = true;
    this.listening.socket.send(message).then(this.#sent, this.#failed);
  }
}
