/**
 * The store port of ranked records: what extensions keep beside the requests. Each part of the store has a
 * number, which names it in the file, in the peer's stream and in a backup (`Extension.part`); 0 is that of
 * the requests (node-store.ts). What a body means is known to its extension alone, so a node keeps the
 * records of a part that no extension of its program knows, and passes them on (D115).
 *
 * A change is a record. Per part and key the record of the higher number stays, in a commit and in a merge
 * alike (D54), so applying changes a second time changes nothing, and two stores that have taken in each
 * other's records have the same content.
 *
 * A deletion leaves a tombstone (`Transaction.tombstones`): with `none` never, with `known` if the
 * key was here, with `all` always. Tombstones whose change the peer's disk has (`peerHolds`) are
 * dropped, some in each transaction.
 */
import type { Completion, Transaction } from './store.js';

/** Parts have the numbers 1 to this one. */
export const PART_MAX = 255;
export const RANKED_KEY_BYTES_MAX = 255;

interface Rank {
  /** The epoch of the pair, or of a node outside of one: 24 bits. */
  readonly epoch: number;
  /** Within its epoch: 40 bits. */
  readonly counter: number;
}

export interface Ranked extends Rank {
  /** Latin-1, a character for each of 1 to 255 bytes. */
  readonly key: string;
  /** The record is a deletion: it is not listed, and stored only as a tombstone. */
  readonly isDeleted: boolean;
  /** Bytes that the extension has made; often a view of a message. */
  readonly body: Buffer;
}

/** Positive if `a` stays, 0 if both are the same change. */
export function compareRanks(a: Rank, b: Rank): number {
  return a.epoch - b.epoch || a.counter - b.counter;
}

/** Records of one part. */
export interface PartRecords {
  readonly part: number;
  readonly records: readonly Ranked[];
}

/** How many records a store has of a part, without tombstones. */
export interface PartCount {
  readonly part: number;
  readonly records: number;
}

/** What a merge did to one part. */
export interface RankedMerged {
  readonly part: number;
  /** Records that won and differ from what was here, tombstones as deletions. */
  readonly changed: readonly Ranked[];
  /** Records that lost, each after the deletion that won here if one did, and deletions of what was not here. */
  readonly ineffective: readonly Ranked[];
  /**
   * Keys that both sides had changed: the record here was changed by a transaction above
   * `peerHolds`, and has another number.
   */
  readonly conflicts: readonly string[];
}

/** The tombstones of one part on disk. */
export interface TombstoneSizes {
  readonly part: number;
  readonly count: number;
  /** The bytes of their keys. */
  readonly keyBytes: number;
}

/** What a store reports of its parts besides the outcome of calls; never within a call. */
export interface RankedStoreEvents {
  /**
   * The tombstones of a part have become more or fewer. Reported before the outcome of a commit or merge
   * that changed them; and at any time, when the store drops those that the peer has.
   */
  tombstones(sizes: TombstoneSizes): void;
}

/**
 * A store of ranked records. Calls take effect in their order. What is listed includes every transaction
 * that was requested before and committed.
 */
export interface RankedStore {
  /** All changes of a part, in their order, or none of them. */
  commitRanked(
    transaction: Transaction,
    part: number,
    changes: readonly Ranked[],
    completion: Completion<unknown>,
  ): void;
  /**
   * Lists records of a part, some at a time: those whose key, as bytes, is above this one, in order of their
   * keys and without deletions. An empty list: there are no more.
   * @param after empty: from the first
   */
  listRanked(part: number, after: string, completion: Completion<readonly Ranked[]>): void;
}

/** What becomes of a batch. If it awaits the peer, its consequences wait for `done` and `released`. */
export interface RankedOutcome extends Completion<unknown> {
  /**
   * The peer has it, or was lost. Called at any time, if the batch awaits the peer.
   * @param isDoubtful it was lost, and the changes were promised to both disks
   */
  released(isDoubtful: boolean): void;
}

/** How an extension commits changes of its part. In a pair, another store holds them as well. */
export interface RankedReplica {
  /** Why nothing may be changed now (`strict` without a peer in sync), or `null`. */
  readonly refusal: string | null;
  /**
   * True while this node hands over to its peer: what is under way ends, and nothing new begins. Absent: it
   * never does.
   */
  readonly isHandingOver?: boolean;
  /**
   * Gives the changes to the store, as one transaction.
   * @returns true if it awaits the peer
   */
  commit(changes: readonly Ranked[], outcome: RankedOutcome): boolean;
}

/** An extension, as the store and replication tell it of its part. */
export interface StoredPart extends RankedStoreEvents {
  /** Changes of the active node are on this disk, in order. */
  followed(changes: readonly Ranked[]): void;
  /** What the peer had that this node had not. */
  merged(merged: RankedMerged): void;
  /**
   * The store is about to take in records of the peer, which may have led with this epoch, above this
   * node's own: what changes from now on is numbered above them, or the store would keep theirs (D54).
   */
  numbersAbove(epoch: number): void;
}

/** A part of a node's store, for its extension. */
export interface PartStorage {
  readonly replica: RankedReplica;
  list(after: string, completion: Completion<readonly Ranked[]>): void;
  /** The highest epoch of any record in the store, of all parts; 0: there is none. */
  readonly epochMax: number;
  /** When the store was opened. */
  readonly tombstones: TombstoneSizes;
  /** From now on, this extension is told what becomes of the part. */
  serve(part: StoredPart): void;
}
