/**
 * The messages between the two nodes of a pair (docs/peer-protocol.md), and the table of their fields.
 * pair-codec.ts has their frames.
 */
import { isCount, isDuration, isSequence, isTransaction, isWhole } from '../core/numbers.js';
import {
  checked,
  FLAG,
  line,
  maybe,
  oneOf,
  optional,
  REST,
  run,
  type Shape,
  sized,
  struct,
  uint,
  type ValuesOf,
} from '../core/shapes.js';

/**
 * The highest version that this program speaks, from 1 on; two nodes use the lower of their highest
 * versions.
 */
export const PEER_VERSION = 1;
export const NONCE_BYTES = 16;
const STORE_ID_BYTES = 16;
export const DIGEST_BYTES = 16;

/** Sections of the configuration whose clients fail over: they know the listeners of both nodes by one key. */
export const FAILOVER_SECTIONS = ['broker', 'map'] as const;

export const PEER_STATES = ['waiting', 'passive', 'joining', 'active'] as const;
export const PEER_ROLES = ['primary', 'backup'] as const;
export const REPLICATIONS = ['off', 'async', 'sync', 'strict'] as const;

/** What a node holds of the other's store: every change up to this transaction, and bodies. */
export interface PeerHolding {
  readonly storeId: Buffer;
  readonly upTo: number;
  readonly bodiesUpTo: number;
}

/** Who sent a message, and its number on the connection. */
export interface PeerStamp {
  readonly incarnation: number;
  readonly sequence: number;
}

// ---------------------------------------------------------------- fields

function number(isOne: (value: number) => boolean): Shape<number> {
  return checked(uint(8), isOne);
}

const COUNT = number(isCount);
const SEQUENCE = number(isSequence);
/** An epoch as claimed: one too high is refused with its reason (D79), before anything follows from it. */
const CLAIMED_EPOCH = number((value) => isWhole(value, 0, Number.MAX_SAFE_INTEGER - 1));
const TRANSACTION = number(isTransaction);
/** A name, or a reason for display. */
const TEXT = line(sized(2), 1024);
const STORE_ID = run(STORE_ID_BYTES);
const NONCE = run(NONCE_BYTES);
const HOLDING = maybe(
  struct<PeerHolding>({ storeId: STORE_ID, upTo: TRANSACTION, bodiesUpTo: TRANSACTION }),
);
const PRESENT_HOLDING = checked(HOLDING, (holds) => holds !== null) as Shape<PeerHolding>;
/** No field of the head: the second frame. */
export const SECOND_FRAME: Shape<Buffer> = { ...REST, as: 'second frame' };

export const PEER_STAMP: Shape<PeerStamp> = struct({ incarnation: SEQUENCE, sequence: SEQUENCE });

/**
 * The messages and their fields; the positions of kinds, and of fields counted from 1, are their
 * numbers. So new fields are added at the end, as optional ones, and none is ever removed.
 */
export const PEER_FIELDS = {
  /** The first message of both nodes: who they are. */
  hello: {
    role: oneOf(...PEER_ROLES),
    replication: oneOf(...REPLICATIONS),
    heartbeatIntervalMs: number(isDuration),
    pair: TEXT,
    node: TEXT,
    /** The id of its store; `null`: it stores nothing that could be replicated. */
    storeId: maybe(STORE_ID),
    /** The other node returns it, so that each knows that the other is alive. */
    nonce: NONCE,
    /** The highest epoch that it has taken or followed. */
    epoch: CLAIMED_EPOCH,
    /** The nonce that it was given on its previous connection; no other node knows it. */
    resumes: optional(NONCE),
    /** The URL of its page, unchecked; `null`: it does not say. */
    publicUrl: optional(TEXT),
  },
  proof: { nonce: NONCE },
  /** Why the sender rejects the other node. */
  refuse: { reason: TEXT },
  status: {
    state: oneOf(...PEER_STATES),
    offers: FLAG,
    epoch: CLAIMED_EPOCH,
    holds: HOLDING,
    /** Digest of the keys that it accepts, and their rights; `null`: there are none, or it does not say. */
    keys: optional(run(DIGEST_BYTES)),
    /** A digest of the public keys of its listeners for each section; `null`: it does not say. */
    listenerKeys: optional(run(DIGEST_BYTES * FAILOVER_SECTIONS.length)),
  },
  join: { epoch: SEQUENCE, holds: HOLDING },
  /** Part of what the receiver lacks; after the last chunk it has everything. */
  records: {
    epoch: SEQUENCE,
    index: SEQUENCE,
    isLast: FLAG,
    /** What the receiver holds after it has merged them. */
    holds: PRESENT_HOLDING,
    records: SECOND_FRAME,
  },
  /** The sender has the records on its disk, as its transaction `number`. */
  taken: { epoch: SEQUENCE, index: SEQUENCE, number: TRANSACTION, joined: COUNT, ranTwice: COUNT },
  /** The sender's transaction `number`; the receiver's up to `holdsUpTo` are on the sender's disk. */
  update: { epoch: SEQUENCE, number: TRANSACTION, holdsUpTo: TRANSACTION, batch: SECOND_FRAME },
  /** The sender has stored the peer's transaction `number` as its own transaction `became`. */
  confirm: { epoch: SEQUENCE, number: TRANSACTION, became: TRANSACTION },
  /** A probe: asks whether the sender of this epoch is the only active node. */
  probe: { epoch: SEQUENCE, number: TRANSACTION },
  probed: { epoch: SEQUENCE, number: TRANSACTION },
};

export type PeerKind = keyof typeof PEER_FIELDS;

export type PeerMessage = {
  [Kind in PeerKind]: { readonly kind: Kind } & ValuesOf<(typeof PEER_FIELDS)[Kind]>;
}[PeerKind];

export type PairHello = Extract<PeerMessage, { readonly kind: 'hello' }>;
