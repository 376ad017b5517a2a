/** One connection of the ROUTER, from its greeting to the end of its socket. */
import { ChainLink } from '../../core/chain.js';
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import type { Metadata } from '../../zmtp/commands.js';
import { Connection, type ConnectionEvents, type FailureKind } from '../../zmtp/connection.js';
import type { ByteSource } from '../../zmtp/io/byte-source.js';
import { type ShellEvents, SocketShell } from '../../zmtp/io/socket-shell.js';
import type { Mechanism } from '../../zmtp/mechanism.js';
import type { RouterLimits, TransportEvents } from '../port.js';

/** What a connection asks of its router. */
export interface PeerOwner {
  readonly events: TransportEvents;
  readonly frames: Frames;
  readonly limits: RouterLimits;
  /** The handshake is over, one way or the other. */
  settled(peer: RouterPeer): void;
  /** @returns false if another peer of that listener has the routing id */
  register(peer: RouterPeer, identity: Buffer): boolean;
  /** The socket is gone. */
  unregister(peer: RouterPeer): void;
  /** Bytes of incomplete messages changed. */
  carried(change: number): void;
}

/** One connection of the router. */
export class RouterPeer implements ConnectionEvents, ShellEvents {
  id = -1;
  name: string | null = null;
  isDirty = false;
  isFull = false;
  /** Ended by us; what is written to it is thrown away. */
  isGone = false;
  readonly listener: number;
  /** The name of its key, once it has authenticated itself. */
  key: string | null = null;
  readonly acceptedAt: number = monotonicMs();
  readonly handshake: ChainLink<RouterPeer> = new ChainLink<RouterPeer>(this);
  readonly shell: SocketShell;
  readonly #router: PeerOwner;
  /** As the router has counted them. */
  carriedBytes = 0;
  #isMidMessage = false;
  #isDropping = false;

  constructor(router: PeerOwner, source: ByteSource, listener: number, mechanism: Mechanism) {
    this.#router = router;
    this.listener = listener;
    const { messageBytesMax, framesMax } = router.limits;
    const options = { mechanism, waitsForGreeting: true, messageBytesMax, framesMax };
    const connection = new Connection(options, this, router.frames, this.acceptedAt);
    this.shell = new SocketShell(source, connection, this);
    this.shell.flush();
  }

  showGreeting(): void {
    this.shell.connection.showGreeting();
    this.shell.flush();
  }

  /**
   * Whether the next frame is to be written. Nothing is to a peer that is full or gone; but a
   * message is written whole or not at all.
   */
  takes(more: boolean): boolean {
    if (!this.#isMidMessage) this.#isDropping = this.isFull || this.isGone;
    this.#isMidMessage = more;
    return !this.#isDropping && !this.isGone;
  }

  /** The machine above is done with it. */
  abandon(): void {
    this.isGone = true;
    this.#countCarried(0);
    this.shell.destroy();
  }

  /** Another connection of the same key takes its place: it is told as gone at once. */
  replace(): void {
    this.id = -1;
    this.name = null;
    this.abandon();
  }

  tellIfFull(): void {
    if (this.isFull || this.isGone) return;
    if (this.shell.waitingBytes <= this.#router.limits.outputBytesMax) return;
    this.isFull = true;
    this.#router.events.full(this.id);
  }

  // ---------------------------------------------------------------- of the connection

  ready(metadata: Metadata, key: string | null): void {
    this.key = key;
    this.#router.settled(this);
    if (!this.#router.register(this, metadata.identity)) {
      this.failed('identity', 'another peer has this routing id');
    }
  }

  message(frames: Frames): void {
    this.#router.events.message(this.id, frames);
  }

  received(): void {
    const { connection } = this.shell;
    // What the handshake or a PING asked for goes out now; messages go out with the turn.
    if (!this.isDirty && connection.output.bytes > 0) this.shell.flush();
    const { carriedBytes } = connection;
    this.#countCarried(carriedBytes);
    if (this.id < 0 || this.isGone || !connection.isInterrupted) return;
    this.#router.events.receiving?.(this.id, carriedBytes);
  }

  #countCarried(bytes: number): void {
    const change = bytes - this.carriedBytes;
    if (change === 0) return;
    this.carriedBytes = bytes;
    this.#router.carried(change);
  }

  failed(kind: FailureKind | 'identity' | 'handshakes', reason: string): void {
    const { events } = this.#router;
    if (this.isGone) return;
    this.#router.settled(this);
    this.#countCarried(0);
    // A worker is still sent the DISCONNECT that a malformed message brings (docs/protocol.md).
    if (kind === 'too_large' && this.id >= 0) events.oversized(this.id);
    else events.rejected(this.listener, kind, reason);
    this.isGone = true;
    this.shell.end();
  }

  // ---------------------------------------------------------------- of the socket

  written(): void {
    if (!this.isFull || this.isGone || this.shell.waitingBytes > 0) return;
    this.isFull = false;
    this.#router.events.drained(this.id);
  }

  closed(isCut: boolean): void {
    const { events } = this.#router;
    if (isCut && !this.isGone) {
      events.rejected(this.listener, 'cut', 'the peer left in the middle of what it was saying');
    }
    this.isGone = true;
    this.#countCarried(0);
    this.#router.unregister(this);
  }
}
