/**
 * The effects of the map machine, carried out by its shell and recorded by tests. The calls return
 * nothing; their results arrive as inputs. Frames are only valid during the call.
 */
import type { Frames } from '../../../core/frames.js';

/** A connected peer, as the transport's number. */
export type PeerId = number;

/** What the transport knows about a peer. */
export interface MapPeer {
  /** The identity that owns what it holds here (D70). */
  readonly identity: string;
  /** The name of its key; `null`: it has none. */
  readonly key: string | null;
  /** The source address of the peer, for people. */
  readonly address: string;
}

export interface MapSink {
  /** Port P + 1: a message for all whose subscription covers its first frame. */
  publish(frames: Frames): void;
  /** Port P + 1: a message for this subscriber alone. */
  greet(subscriber: PeerId, frames: Frames): void;
  /** Port P + 1: ends all connections; the port stays open. */
  closeSubscribers(): void;
  /** Port P: a message of a snapshot. `MapMachine.outputFull` says that the peer does not keep up. */
  snapshot(peer: PeerId, frames: Frames): void;
  /** Port P: ends the connection. `disconnected` follows, never within the call. */
  close(peer: PeerId): void;
  /** A client asks a node that does not serve (D13, the vote). */
  vote(): void;
}
