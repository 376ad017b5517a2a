/** What the pair needs of the rest of its node. Records and batches are bytes that it only carries. */
import type { PeerHolding, PeerMessage } from '../wire/peer.js';
import type { Persisted, State } from './facts.js';
import type { Service } from './fsm.js';

/** Why the other one is not this node's peer. `code` is stable. */
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
  /** Requests that came from the peer; that went to it. */
  readonly fromPeer: number;
  readonly toPeer: number;
  /** That have two different replies. */
  readonly ranTwice: number;
}

/** What the pair wants done. Nothing returns a value; what became of it comes as an input. */
export interface PairSink {
  /** What this node's store holds of the peer's: told with every status. */
  readonly holds: PeerHolding | null;
  /** Of the keys that this node lets in, and their rights: told with every status. */
  readonly keys: Buffer | null;
  /** Write this to disk and sync it; `persisted` follows. */
  persist(state: Persisted): void;
  send(message: PeerMessage): void;
  /** End the connection, which is dialled again at once; nothing is told of it. */
  closeLink(): void;
  /** The store cannot take what the peer has: do not connect for so many milliseconds. */
  holdOff(ms: number): void;
  /** Whom to serve from now on. */
  serve(service: Service): void;
  /** Stored requests are this node's from now on; not any more. */
  activate(): void;
  deactivate(): void;

  /** Read what is above that in the store; `chunk` follows. `null`: everything. */
  read(from: PeerHolding | null): void;
  /** Read what follows the last chunk; `chunk` follows. */
  readOn(): void;
  /** Merge the peer's records into the store; `stored` or `storeFailed` follows. */
  merge(records: Buffer, holds: PeerHolding, isFromActive: boolean): void;
  /** Do what the active did, as its transaction `number`; `stored` or `storeFailed` follows. */
  apply(batch: Buffer, number: number): void;
  /**
   * The peer's transaction `number` is on its disk, and holds only what it got from here.
   * @param of this node's transaction that it is, which may be on its way to the disk yet; 0: of none
   */
  peerBecame(number: number, of: number): void;
  /** The peer's disk has the changes of this node up to it. */
  peerHolds(number: number): void;

  /** A batch that waited for the peer: it has it; it is not to be waited for any more. */
  confirmed(number: number): void;
  unconfirmed(number: number): void;
  /** Nobody else can have acknowledged anything before the probe of this number. */
  probed(number: number): void;
  /** Probes that are out will not be answered. */
  unprobed(): void;

  changed(from: State, to: State, reason: string): void;
  joined(figures: JoinFigures): void;
  /** Both are active: the one with the lower epoch steps down now. */
  split(epoch: number, peerEpoch: number): void;
}
