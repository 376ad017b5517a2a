/**
 * The connection of a pair: the backup dials what the primary listens on (peer-dialler.ts,
 * peer-listener.ts). One connection counts at a time (D20).
 */
import type { Rejected, RouterLimits, RouterOptions } from '../../transport/port.js';
import type { Hello, PeerMessage, PeerVersion } from '../../wire/peer.js';
import type { Objection } from '../ports.js';
import type { Introduction } from './handshake.js';

/**
 * Connections to the peer's endpoint at once: one is of use. There is always room for one more: of
 * those that shake hands, and of those that have, an old one goes.
 */
const CONNECTIONS_MAX = 64;
export const HANDSHAKES: NonNullable<RouterOptions['handshakes']> = { max: 32, perAddressMax: 28 };
export const TALKS_MAX = 8;
/** A batch, or a chunk of records, without the last request and reply in it. */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;
/**
 * Of a request, and of a reply: what `limits.messageBytes` can be at most. What is stored has to reach
 * the other disk, whatever the limit is now, or is at the other node.
 */
const STORED_BYTES_MAX = 1024 * 1024 * 1024;
const MESSAGE_BYTES_MAX = BATCH_BYTES_MAX + 2 * STORED_BYTES_MAX;
/** Who has not proved that he is the peer says nothing long. */
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
   * The peer is there, and has proved it.
   * @param its what it said of itself
   * @param version what both speak on this connection
   */
  connected(its: Pick<Hello, 'node' | 'publicUrl'>, version: PeerVersion): void;
  /** Why a message of the peer ends the link, or `null`. */
  objectionTo(message: PeerMessage): Objection | null;
  message(message: PeerMessage): void;
  /** Bytes of a message of the peer came whose end is still out. */
  receiving(): void;
  disconnected(): void;
  /**
   * Somebody came, or was found, who is not the peer of this node.
   * @param from the name of that node, or where it was found
   * @param came whose connection it was, its key by its name; `null`: this node has dialled
   */
  refused(objection: Objection, from: string, came: Rejected | null): void;
  /** A connection to this node was ended before anybody was heard over it: see `TransportEvents`. */
  rejected(kind: string, reason: string, from: Rejected): void;
  /** The peer wants nothing to do with this node. */
  refusedByPeer(reason: string): void;
}

export interface PeerLink {
  /** To the peer that is connected; else it goes nowhere. */
  send(message: PeerMessage): void;
  /** Hands over what was sent, once per turn. */
  flush(): void;
  /** Ends the connection; `disconnected` is not told. */
  disconnect(): void;
  /** No connection for so long. */
  holdOff(ms: number): void;
  /** A key may not be the peer's any more: who came in by it is sent away. */
  revoke(key: string): void;
  close(): Promise<void>;
}

export interface PeerLinkOptions {
  /** As the store is now: asked for each connection. */
  readonly introduction: () => Introduction;
  /** New at each start of the process, above all before (D18). */
  readonly incarnation: number;
  readonly heartbeatIntervalMs: number;
  readonly events: PeerLinkEvents;
}
