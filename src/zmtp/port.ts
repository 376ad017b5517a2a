/**
 * The transport port: the broker's view of the network. For a client's or worker's: link-port.ts.
 *
 * Its implementations: libzmq (through zeromq.js), this project's own ZMTP engine, peers within this process
 * (local.ts), and the simulator. Nothing here names sockets or promises of one of them.
 */
import type { RejectionKind } from '../core/event-fields.js';
import type { Words } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import type { Holdings } from '../core/holdings.js';
import type { Room } from '../core/packed.js';
import type { TransportLimits } from './link-port.js';
import type { ListenerCurve } from './listener-curve.js';
import type { HandshakeLimits } from './router/handshakes.js';
import type { Names } from './sockets/names.js';

/** A connected peer: a small integer, valid from `connected` to `disconnected`, then reused. */
export type PeerId = number;

/**
 * Assigns peer numbers. All transports of one broker share one instance, so that a number
 * identifies one peer, whichever transport it came in through.
 */
export class PeerNumbers {
  readonly #free: PeerId[] = [];
  #next: PeerId = 0;

  /** Returns the number released last, or the next unused one. */
  take(): PeerId {
    return this.#free.pop() ?? this.#next++;
  }

  /** Releases a number: only after `disconnected` was reported. */
  release(peer: PeerId): void {
    this.#free.push(peer);
  }
}

/** Facts about a peer that are known when it connects. */
export interface PeerInfo {
  /** Index of the listener that accepted it, in the order in which they were opened. */
  readonly listener: number;
  /** The routing id by which the ROUTER knows it. */
  readonly routingId: Buffer;
  /**
   * True if the peer chose its routing id itself: it can then reconnect under it, and
   * its waiting requests stay when its connection ends (D26).
   */
  readonly ownRoutingId: boolean;
  /** The name of the key with which it authenticated; `null`: none, or unknown. */
  readonly key: string | null;
  /** The public key with that name, in hexadecimal. A name may have two keys while one is being replaced. */
  readonly publicKey?: string | null;
  /** The source address, for people; `ipc` over a socket file. See `shownAddress`. */
  readonly address: string;
  /** The type of its socket, as it declared it; absent if the transport does not know. */
  readonly socketType?: string;
  /** The identity that owns what this peer holds: its key, or its address (D70). See `identityOf`. */
  readonly identity: string;
}

/**
 * Events of a transport. The calls for one peer come in order: `connected`, then any of the others,
 * then `disconnected`, after which another peer may get the number.
 */
export interface TransportEvents {
  connected(peer: PeerId, info: PeerInfo): void;
  /** A message arrived, without its routing id; the frames are valid until this returns. */
  message(peer: PeerId, frames: Frames): void;
  /**
   * Bytes arrived that begin with a message, in the layout of `core/packed`: an engine that has them
   * so offers each message here first. The words are valid until this returns.
   * @param end one past the bytes that may belong to it
   * @returns where the message that was handled ends; 0: it was not, and goes to `message`
   */
  packed?(peer: PeerId, words: Words, from: number, end: number): number;
  /**
   * A peer of a publisher's listener subscribes, or cancels a subscription, by a command. (Peers of
   * ZMTP 3.0 do it by a message; both are accepted, D41.) The topic is valid until this returns.
   */
  subscription?(peer: PeerId, topic: Buffer, isOn: boolean): void;
  /**
   * A message over `messageBytesMax` or `framesMax` was received and dropped. Without this function,
   * such a message ends its connection. With it, only the request of the message fails (D100).
   * @param head its frames up to the one that was over the limit; empty are that one and those that
   *   do not end in its first 4 KiB. Valid until this returns
   * @param reason for people; with both sizes
   */
  oversized?(peer: PeerId, head: Frames, reason: string): void;
  /**
   * The peer does not read: its output exceeded `outputBytesMax`. Messages sent now may be lost.
   */
  outputFull(peer: PeerId): void;
  /** After `outputFull`, or after `takesRequest` was false: the peer has read its waiting output. */
  drained(peer: PeerId): void;
  disconnected(peer: PeerId): void;
  /**
   * Part of a message arrived; the transport now holds `bytes` of it. Not every engine reports
   * this.
   */
  receiving?(peer: PeerId, bytes: number): void;
  /**
   * Data from the peer waits for its turn to be read: the peer is alive, even if the broker has not
   * seen a message: how much is read in one turn is limited (D76). Not every engine reports this.
   */
  waiting?(peer: PeerId): void;
  /**
   * A connection was ended because its data was not valid ZMTP or broke a rule, or before that
   * because there were too many. (`disconnected` follows if it was a peer.)
   * @param kind a stable word to count it under
   * @param reason for people; short; the peer's data appears in it only as printable ASCII
   * @param from where the connection came from
   */
  rejected(listener: number, kind: RejectionKind, reason: string, from: Rejected): void;
}

/** Where a connection that was ended came from. */
export interface Rejected {
  /** The source address; '' if unknown. */
  readonly address: string;
  /**
   * The name of its key, or the first characters of the one that it presented, in Z85; `null`: it
   * presented none.
   */
  readonly key: string | null;
}

/** Where the frames of outgoing messages go. Bytes are copied at once (but see `writeLasting`), nothing waits or throws. */
export interface Output {
  /**
   * Reserves room for a whole message of `bytes` bytes in the layout of `core/packed`, which the
   * caller fills before any other call. `null`: this transport cannot, or the peer is full or gone;
   * the message is then to be written by the methods below.
   */
  room(peer: PeerId, bytes: number): Room | null;
  /**
   * Writes the next frame of the message for `peer`: the bytes `[start, end)`. A frame with `more`
   * false completes the message. Output for a peer that is gone is dropped.
   */
  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void;
  /**
   * Writes the next frames, in the layout of `core/packed`.
   * @param more the MORE flag of the last of them
   */
  writePacked(peer: PeerId, packed: Buffer, start: number, end: number, more: boolean): void;
  /** Like `write`, for bytes that never change: the transport may keep them instead of a copy. */
  writeLasting(peer: PeerId, bytes: Buffer, start: number, end: number, more: boolean): void;
}

/** Which connections of an identity are to be closed, and why. */
export interface Closing {
  /**
   * *stalled*: those that have read nothing of their output for a second, or sent nothing of the
   * message that they began. *workers*: those to which requests are written (`takesRequest`), which
   * are none of the others. *incomplete*: those of all peers, for the message that they began.
   */
  readonly which: 'all' | 'stalled' | 'workers' | 'incomplete';
  /** A word to count the closed connections under; see `TransportEvents.rejected`. */
  readonly kind: 'memory' | 'output';
  readonly reason: string;
}

/** A ROUTER with one or more listeners. */
export interface Transport extends Output {
  /**
   * Sends what was written since the last call: once per turn of the loop. The outcome is reported
   * as events.
   */
  flush(): void;
  /**
   * Ends a connection and drops its waiting output. `disconnected` follows, never within the call.
   */
  disconnect(peer: PeerId): void;
  /** Bytes of output waiting for the peer; 0 for one that is gone. */
  waitingBytes(peer: PeerId): number;
  /**
   * Whether a request of `bytes` may be written to this peer now: its own output has room (D5), and so
   * has that of its identity (D75) and the memory of the node (D77); a peer that has read all may get
   * one. From the first call on the peer counts as a worker. After `false`, `drained` follows when it
   * has read what waits.
   */
  takesRequest(peer: PeerId, bytes: number): boolean;
  /**
   * Ends the connection of an identity that holds most, above the limit of memory (D77).
   * `disconnected` follows, never within the call.
   * @returns false if none of them holds anything
   */
  closeLargest(identity: string, closing: Closing): boolean;
  /**
   * Replaces a listener's keys, see `ListenerCurve.secretKeys`; connections stay. (libzmq keeps its
   * key.)
   */
  setSecretKeys(listener: number, secretKeys: readonly Buffer[]): void;
  /** Replaces the limits; limits on messages apply to new connections. */
  setLimits(limits: RouterLimits): void;
  /** Closes all listeners and connections; waiting output has `lingerMs` to leave. */
  close(lingerMs: number): Promise<void>;
}

/** Further limits of a ROUTER. */
export interface RouterLimits extends TransportLimits {
  /** Connections per listener. */
  readonly connectionsMax: number;
  /**
   * Connections of one identity, over all listeners: of a key, or of an address, where those that have
   * authenticated with a key do not count.
   */
  readonly connectionsPerIdentityMax: number;
  /** Connections of a key at a listener, if it has a limit of its own, instead of `connectionsPerIdentityMax`. */
  readonly connectionsPerKeyMax?: (listener: number, key: string) => number;
  /** Bytes of incomplete messages of all connections together. */
  readonly receiveBytesMax: number;
  /** What that limit is called, for people. */
  readonly receiveLimit?: string;
  /**
   * A client over `outputBytesMax` is full only when it has not read for `STALLED_MS`: what waits for those who read is
   * bounded by the quotas of their identities (`Holdings.stalled`). Not every engine does so.
   */
  readonly sparesReaders?: boolean;
}

/** A listener of a ROUTER. */
export interface ListenerOptions {
  /** Where to listen: `tcp://HOST:PORT` (0 or `*`: any free port) or `ipc://PATH`. */
  readonly endpoint: string;
  /** `PeerInfo.listener` of the peers that come in through it. */
  readonly index: number;
  /** Only peers with an allowed key may connect, and all traffic is encrypted (25/ZMTP-CURVE). */
  readonly curve?: ListenerCurve;
  /**
   * The type of its socket; default `ROUTER`. Peers of a `PUB` are subscribers, those of a `SUB`
   * publishers, to all of whose messages it subscribes; their routing ids mean nothing. Only the engine
   * `zmtp` has them.
   */
  readonly socketType?: 'ROUTER' | 'PUB' | 'SUB';
  /** The routing id that it gives itself in its handshakes; default: none. Not every engine sends it. */
  readonly identity?: Buffer;
  /** How it finds REQ peers that have vanished; default: not at all. Not every engine does. */
  readonly pings?: PingIntervals;
}

/** PINGs to peers that say nothing by themselves. All in milliseconds. */
export interface PingIntervals {
  /** A peer that was silent for so long is sent a PING. */
  readonly everyMs: number;
  /** The connection of a peer that was silent for so long ends. */
  readonly silentMs: number;
}

/** Options of a ROUTER. */
export interface RouterOptions {
  /** Whether the ROUTER has few connections, which may use the reserved file descriptors. */
  readonly hasReserve?: boolean;
  /**
   * Concurrent handshakes; default: enough for a broker's listeners. Not every engine enforces it.
   */
  readonly handshakes?: HandshakeLimits;
  readonly listeners: readonly ListenerOptions[];
  readonly limits: RouterLimits;
  /** Shared by all transports of one broker. */
  readonly peers: PeerNumbers;
  /** Where to count what peers hold, by identity; by default the transport uses its own. */
  readonly holdings?: Holdings;
  /** How names of hosts are found, and who is told where they are listened on; default: as the system does, nobody. */
  readonly names?: Names;
  /** Called from the next turn of the event loop on, never within the call that opens. */
  readonly events: TransportEvents;
  /** Called before it listens, so that the first peers' messages can be answered. */
  readonly opening?: (transport: Transport) => void;
}

/** A ROUTER that listens. */
export interface OpenedRouter {
  readonly transport: Transport;
  /** The endpoints it listens on, with real ports, in the order of the listeners. */
  readonly endpoints: readonly string[];
}
