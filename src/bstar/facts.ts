/** What a node of the pair knows, as small integers: so a search over all states can pack it. */
import type { PEER_ROLES, PEER_STATES, REPLICATIONS } from '../wire/peer.js';

export type Role = (typeof PEER_ROLES)[number];
export type Replication = (typeof REPLICATIONS)[number];

/**
 * `waiting`: just started. `passive`: the peer serves, or may. `joining`: active, but not serving
 * before it has what the peer has. `active`: serving, with a peer in sync or without.
 */
export type State = (typeof PEER_STATES)[number];

/**
 * How far the peer is on this connection, seen from an active: `none`, not joined; `merging`, what it
 * has comes in; `merged`, all of that is committed; `shipping`, it is sent what it
 * lacks; `holding`, all of that is sent, and from there on nothing is acknowledged that it has not
 * confirmed; `in sync`, it confirmed everything.
 */
export const PROGRESS = ['none', 'merging', 'merged', 'shipping', 'holding', 'in sync'] as const;
export type Progress = (typeof PROGRESS)[number];

/** `stopping`: no more clients; `offered`: everything is confirmed, the peer may take over. */
export const HANDOVERS = ['none', 'stopping', 'offered'] as const;
export type Handover = (typeof HANDOVERS)[number];

/** What the peer said of itself. */
export interface PeerSaid {
  readonly state: State;
  readonly epoch: number;
  /** It is active, has stopped serving, and asks this node to take over. */
  readonly offers: boolean;
}

/** What is on disk, and is written before it is acted upon. */
export interface Persisted {
  /** The highest that this node has taken or followed; 0 at first. */
  readonly epoch: number;
  /** This node was the last active one, as far as it knows. */
  readonly wasActive: boolean;
}

/** Everything that the machine knows; `fsm.ts` is the only one that changes it. */
export interface Facts {
  epoch: number;
  wasActive: boolean;
  state: State;
  /** Being written to disk: this epoch, and what it is for; `null` if nothing is. */
  writing: (Persisted & { readonly goal: Goal }) | null;
  /** A connection to the peer stands. */
  link: boolean;
  /** Nothing came for two heartbeats, and no connection. */
  peerDead: boolean;
  /** On this connection; `null` before its first word. */
  peer: PeerSaid | null;
  /** Above every epoch that was ever heard of, there is the next one. */
  seenEpoch: number;
  /** The epoch of the active that this node has joined on this connection; 0 for none. */
  joined: number;
  progress: Progress;
  /** The connection to a peer that was, or was to be, in sync is gone, and it is not known dead yet. */
  doubt: boolean;
  /** D19: this node stood still, and has not heard since what became of its peer. */
  fenced: boolean;
  handover: Handover;
  /** An operator said that the peer is lost. */
  promoted: boolean;
}

/** What follows once an epoch is on disk. */
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

/** This node leads with that epoch. */
export function isLed({ state, epoch }: Readonly<Facts>, of: number): boolean {
  return (state === 'active' || state === 'joining') && epoch === of;
}

/** This node follows the active of that epoch. */
export function isFollowed({ state, joined }: Readonly<Facts>, of: number): boolean {
  return state === 'passive' && joined === of;
}
