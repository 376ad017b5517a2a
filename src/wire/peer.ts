/**
 * What the two nodes of a pair say to each other (docs/peer-protocol.md). How it lies in frames is in
 * peer-codec.ts.
 */

/** The highest version that this program speaks; two nodes speak the lower of their highest ones. */
export const PEER_VERSION = 2;
/** Without numbered fields: every program up to that which demands keys off loopback. */
export type PeerVersion = 1 | typeof PEER_VERSION;
export const NONCE_BYTES = 16;
export const STORE_ID_BYTES = 16;
export const DIGEST_BYTES = 16;

export const PEER_STATES = ['waiting', 'passive', 'joining', 'active'] as const;
export const PEER_ROLES = ['primary', 'backup'] as const;
export const REPLICATIONS = ['off', 'async', 'sync', 'strict'] as const;

/** What a node holds of the other's store: every change up to there, and bodies. */
export interface PeerHolding {
  readonly storeId: Buffer;
  readonly upTo: number;
  readonly bodiesUpTo: number;
}

/** The first word of both: who is there. */
export interface Hello {
  readonly kind: 'hello';
  readonly pair: string;
  readonly role: (typeof PEER_ROLES)[number];
  readonly replication: (typeof REPLICATIONS)[number];
  readonly heartbeatIntervalMs: number;
  readonly node: string;
  /** `null`: it keeps nothing that could be replicated. */
  readonly storeId: Buffer | null;
  /** To be given back, so that each knows that the other one lives. */
  readonly nonce: Buffer;
  /** The highest that it has taken or followed; `null`: it speaks version 1, and says so later. */
  readonly epoch: number | null;
  /** The nonce that it was given on its connection before; nobody else knows it. */
  readonly resumes: Buffer | null;
  /** Where people reach its page, not checked; `null`: it does not say. */
  readonly publicUrl: string | null;
}

export type PeerMessage =
  | Hello
  | { readonly kind: 'proof'; readonly nonce: Buffer }
  /** Why the sender wants nothing to do with the other. */
  | { readonly kind: 'refuse'; readonly reason: string }
  | {
      readonly kind: 'status';
      readonly state: (typeof PEER_STATES)[number];
      readonly epoch: number;
      readonly offers: boolean;
      readonly holds: PeerHolding | null;
      /** Of the keys that it lets in, and their rights; `null`: there are none, or it does not say. */
      readonly keys: Buffer | null;
    }
  | { readonly kind: 'join'; readonly epoch: number; readonly holds: PeerHolding | null }
  /** Some of what the receiver lacks; with the last one it has it all. */
  | {
      readonly kind: 'records';
      readonly epoch: number;
      readonly index: number;
      readonly isLast: boolean;
      /** What the receiver holds once it has them. */
      readonly holds: PeerHolding;
      readonly records: Buffer;
    }
  /** They are on the receiver's disk, as its transaction `number`. */
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
      /** The receiver's changes up to it are on the sender's disk. */
      readonly holdsUpTo: number;
      readonly batch: Buffer;
    }
  | {
      readonly kind: 'confirm';
      readonly epoch: number;
      readonly number: number;
      /** The receiver's own transaction that it became. */
      readonly became: number;
    }
  /** Is there nobody but me? */
  | { readonly kind: 'probe'; readonly epoch: number; readonly number: number }
  | { readonly kind: 'probed'; readonly epoch: number; readonly number: number };

export type PeerKind = PeerMessage['kind'];

/** Who sent a message, and which one it was on its connection. */
export interface PeerStamp {
  readonly incarnation: number;
  readonly sequence: number;
}
