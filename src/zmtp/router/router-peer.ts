/** A connection of the ROUTER, from its greeting to the end of its socket. */
import type { RejectionKind } from '../../core/event-fields.js';
import { ChainLink } from '../../core/chain.js';
import type { Words } from '../../core/bytes.js';
import { monotonicMs } from '../../core/clock.js';
import type { Frames } from '../../core/frames.js';
import { STALLED_MS } from '../../core/holdings.js';
import type { Metadata, SocketType } from '../connection/commands.js';
import { Connection, type ConnectionEvents, type FaultKind } from '../connection/connection.js';
import type { ByteSource } from '../sockets/byte-source.js';
import { type ShellEvents, SocketShell, type Turns } from '../sockets/socket-shell.js';
import type { Mechanism } from '../connection/mechanism.js';
import { keyShown } from '../identity.js';
import type { Closing, RouterLimits, TransportEvents } from '../port.js';
import type { Account, Counted } from './accounts.js';
import type { Handshakes, Shaking } from './handshakes.js';
import type { Takeover } from './takeover.js';

/** A worker may have so much output, whatever else there is. */
const OUTPUT_BYTES_FREE = 64 * 1024;
const HANDSHAKE_CUT =
  'the peer disconnected in the middle of its handshake, as a health check does that only connects';
/** The topic of all messages. */
const EVERYTHING: Buffer = Buffer.alloc(0);

/** What a connection needs from its router. */
export interface PeerOwner {
  readonly events: TransportEvents;
  readonly frames: Frames;
  readonly limits: RouterLimits;
  readonly turns: Turns;
  readonly handshakes: Handshakes<RouterPeer>;
  /** @returns why it cannot be a peer, or `null` */
  register(peer: RouterPeer, metadata: Metadata): ConnectionRefusal | null;
  /** The socket is gone. */
  unregister(peer: RouterPeer): void;
  /** What the connection holds may have changed. */
  count(peer: RouterPeer, incomingBytes: number, outgoingBytes: number): void;
}

/** Why this side ended a connection. */
type RefusalKind =
  | FaultKind
  | 'identity'
  | 'accept'
  | 'connections'
  | 'handshakes'
  | 'memory'
  | 'incomplete'
  | 'output';

export interface ConnectionRefusal {
  readonly kind: RefusalKind;
  readonly reason: string;
}

/** Where a connection came from, and to which listener. */
interface Arrival {
  readonly listener: number;
  readonly address: string;
  /** The account of its address. */
  readonly account: Account<RouterPeer>;
  /** The type of the socket to which it came. */
  readonly socketType: SocketType;
}

/** A claim of a connection to the routing id of another one. */
export interface Claim {
  readonly peer: RouterPeer;
  readonly metadata: Metadata;
  /** The routing id, and whose. */
  readonly name: string;
  readonly owner: RouterPeer;
  readonly takeover: Takeover<Claim>;
}

/** A connection of the ROUTER, and what it holds. */
export class RouterPeer
  implements ConnectionEvents, ShellEvents, Shaking<RouterPeer>, Counted<RouterPeer>
{
  id = -1;
  name: string | null = null;
  /** The claims of others to its routing id; `null`: there was none. */
  takeover: Takeover<Claim> | null = null;
  /** The claim to another one's routing id, while this connection waits for it. */
  claim: Claim | null = null;
  isDirty = false;
  isFull = false;
  isWorker = false;
  /** `takesRequest` was false: the end of its output is to be reported. */
  #isAwaited = false;
  /** When the peer last read some of its waiting output, or that began to wait. */
  #readAt = 0;
  /** Ended by this side; later output is dropped. */
  isGone = false;
  readonly listener: number;
  /** The name of its key, once it has authenticated. */
  key: string | null = null;
  readonly acceptedAt: number = monotonicMs();
  readonly age: ChainLink<RouterPeer> = new ChainLink<RouterPeer>(this);
  readonly stage: ChainLink<RouterPeer> = new ChainLink<RouterPeer>(this);
  /** See `PeerInfo.address`. */
  readonly address: string;
  /** The identity of its address. */
  readonly addressIdentity: string;
  /** The account on which it counts: that of its address, or of its key once it has authenticated. */
  account: Account<RouterPeer>;
  incomingBytes = 0;
  outgoingBytes = 0;
  readonly shell: SocketShell;
  readonly #router: PeerOwner;
  readonly #mechanism: Mechanism;
  readonly #socketType: SocketType;
  #asked = false;
  #isMidMessage = false;
  #isDropping = false;

  constructor(router: PeerOwner, source: ByteSource, arrival: Arrival, mechanism: Mechanism) {
    this.#router = router;
    this.#mechanism = mechanism;
    this.#socketType = arrival.socketType;
    this.listener = arrival.listener;
    this.address = arrival.address;
    this.addressIdentity = arrival.account.identity;
    this.account = arrival.account;
    this.account.peers.add(this);
    const { messageBytesMax, framesMax } = router.limits;
    const connection = new Connection(
      {
        mechanism,
        waitsForGreeting: true,
        waitsForGrant: true,
        messageBytesMax,
        framesMax,
        skipsOversized: router.events.oversized !== undefined,
        takesSubscriptions: arrival.socketType === 'PUB',
      },
      this,
      router.frames,
      this.acceptedAt,
    );
    this.shell = new SocketShell(source, connection, this, router.turns);
    this.shell.flush();
  }

  get identity(): string {
    return this.account.identity;
  }

  /** Moves what it holds to another account. */
  moveTo(account: Account<RouterPeer>): void {
    const { incomingBytes, outgoingBytes } = this;
    this.#router.count(this, 0, 0);
    this.account.peers.delete(this);
    this.account = account;
    account.peers.add(this);
    this.#router.count(this, incomingBytes, outgoingBytes);
  }

  // ---------------------------------------------------------------- handshake events

  showGreeting(): void {
    this.shell.connection.showGreeting();
    this.shell.flush();
  }

  grant(): void {
    this.shell.grant();
  }

  timeOut(): void {
    this.failed('handshake', 'the handshake took too long');
  }

  evict(): void {
    this.refuse({
      kind: 'handshakes',
      reason: 'too many handshakes at the same time: the oldest was closed',
    });
  }

  // ---------------------------------------------------------------- calls from the router

  /** Ends it at once. */
  refuse({ kind, reason }: ConnectionRefusal): void {
    if (this.isGone) return;
    this.#reject(kind, reason);
    this.abandon();
  }

  /**
   * Whether the next frame is to be written. Output for a peer that is full or gone is dropped; but
   * a message is written whole or not at all.
   */
  takes(more: boolean): boolean {
    if (!this.#isMidMessage) this.#isDropping = this.isFull || this.isGone;
    this.#isMidMessage = more;
    return !this.#isDropping && !this.isGone;
  }

  /** A whole message can be written now. */
  get isOpen(): boolean {
    return !this.isFull && !this.isGone && !this.#isMidMessage;
  }

  /** See `Transport.takesRequest`. */
  takesRequest(bytes: number): boolean {
    if (!this.isWorker) this.#becomeWorker();
    const waiting = this.shell.waitingBytes;
    if (waiting === 0 || waiting + bytes <= OUTPUT_BYTES_FREE) return true;
    // What this turn has written counts already.
    this.#router.count(this, this.incomingBytes, this.shell.roomBytes);
    const hasRoom =
      waiting + bytes <= this.#router.limits.outputBytesMax &&
      this.account.memory.mayDispatch(bytes);
    if (!hasRoom) this.#isAwaited = true;
    return hasRoom;
  }

  #becomeWorker(): void {
    const { incomingBytes, outgoingBytes } = this;
    this.#router.count(this, incomingBytes, 0);
    this.isWorker = true;
    this.#router.count(this, incomingBytes, outgoingBytes);
  }

  /** What closing it would release; 0 if it is none of those that are to be closed. */
  closableBytes(which: Closing['which'], now: number): number {
    const { incomingBytes, outgoingBytes } = this;
    if (this.isGone) return 0;
    if (which === 'incomplete') {
      const { isInterrupted, isHeld } = this.shell.connection;
      return isInterrupted || isHeld ? incomingBytes : 0;
    }
    if (this.isWorker !== (which === 'workers')) return 0;
    if (which !== 'stalled') return incomingBytes + outgoingBytes;
    const isHeard = this.shell.isHeldBack || now - this.shell.lastHeardAt < STALLED_MS;
    return (isHeard ? 0 : incomingBytes) + (now - this.#readAt < STALLED_MS ? 0 : outgoingBytes);
  }

  /** The broker has closed this peer. */
  abandon(): void {
    this.isGone = true;
    this.#router.handshakes.remove(this);
    this.#router.count(this, 0, 0);
    this.shell.destroy();
  }

  /** Another connection takes its place: its end is reported at once. */
  replace(): void {
    this.id = -1;
    this.name = null;
    this.abandon();
  }

  /** The output was flushed: counts what is left of it. */
  flushed(): void {
    const roomBytes = this.shell.roomBytes;
    if (this.outgoingBytes === 0 && roomBytes > 0) this.#readAt = monotonicMs();
    this.#router.count(this, this.incomingBytes, roomBytes);
    if (this.isFull || this.isGone) return;
    const { outputBytesMax, sparesReaders = false } = this.#router.limits;
    if (this.shell.waitingBytes <= outputBytesMax) return;
    if (sparesReaders && !this.isWorker && monotonicMs() - this.#readAt < STALLED_MS) return;
    this.isFull = true;
    this.#router.events.outputFull(this.id);
  }

  /** The key that it presented, in hexadecimal. */
  get publicKey(): string | null {
    return this.#mechanism.peerKey?.toString('hex') ?? null;
  }

  // ---------------------------------------------------------------- connection events

  ready(metadata: Metadata, key: string | null): void {
    this.key = key;
    this.#router.handshakes.remove(this);
    const refusal = this.#router.register(this, metadata);
    if (refusal !== null) this.failed(refusal.kind, refusal.reason);
    else if (this.#socketType === 'SUB') this.shell.connection.subscribe(EVERYTHING, true);
  }

  packed(words: Words, from: number, end: number): number {
    return this.#router.events.packed?.(this.id, words, from, end) ?? 0;
  }

  message(frames: Frames): void {
    this.#router.events.message(this.id, frames);
  }

  oversized(head: Frames, reason: string): void {
    this.#router.events.oversized?.(this.id, head, reason);
  }

  subscription(topic: Buffer, isOn: boolean): void {
    this.#router.events.subscription?.(this.id, topic, isOn);
  }

  received(): void {
    const { connection } = this.shell;
    if (!this.isGone) this.takeover?.heard();
    // Answers to the handshake or to a PING are sent now; messages are sent at the end of the turn.
    if (!this.isDirty && connection.output.bytes > 0) this.shell.flush();
    if (connection.awaitsGrant && !this.#asked) {
      this.#asked = true;
      this.#router.handshakes.asks(this);
    }
    if (this.isGone) return;
    const { carriedBytes } = connection;
    if (carriedBytes !== this.incomingBytes) {
      this.#router.count(this, carriedBytes, this.outgoingBytes);
    }
    if (this.id < 0 || !connection.isInterrupted) return;
    if (connection.hasRest) this.#router.events.waiting?.(this.id);
    this.#router.events.receiving?.(this.id, carriedBytes);
  }

  failed(kind: RefusalKind, reason: string): void {
    if (this.isGone) return;
    this.#router.handshakes.remove(this);
    this.#router.count(this, 0, this.outgoingBytes);
    this.#reject(kind, reason);
    this.isGone = true;
    // There is nobody to tell.
    if (kind === 'silent') this.shell.destroy();
    else this.shell.end();
  }

  #reject(kind: RejectionKind, reason: string): void {
    const { peerKey } = this.#mechanism;
    const key = this.key ?? (peerKey === null ? null : keyShown(peerKey));
    this.#router.events.rejected(this.listener, kind, reason, { address: this.address, key });
  }

  // ---------------------------------------------------------------- socket events

  written(): void {
    if (this.outgoingBytes > 0) this.#readAt = monotonicMs();
    this.#router.count(this, this.incomingBytes, this.shell.roomBytes);
    if (this.isGone || this.shell.waitingBytes > 0 || !(this.isFull || this.#isAwaited)) return;
    this.isFull = false;
    this.#isAwaited = false;
    this.#router.events.drained(this.id);
  }

  closed(isCut: boolean): void {
    if (isCut && !this.isGone) {
      // Lines of a kind are limited: those of health checks must not keep back others.
      if (this.id >= 0) this.#reject('cut', 'the peer disconnected in the middle of a message');
      else this.#reject('handshake_cut', HANDSHAKE_CUT);
    }
    this.isGone = true;
    this.#router.count(this, 0, 0);
    this.account.peers.delete(this);
    this.#router.unregister(this);
  }
}
