/**
 * What a node of the pair knows, as small integers, so that a search over all states can pack it.
 */
import type { PEER_ROLES, PEER_STATES, REPLICATIONS } from '../wire/pair.js';

export type Role = (typeof PEER_ROLES)[number];
export type ReplicationMode = (typeof REPLICATIONS)[number];

/**
 * `waiting`: just started. `passive`: the peer serves, or may do so. `joining`: active, but does
 * not serve until it has what the peer has. `active`: serves, with or without a peer in sync.
 */
export type State = (typeof PEER_STATES)[number];

/**
 * How far the peer has come on this connection, as seen by an active node. `none`: not joined.
 * `merging`: its data arrives. `merged`: all of that is committed. `shipping`: it is sent what it
 * lacks. `holding`: all of that is sent, and from now on changes are acknowledged only when it has
 * confirmed them. `in sync`: it has confirmed everything.
 */
export const PROGRESS = ['none', 'merging', 'merged', 'shipping', 'holding', 'in sync'] as const;
export type Progress = (typeof PROGRESS)[number];

/**
 * `stopping`: serves no more clients. `offered`: everything is confirmed, and the peer may take
 * over.
 */
export const HANDOVERS = ['none', 'stopping', 'offered'] as const;
export type Handover = (typeof HANDOVERS)[number];

/** What the peer said about itself. */
export interface PeerReport {
  readonly state: State;
  readonly epoch: number;
  /** Whether it is active, has stopped serving, and asks this node to take over. */
  readonly offers: boolean;
}

/** What is on disk. It is written before it takes effect. */
export interface Persisted {
  /** The highest epoch that this node has taken or followed; 0 at first. */
  readonly epoch: number;
  /** Whether this node was the last active one, as far as it knows. */
  readonly wasActive: boolean;
}

/** Everything that the machine knows. Only `fsm.ts` changes it. */
export interface Facts {
  epoch: number;
  wasActive: boolean;
  state: State;
  /** The epoch being written to disk, and its purpose; `null` if nothing is being written. */
  writing: (Persisted & { readonly goal: Goal }) | null;
  /** Whether there is a connection to the peer. */
  link: boolean;
  /** Whether there is no connection, and nothing arrived for two heartbeats. */
  peerDead: boolean;
  /** What the peer said on this connection; `null` before its first message. */
  peer: PeerReport | null;
  /** The highest epoch ever heard of; the next one is above it. */
  seenEpoch: number;
  /** The epoch of the active node that this node has joined on this connection; 0 for none. */
  joined: number;
  progress: Progress;
  /**
   * The connection to a peer that was, or was about to be, in sync ended, and the peer is not known
   * to be dead.
   */
  doubt: boolean;
  /** D19: this node was stalled, and has not heard from its peer since. */
  fenced: boolean;
  handover: Handover;
  /** An operator declared the peer lost. */
  promoted: boolean;
}

/** What to do once an epoch is on disk. */
export const GOALS = ['join', 'lead', 'activate', 'serve', 'promote'] as const;
export type Goal = (typeof GOALS)[number];

export function factsAtStart({ epoch, wasActive }: Persisted): Facts {
  return {
    epoch,
    wasActive,
    state: 'waiting',
    writing: null,
    link: false,
    peerDead: false,
    peer: null,
    seenEpoch: epoch,
    joined: 0,
    progress: 'none',
    doubt: false,
    fenced: false,
    handover: 'none',
    promoted: false,
  };
}

/** True if this node leads with that epoch. */
export function isLed({ state, epoch }: Readonly<Facts>, of: number): boolean {
  return (state === 'active' || state === 'joining') && epoch === of;
}

/** True if this node follows the active node of that epoch. */
export function isFollowed({ state, joined }: Readonly<Facts>, of: number): boolean {
  return state === 'passive' && joined === of;
}
