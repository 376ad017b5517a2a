/**
 * The connection of a pair: the backup dials the address on which the primary listens
 * (peer-dialler.ts, peer-listener.ts). One connection counts at a time (D20).
 */
import type { RejectionKind } from '../../core/event-fields.js';
import type { Rejected, RouterLimits, RouterOptions } from '../../zmtp/port.js';
import type { PairHello, PeerMessage } from '../../wire/pair.js';
import type { Objection, SignOfLife } from '../ports.js';
import type { Introduction } from './handshake.js';

/**
 * Maximum number of connections to the peer's endpoint; only one is useful. There is always room
 * for one more: an old one is closed, of those in the handshake and of those past it.
 */
const CONNECTIONS_MAX = 64;
export const HANDSHAKES: NonNullable<RouterOptions['handshakes']> = { max: 32, perAddressMax: 28 };
export const TALKS_MAX = 8;
/** Size of a batch, or of a chunk of records, without its last request and reply. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;
/**
 * Maximum size of a request and of a reply: the most that `limits.messageBytes` can be. Whatever is
 * stored must reach the other disk, whatever the limit is now, here or at the other node.
 */
const STORED_BYTES_MAX = 1024 * 1024 * 1024;
const MESSAGE_BYTES_MAX = BATCH_BYTES_MAX + 2 * STORED_BYTES_MAX;
/** A node that has not proved to be the peer needs no long messages. */
export const STRANGER_BYTES_MAX: number = 256 * 1024;

export const LIMITS: RouterLimits = {
  messageBytesMax: MESSAGE_BYTES_MAX,
  framesMax: 2,
  outputBytesMax: 2 * MESSAGE_BYTES_MAX,
  connectionsMax: CONNECTIONS_MAX,
  connectionsPerIdentityMax: CONNECTIONS_MAX,
  receiveBytesMax: MESSAGE_BYTES_MAX + CONNECTIONS_MAX * STRANGER_BYTES_MAX,
};

export interface PeerLinkEvents {
  /**
   * The peer is connected, and has proved its identity.
   * @param its what it said about itself
   * @param version the version that both use on this connection
   */
  connected(its: Pick<PairHello, 'node' | 'publicUrl'>, version: number): void;
  /** Why a message of the peer ends the link, or `null`. */
  objectionTo(message: PeerMessage): Objection | null;
  message(message: PeerMessage): void;
  /** Part of a message of the peer arrived whose end is still missing. */
  receiving(): void;
  disconnected(): void;
  /**
   * A node connected, or was found, that is not the peer of this node.
   * @param from the name of that node, or where it was found
   * @param came who opened the connection, its key by its name; `null`: this node dialled
   */
  refused(objection: Objection, from: string, came: Rejected | null): void;
  /** A connection to this node was ended before any message came over it: see `TransportEvents`. */
  rejected(kind: RejectionKind, reason: string, from: Rejected): void;
  /** The peer rejects this node. */
  refusedByPeer(reason: string): void;
  /** The peer is alive: told after `refused` and `refusedByPeer`, and when it refuses the key of this node. */
  refusedAlive(sign: SignOfLife): void;
}

export interface PeerLink {
  /** Sends to the connected peer; without one, the message is dropped. */
  send(message: PeerMessage): void;
  /** Flushes what was sent, once per turn. */
  flush(): void;
  /** Ends the connection; `disconnected` is not called. */
  disconnect(): void;
  /** Makes no connection for this long. */
  holdOff(ms: number): void;
  /** A key may no longer be the peer's: connections that use it are closed. */
  revoke(key: string): void;
  close(): Promise<void>;
}

export interface PeerLinkOptions {
  /** The current state of the store, asked for at each connection. */
  readonly introduction: () => Introduction;
  /** New at each start of the process, and above all earlier ones (D18). */
  readonly incarnation: number;
  readonly heartbeatIntervalMs: number;
  /** The highest version of the peer protocol that this node knows. */
  readonly version: number;
  readonly events: PeerLinkEvents;
}
