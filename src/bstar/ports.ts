/**
 * What the pair needs from the rest of its node. It passes records and batches on as opaque bytes.
 */
import type { PeerHolding, PeerMessage } from '../wire/peer.js';
import type { Persisted, State } from './facts.js';
import type { Service } from './fsm.js';

/** Why the other node is not this node's peer. `code` is stable. */
export interface Objection {
  readonly code:
    | 'version'
    | 'self'
    | 'role'
    | 'pair'
    | 'replication'
    | 'heartbeat'
    | 'store'
    | 'epoch'
    | 'taken'
    | 'key';
  readonly text: string;
}

/** Figures of one join. */
export interface JoinFigures {
  /** Number of requests that came from the peer; number that went to it. */
  readonly fromPeer: number;
  readonly toPeer: number;
  /** Number of requests that have two different replies. */
  readonly ranTwice: number;
}

/** The effects of the pair. Nothing returns a value; results arrive as inputs. */
export interface PairSink {
  /** What this node's store holds of the peer's; sent with every status. */
  readonly holds: PeerHolding | null;
  /** Of the keys that this node accepts, and their rights; sent with every status. */
  readonly keys: Buffer | null;
  /** Write this to disk and sync it; `persisted` follows. */
  persist(state: Persisted): void;
  send(message: PeerMessage): void;
  /** End the connection, which is dialled again at once; no event reports it. */
  closeLink(): void;
  /** The store cannot take the peer's data: do not connect for this many milliseconds. */
  holdOff(ms: number): void;
  /** Who is served from now on. */
  serve(service: Service): void;
  /** From now on, this node has the stored requests, or no longer has them. */
  activate(): void;
  deactivate(): void;

  /** Read what is above this position in the store; `chunk` follows. `null`: everything. */
  read(from: PeerHolding | null): void;
  /** Read on after the last chunk; `chunk` follows. */
  readOn(): void;
  /** Merge the peer's records into the store; `stored` or `storeFailed` follows. */
  merge(records: Buffer, holds: PeerHolding, isFromActive: boolean): void;
  /**
   * Repeat the active node's changes, as its transaction `number`; `stored` or `storeFailed`
   * follows.
   */
  apply(batch: Buffer, number: number): void;
  /**
   * The peer's transaction `number` is on its disk, and contains only data from this node.
   * @param of this node's transaction that it repeats, which may not be on this disk yet; 0: none
   */
  peerBecame(number: number, of: number): void;
  /** The peer's disk has the changes of this node up to this one. */
  peerHolds(number: number): void;

  /** For a batch that waited for the peer: the peer has it, or it need not wait any longer. */
  confirmed(number: number): void;
  unconfirmed(number: number): void;
  /** No other node can have acknowledged anything before the probe of this number. */
  probed(number: number): void;
  /** The open probes will not be answered. */
  unprobed(): void;

  changed(from: State, to: State, reason: string): void;
  joined(figures: JoinFigures): void;
  /** Both nodes are active: the one with the lower epoch steps down now. */
  split(epoch: number, peerEpoch: number): void;
}
