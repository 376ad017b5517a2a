/**
 * The transport port: what the broker and the SDK know of the network.
 *
 * Three things stand behind it: libzmq (through zeromq.js), this project's own ZMTP engine, and the
 * simulator. Nothing here names sockets or promises of one of them.
 */
import type { Frames } from '../core/frames.js';
import type { Holdings } from '../core/holdings.js';
import type { Authorise } from '../zmtp/curve/server.js';
import type { PeerNumbers } from './peer-numbers.js';
import type { HandshakeLimits } from './zmtp/handshakes.js';

/** A connected peer: a small integer, valid from `connected` to `disconnected`, then reused. */
export type PeerId = number;

/** What is known of a peer as soon as it is there. */
export interface PeerInfo {
  /** Index of the listener that it came in through, in the order in which they were opened. */
  readonly listener: number;
  /** The routing id by which the ROUTER knows it. */
  readonly routingId: Buffer;
  /** True if the peer chose its routing id itself: it can then come back under it (D26). */
  readonly ownRoutingId: boolean;
  /** The name of the key by which it has authenticated itself; `null`: by none, or it is unknown. */
  readonly key: string | null;
  /** That key, in hexadecimal. A name may have two of them, while one is exchanged. */
  readonly publicKey?: string | null;
  /** Its source address for people, `ipc` over a socket file; see `shownAddress`. */
  readonly address: string;
  /** To whom belongs what it owns: see `identityOf` (D70). */
  readonly identity: string;
}

/**
 * What a transport tells. The calls for one peer come in order: `connected`, then any of the
 * others, then `disconnected`, after which the number may be given to another peer.
 */
export interface TransportEvents {
  connected(peer: PeerId, info: PeerInfo): void;
  /** One message, without its routing id; the frames are valid until this returns. */
  message(peer: PeerId, frames: Frames): void;
  /** A message over `messageBytesMax` or `framesMax` came and was thrown away. */
  oversized(peer: PeerId): void;
  /** The peer does not read: its output passed `outputBytesMax`. What is sent now may be lost. */
  full(peer: PeerId): void;
  /** After `full`: the peer has read what was waiting for it. */
  drained(peer: PeerId): void;
  disconnected(peer: PeerId): void;
  /** Bytes came of a message whose end is still out; so many are held. Not every engine tells. */
  receiving?(peer: PeerId, bytes: number): void;
  /**
   * What the peer sent waits for its turn to be read (D76): it lives, whatever it has said. Not every
   * engine tells.
   */
  waiting?(peer: PeerId): void;
  /**
   * A connection was ended for what came over it, which was no ZMTP, or not as it should be; or
   * before that, for there were too many. (Its `disconnected` follows if it was a peer.)
   * @param kind a stable word to count it under
   * @param reason for people; short, without what the peer sent but printable ASCII
   * @param from whose it was
   */
  rejected(listener: number, kind: string, reason: string, from: Rejected): void;
}

/** Whose connection was ended. */
export interface Rejected {
  /** Where it came from; '' if that is not known. */
  readonly address: string;
  /** The first characters of the key that it has shown, in Z85; `null`: it has shown none. */
  readonly key: string | null;
}

/** Where the frames of outgoing messages go. Bytes are copied at once (but see `writeLasting`),
 * nothing waits or throws. */
export interface Output {
  /**
   * The next frame of the message for `peer`: the bytes `[start, end)`. The message is complete with
   * the frame for which `more` is false. What is written to a peer that is gone is thrown away.
   */
  write(peer: PeerId, bytes: Uint8Array, start: number, end: number, more: boolean): void;
  /**
   * The next frames, as `core/packed` laid them out.
   * @param more what the MORE flag of the last of them says
   */
  writePacked(peer: PeerId, packed: Buffer, start: number, end: number, more: boolean): void;
  /** The same as `write` for bytes that never change: they may be kept instead of a copy. */
  writeLasting(peer: PeerId, bytes: Buffer, start: number, end: number, more: boolean): void;
}

/** A ROUTER with one or more listeners. */
export interface Transport extends Output {
  /**
   * Hands over what was written since the last call: once per turn of the loop.
   * What became of it comes as events.
   */
  flush(): void;
  /** Ends a connection, throwing away what waits for it. `disconnected` follows, never within the call. */
  disconnect(peer: PeerId): void;
  /** Output that waits for the peer; 0 for one that is gone. */
  waitingBytes(peer: PeerId): number;
  /**
   * Ends the connection that holds most of those of an identity (D77). `disconnected` follows, never
   * within the call.
   * @returns false if none of them holds anything
   */
  closeLargest(identity: string): boolean;
  /**
   * Other keys of a listener from now on, as `ListenerCurve.secretKeys`; connections stay. (libzmq
   * keeps the one that it has.)
   */
  setSecretKeys(listener: number, secretKeys: readonly Buffer[]): void;
  /** Other limits from now on; those of messages hold for connections that come. */
  setLimits(limits: RouterLimits): void;
  /** Closes all listeners and connections; output that waits is given `lingerMs` to leave. */
  close(lingerMs: number): Promise<void>;
}

/** Bounds that a transport keeps by itself. */
export interface TransportLimits {
  /** One message, all its frames together. */
  readonly messageBytesMax: number;
  readonly framesMax: number;
  /** Output waiting for one peer. */
  readonly outputBytesMax: number;
}

/** Bounds of a ROUTER beside. */
export interface RouterLimits extends TransportLimits {
  /** Connections per listener. */
  readonly connectionsMax: number;
  /** Connections of one identity, over all listeners: of an address, and of a key. */
  readonly connectionsPerIdentityMax: number;
  /** Of a key that came in at a listener, if its number is another. */
  readonly connectionsPerKeyMax?: (listener: number, key: string) => number;
  /** Incomplete messages of all connections together. */
  readonly receiveBytesMax: number;
}

/** One listener of a ROUTER. */
export interface ListenerOptions {
  /** Where to listen: `tcp://HOST:PORT` (0 or `*`: any free port) or `ipc://PATH`. */
  readonly endpoint: string;
  /** `PeerInfo.listener` of the peers that come in through it. */
  readonly index: number;
  /** Only peers with a key that is allowed come in, and all is sealed (25/ZMTP-CURVE). */
  readonly curve?: ListenerCurve;
}

/** CURVE on a listener. */
export interface ListenerCurve {
  /**
   * Of the listener, 32 bytes each: the present one first, then one that replaces it, or that it has
   * replaced. (libzmq listens with the first one alone.)
   */
  readonly secretKeys: readonly Buffer[];
  /** Who comes in, and under which name. Asked for every connection. */
  readonly authorise: Authorise;
}

/** What a ROUTER is opened with. */
export interface RouterOptions {
  /** Its connections are few, and may use the file descriptors that are kept in reserve. */
  readonly hasReserve?: boolean;
  /** Handshakes at once; by default so many as a broker's listeners need. Not every engine keeps it. */
  readonly handshakes?: HandshakeLimits;
  readonly listeners: readonly ListenerOptions[];
  readonly limits: RouterLimits;
  /** Shared by all transports of one broker. */
  readonly peers: PeerNumbers;
  /** Where what peers hold is counted, by identity; by default nowhere else is. */
  readonly holdings?: Holdings;
  /** Told from the next turn of the event loop on, never within the call that opens. */
  readonly events: TransportEvents;
  /** Told before it listens, so that what the first ones ask can be answered. */
  readonly opening?: (transport: Transport) => void;
}

/** A ROUTER that listens. */
export interface OpenedRouter {
  readonly transport: Transport;
  /** What is listened on, ports filled in, in the order of the listeners. */
  readonly endpoints: readonly string[];
}

/** What a link (the DEALER side: a client's or worker's connection to one endpoint) tells. */
export interface LinkEvents {
  /** The connection stands; comes again after each reconnect. */
  connected(): void;
  /** One message; the frames are valid until this returns. */
  message(frames: Frames): void;
  /** The connection is gone. The link dials again by itself; what was in flight is lost. */
  disconnected(): void;
  /** As `TransportEvents.receiving`. */
  receiving?(bytes: number): void;
  /**
   * A connection did not come to stand. The link dials again by itself. Not every engine tells.
   * @param isKeyRefused the other side said that it does not let this key in
   */
  unreachable?(isKeyRefused: boolean): void;
}

/** One DEALER connection to one endpoint, which dials again by itself until it is closed. */
export interface Link {
  /** As `Output.write`. What is written while there is no connection waits, up to `outputBytesMax`. */
  write(bytes: Uint8Array, start: number, end: number, more: boolean): void;
  /** Ends the connection; output that waits is given `lingerMs` to leave. */
  close(lingerMs: number): Promise<void>;
}

/** Opens a link. Throws `ERR_MDP_ENDPOINT` if the endpoint is not one that can be dialled. */
export type Dial = (endpoint: string, events: LinkEvents) => Link;
