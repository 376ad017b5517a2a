/**
 * The messages between the two nodes of a pair (docs/peer-protocol.md). peer-codec.ts defines their
 * frames.
 */

/**
 * The highest version that this program speaks, from 1 on; two nodes use the lower of their highest
 * versions.
 */
export const PEER_VERSION = 1;
export const NONCE_BYTES = 16;
export const STORE_ID_BYTES = 16;
export const DIGEST_BYTES = 16;

export const PEER_STATES = ['waiting', 'passive', 'joining', 'active'] as const;
export const PEER_ROLES = ['primary', 'backup'] as const;
export const REPLICATIONS = ['off', 'async', 'sync', 'strict'] as const;

/** What a node holds of the other's store: every change up to this transaction, and bodies. */
export interface PeerHolding {
  readonly storeId: Buffer;
  readonly upTo: number;
  readonly bodiesUpTo: number;
}

/** The first message of both nodes: who they are. */
export interface Hello {
  readonly kind: 'hello';
  readonly pair: string;
  readonly role: (typeof PEER_ROLES)[number];
  readonly replication: (typeof REPLICATIONS)[number];
  readonly heartbeatIntervalMs: number;
  readonly node: string;
  /** `null`: it stores nothing that could be replicated. */
  readonly storeId: Buffer | null;
  /** The other node returns it, so that each knows that the other is alive. */
  readonly nonce: Buffer;
  /** The highest epoch that it has taken or followed. */
  readonly epoch: number;
  /** The nonce that it was given on its previous connection; no other node knows it. */
  readonly resumes: Buffer | null;
  /** The URL of its page, unchecked; `null`: it does not say. */
  readonly publicUrl: string | null;
}

export type PeerMessage =
  | Hello
  | { readonly kind: 'proof'; readonly nonce: Buffer }
  /** Why the sender rejects the other node. */
  | { readonly kind: 'refuse'; readonly reason: string }
  | {
      readonly kind: 'status';
      readonly state: (typeof PEER_STATES)[number];
      readonly epoch: number;
      readonly offers: boolean;
      readonly holds: PeerHolding | null;
      /**
       * Of the keys that it accepts, and their rights; `null`: there are none, or it does not say.
       */
      readonly keys: Buffer | null;
    }
  | { readonly kind: 'join'; readonly epoch: number; readonly holds: PeerHolding | null }
  /** Part of what the receiver lacks; after the last chunk it has everything. */
  | {
      readonly kind: 'records';
      readonly epoch: number;
      readonly index: number;
      readonly isLast: boolean;
      /** What the receiver holds after it has merged them. */
      readonly holds: PeerHolding;
      readonly records: Buffer;
    }
  /** The records are on the receiver's disk, as its transaction `number`. */
  | {
      readonly kind: 'taken';
      readonly epoch: number;
      readonly index: number;
      readonly number: number;
      readonly joined: number;
      readonly ranTwice: number;
    }
  /** The sender's transaction `number`. */
  | {
      readonly kind: 'update';
      readonly epoch: number;
      readonly number: number;
      /** The receiver's changes up to this one are on the sender's disk. */
      readonly holdsUpTo: number;
      readonly batch: Buffer;
    }
  | {
      readonly kind: 'confirm';
      readonly epoch: number;
      readonly number: number;
      /** The receiver's own transaction that it repeats. */
      readonly became: number;
    }
  /** A probe: asks whether the sender of this epoch is the only active node. */
  | { readonly kind: 'probe'; readonly epoch: number; readonly number: number }
  | { readonly kind: 'probed'; readonly epoch: number; readonly number: number };

export type PeerKind = PeerMessage['kind'];

/** Who sent a message, and its number on the connection. */
export interface PeerStamp {
  readonly incarnation: number;
  readonly sequence: number;
}
