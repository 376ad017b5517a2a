/** What the pair needs from the rest of its node. */
import type { PeerHolding, PeerMessage } from '../wire/pair.js';
import type { Facts, Persisted, State } from './facts.js';
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

/** A node that cannot be this node's peer, as the two are configured, is alive. */
export interface SignOfLife {
  /** The next sign comes after this many milliseconds. */
  readonly againMs: number;
  /** The highest epoch that it has taken or followed; 0: none, or not known. */
  readonly epoch: number;
}

/** Figures of one join. */
export interface JoinFigures {
  /** Number of requests that came from the peer; number that went to it. */
  readonly fromPeer: number;
  readonly toPeer: number;
  /** Number of requests that have two different replies. */
  readonly ranTwice: number;
}

/** Messages between the two nodes that concern replication alone. */
export type ReplicationMessage = Extract<
  PeerMessage,
  { readonly kind: 'records' | 'taken' | 'update' | 'confirm' | 'probe' | 'probed' }
>;

/** Keeps the two stores alike. The pair says when, and carries its messages. */
export interface Replicator {
  /** The id of this node's store; `null`: this node replicates nothing. */
  readonly storeId: Buffer | null;
  /** What this node's store holds of the peer's; sent with every status. */
  readonly holds: PeerHolding | null;
  /** The peer has everything that was sent to it. */
  readonly isConfirmed: boolean;
  /** What the peer lacks is being sent. */
  readonly isSending: boolean;
  /** When the oldest batch that waits for the peer was given to the store; Infinity: none waits. */
  readonly oldest: number;
  /** When `run` is next due if no input arrives. */
  readonly dueAt: number;
  /** Called once, before anything else. */
  attach(pair: Pair): void;
  /** Sets the time of the inputs that follow. */
  setTime(now: number): void;
  run(): void;
  /** What was sent and not confirmed is sent again after the next join. */
  connectionEnded(): void;
  /** What the peer says it holds of this store. */
  peerHolds(holds: PeerHolding | null): void;
  /** The peer joins this node, which leads. */
  peerJoined(holds: PeerHolding | null): void;
  /** Sends what the peer lacks: on the active node once the peer's data is merged, else at once. */
  start(epoch: number): void;
  message(message: ReplicationMessage): void;
  /** Releases all batches: nothing waits for the peer any more. */
  release(): void;
  /** Forgets all batches: this node no longer leads, and nobody needs their outcome. */
  drop(): void;
}

/** What is known about the pair, and what replication adds to that. */
export interface PairState {
  readonly facts: Readonly<Facts>;
  readonly isInSync: boolean;
  /** True if commits are acknowledged only once the peer has them, or is known to be dead. */
  readonly holdsBack: boolean;
  /** True if this node follows the active node of that epoch, and that is on its disk. */
  follows(epoch: number): boolean;
  /** Everything that the peer had is committed here. */
  merged(): void;
  /** The last of what the peer lacks has been sent. */
  shipped(): void;
  /** The peer has confirmed everything. */
  confirmed(): void;
  /** More waits to be sent than is allowed: it is read from the store again. */
  fellBehind(): void;
}

/** The pair, as a replicator calls it. */
export interface Pair {
  readonly state: PairState;
  send(message: PeerMessage): void;
  /** The store took data from the peer. */
  stored(): void;
  /** The store failed: the nodes join again later. */
  storeFailed(): void;
  /** The peer may have a batch that is not on this disk: the nodes join again at once. */
  reconnect(): void;
  /** Last in each input from the store: the pair acts on what has changed in its state. */
  applyState(): void;
}

/** The effects of the pair. Nothing returns a value; results arrive as inputs. */
export interface PairSink {
  /** Digest of the keys that this node accepts, and their rights; sent with every status. */
  readonly keys: Buffer | null;
  /** Digests of the public keys of its listeners; sent with every status. */
  readonly listenerKeys: Buffer | null;
  /** Write this to disk and sync it; `persisted` follows. */
  persist(state: Persisted): void;
  send(message: PeerMessage): void;
  /** End the connection, which is dialled again at once; no event reports it. */
  closeLink(): void;
  /** The store cannot take the peer's data: do not connect for this many milliseconds. */
  holdOff(ms: number): void;
  /** Who is served from now on. */
  serve(service: Service): void;
  /** This node is the active one from now on: it serves what is stored. */
  activate(): void;
  /** This node is no longer the active one. What is stored stays. */
  deactivate(): void;
  changed(from: State, to: State, reason: string): void;
  /** Both nodes are active: the one with the lower epoch steps down now. */
  split(epoch: number, peerEpoch: number): void;
}
