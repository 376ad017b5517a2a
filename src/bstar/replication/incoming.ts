/**
 * Data from the peer: records that this store lacks, and the active node's batches. They go into
 * the store one at a time, in order, and each is confirmed once it is on this disk (D14, D20).
 */
import { isFollowed, isLed } from '../facts.js';
import type { Pair } from '../ports.js';
import { isPartBatch, unpackPartBatch } from '../../store/chunk-codec.js';
import { unpackBatch } from '../../store/batch-codec.js';
import type { NodeMerged } from '../../store/node-store.js';
import type { PartRecords } from '../../store/ranked.js';
import type { Completion, Holding, MergeFailure } from '../../store/store.js';
import type { PeerMessage } from '../../wire/pair.js';
import type { ReplicatedStore } from './ports.js';
import type { Transactions } from './transactions.js';

type MessageOf<Kind extends PeerMessage['kind']> = Extract<PeerMessage, { readonly kind: Kind }>;

type Item = MessageOf<'records'> | MessageOf<'update'>;

interface IncomingDeps {
  readonly pair: Pair;
  readonly store: ReplicatedStore;
  readonly transactions: Transactions;
  /** Records from the peer are committed: how many changed, and how many have two replies. */
  readonly came: (joined: number, ranTwice: number) => void;
  /** Records that the peer sends to this node, which leads, are given to the store next. */
  readonly merging: () => void;
  /** What they changed is committed. */
  readonly merged: (merged: NodeMerged) => void;
  /** Changes of a part, by the active node, are committed. */
  readonly followed: (changes: PartRecords) => void;
  /** Data from the peer cannot be stored. */
  readonly failed: (why: string) => void;
}

export class Incoming {
  readonly #deps: IncomingDeps;
  #queue: Item[] = [];
  /** The item that the store has; `null` if its connection has ended meanwhile. */
  #storing: Item | null = null;
  #isStoring = false;

  constructor(deps: IncomingDeps) {
    this.#deps = deps;
  }

  records(message: MessageOf<'records'>): void {
    const { facts } = this.#deps.pair.state;
    const isWanted = isLed(facts, message.epoch)
      ? facts.progress === 'merging'
      : isFollowed(facts, message.epoch);
    if (isWanted) this.#add(message);
  }

  update(message: MessageOf<'update'>): void {
    if (isFollowed(this.#deps.pair.state.facts, message.epoch)) this.#add(message);
  }

  /** The connection ended: the peer sends again whatever is not confirmed. */
  clear(): void {
    this.#queue = [];
    this.#storing = null;
  }

  #add(item: Item): void {
    this.#queue.push(item);
    this.#storeNext();
  }

  #storeNext(): void {
    if (this.#isStoring) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#isStoring = true;
    this.#storing = next;
    if (next.kind === 'records') this.#merge(next);
    else this.#apply(next);
  }

  #merge({ epoch, records, holds }: MessageOf<'records'>): void {
    const { pair, store, transactions, merging, merged } = this.#deps;
    const isFromActive = !isLed(pair.state.facts, epoch);
    if (!isFromActive) merging();
    const { seenEpoch } = pair.state.facts;
    const transaction = transactions.ofPeer('all', holds);
    const { number } = transaction;
    const completion: Completion<NodeMerged, MergeFailure> = {
      done: (all) => {
        transactions.committed(number);
        merged(all);
        this.#stored(number, all.joined, all.ranTwice);
      },
      failed: ({ kind, message }) => {
        transactions.failed(number);
        // The record may have come without a body that this store lacks.
        if (kind === 'malformed') transactions.forgetHolds();
        this.#failed(message);
      },
    };
    store.merge(transaction, records, isFromActive, completion, seenEpoch);
  }

  #apply({ number, holdsUpTo, batch }: MessageOf<'update'>): void {
    const { transactions } = this.#deps;
    if (holdsUpTo > 0) transactions.peerHasUpTo(holdsUpTo);
    const holds = transactions.holdsAfter(number);
    if (holds === null || !this.#commit(batch, holds)) this.#failed('malformed bytes');
  }

  /** Returns false if the bytes are malformed. */
  #commit(bytes: Buffer, holds: Holding): boolean {
    const { pair, store, transactions } = this.#deps;
    if (isPartBatch(bytes)) {
      const batch = unpackPartBatch(bytes, pair.state.facts.seenEpoch);
      if (batch === null) return false;
      const { part, tombstones, changes } = batch;
      const transaction = transactions.ofPeer(tombstones, holds);
      const completion = this.#completion(transaction.number, { part, records: changes });
      store.commitRanked(transaction, part, changes, completion);
    } else {
      const batch = unpackBatch(bytes);
      if (batch === null) return false;
      const transaction = transactions.ofPeer(batch.tombstones, holds);
      store.commit(transaction, batch.changes, this.#completion(transaction.number, null));
    }
    return true;
  }

  /** @param changes that the batch has of a part; `null`: it has changes of requests */
  #completion(number: number, changes: PartRecords | null): Completion<unknown> {
    const { transactions, followed } = this.#deps;
    return {
      done: () => {
        transactions.committed(number);
        if (changes !== null && changes.records.length > 0) followed(changes);
        this.#stored(number, 0, 0);
      },
      failed: ({ message }) => {
        transactions.failed(number);
        this.#failed(message);
      },
    };
  }

  /**
   * The item is on disk.
   * @param number of this store's transaction
   * @param joined number of requests that it changed
   * @param ranTwice how many of these have two different replies
   */
  #stored(number: number, joined: number, ranTwice: number): void {
    const { pair, came } = this.#deps;
    const done = this.#storing;
    this.#storing = null;
    this.#isStoring = false;
    pair.stored();
    if (done?.kind === 'update') {
      pair.send({ kind: 'confirm', epoch: done.epoch, number: done.number, became: number });
    } else if (done?.kind === 'records') {
      const { epoch, index, isLast } = done;
      pair.send({ kind: 'taken', epoch, index, number, joined, ranTwice });
      if (isLed(pair.state.facts, epoch)) {
        came(joined, ranTwice);
        if (isLast) pair.state.merged();
      }
    }
    this.#storeNext();
    pair.applyState();
  }

  #failed(why: string): void {
    this.#isStoring = false;
    this.#deps.failed(why);
  }
}
