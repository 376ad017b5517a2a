/**
 * Keeps the two stores of a pair alike. Every transaction of this node's store begins here: those of
 * Titanic and of extensions, and those with data from the peer. The node's own are sent to the peer as
 * well, and their outcome waits until the peer has them (D14, D17, D20). To the pair, which carries
 * records and batches over the link, they are bytes.
 */
import type { PairEvents } from '../pair-events.js';
import { isLed, type ReplicationMode } from '../facts.js';
import type { JoinFigures, Pair, ReplicationMessage, Replicator } from '../ports.js';
import { present } from '../../core/assert.js';
import { DISK_BATCH_BYTES } from '../../core/defaults.js';
import { packPartBatch } from '../../store/chunk-codec.js';
import { packBatch } from '../../store/batch-codec.js';
import type { BatchOutcome, Replica } from '../../titanic/machine/requests/replica.js';
import type { NodeMerged } from '../../store/node-store.js';
import type { Ranked, RankedOutcome, RankedReplica } from '../../store/ranked.js';
import {
  type Change,
  type ChangeResult,
  type Completion,
  type Holding,
  cursorFor,
  type ReadCursor,
  type Recovered,
  type Tombstones,
} from '../../store/store.js';
import type { PeerHolding, PeerMessage } from '../../wire/pair.js';
import { Incoming } from './incoming.js';
import { Outgoing, type OutgoingSink } from './outgoing.js';
import type { ReplicatedPart, ReplicatedStore, ReplicatedTitanic } from './ports.js';
import { Transactions } from './transactions.js';

/**
 * Size of a chunk of records: reading one takes no longer than a commit, since commits wait
 * meanwhile.
 */
const CHUNK_REQUESTS = 250;
const CHUNK_BYTES = 256 * 1024;

const STRICT_REFUSAL = 'the peer is not in sync, and titanic.replication is strict';

export class Replication implements Replica, Replicator, OutgoingSink {
  readonly isPaired = true;
  readonly answerMs = Infinity;
  readonly batchesMax = 1;
  readonly batchBytesMax = DISK_BATCH_BYTES;
  readonly silence = null;
  readonly storeId: Buffer;
  readonly #mode: ReplicationMode;
  readonly #store: ReplicatedStore;
  readonly #events: PairEvents;
  readonly #transactions: Transactions;
  #titanic: ReplicatedTitanic | null = null;
  /** Extensions whose changes are copied, by the numbers of their parts. Without one, changes of the peer are kept. */
  readonly parts = new Map<number, ReplicatedPart>();
  readonly #unserved: (part: number) => void;
  #pair: Pair | null = null;
  #outgoing: Outgoing | null = null;
  #incoming: Incoming | null = null;
  /** Where reading what the peer lacks continues. */
  #cursor: ReadCursor | null = null;
  /** Where the reading in progress began: the results of earlier ones are ignored. */
  #reading: ReadCursor | null = null;
  #lastProbe = 0;
  /** Time of this turn: monotonic milliseconds. */
  #now = 0;

  /**
   * @param mode `titanic.replication`
   * @param unserved called when the peer sends records of a part that no extension here serves
   */
  constructor(
    mode: ReplicationMode,
    store: ReplicatedStore,
    recovered: Recovered,
    events: PairEvents,
    unserved: (part: number) => void = () => undefined,
  ) {
    const { storeId, firstTransaction, holds } = recovered;
    this.#mode = mode;
    this.#store = store;
    this.#events = events;
    this.#unserved = unserved;
    this.storeId = storeId;
    this.#transactions = new Transactions(storeId, firstTransaction, holds);
  }

  /** The Titanic machine whose changes are copied. */
  serve(titanic: ReplicatedTitanic): void {
    this.#titanic = titanic;
  }

  /** The replica of a part. */
  partReplica(part: number): RankedReplica {
    const refusal = (): string | null => this.refusal;
    const isHandingOver = (): boolean => this.isHandingOver;
    return {
      get refusal() {
        return refusal();
      },
      get isHandingOver() {
        return isHandingOver();
      },
      commit: (changes, outcome) => this.#commitRanked(part, changes, outcome),
    };
  }

  attach(pair: Pair): void {
    const transactions = this.#transactions;
    const outgoing = new Outgoing(this.#mode, pair.state, transactions, this);
    this.#pair = pair;
    this.#outgoing = outgoing;
    this.#incoming = new Incoming({
      pair,
      store: this.#store,
      transactions,
      came: (joined, ranTwice) => outgoing.came(joined, ranTwice),
      merging: () => {
        const { seenEpoch } = this.#ofPair.state.facts;
        for (const part of this.parts.values()) part.numbersAbove(seenEpoch);
      },
      merged: (all) => this.#merged(all),
      followed: ({ part, records }) => this.#partOf(part)?.followed(records),
      failed: (why) => this.#failed(why),
    });
  }

  get #ofPair(): Pair {
    return present(this.#pair, 'replication belongs to a pair');
  }

  get #ofTitanic(): ReplicatedTitanic {
    return present(this.#titanic, 'replication belongs to a Titanic');
  }

  get #out(): Outgoing {
    return present(this.#outgoing, 'replication belongs to a pair');
  }

  get #in(): Incoming {
    return present(this.#incoming, 'replication belongs to a pair');
  }

  // ---------------------------------------------------------------- Titanic's changes

  get refusal(): string | null {
    return this.#mode === 'strict' && !this.#ofPair.state.isInSync ? STRICT_REFUSAL : null;
  }

  get isHandingOver(): boolean {
    return this.#ofPair.state.facts.handover !== 'none';
  }

  commit(changes: readonly Change[], outcome: BatchOutcome<readonly ChangeResult[]>): boolean {
    const tombstones = this.#tombstones;
    const transaction = this.#transactions.ofOwn(tombstones);
    const { number } = transaction;
    const pack = (): Buffer => packBatch({ tombstones, changes });
    const awaitsPeer = this.#out.begin(number, outcome, pack, this.#now);
    this.#store.commit(transaction, changes, this.#completion(number, outcome));
    return awaitsPeer;
  }

  /** What is called when a batch of this node's own changes is committed, or has failed. */
  #completion<Result>(number: number, outcome: Completion<Result>): Completion<Result> {
    return {
      done: (result) => {
        this.#transactions.committed(number);
        outcome.done(result);
      },
      failed: (failure) => {
        this.#transactions.failed(number);
        // The batch is not in this store, but may be on its way to the peer.
        this.#out.rolledBack(number);
        if (this.#out.isLive) this.#ofPair.reconnect();
        outcome.failed(failure);
      },
    };
  }

  get #tombstones(): Tombstones {
    return this.#ofPair.state.isInSync ? 'known' : 'all';
  }

  // ---------------------------------------------------------------- changes of extensions

  #partOf(part: number): ReplicatedPart | null {
    const served = this.parts.get(part) ?? null;
    if (served === null) this.#unserved(part);
    return served;
  }

  #commitRanked(part: number, changes: readonly Ranked[], outcome: RankedOutcome): boolean {
    const tombstones = this.#tombstones;
    const transaction = this.#transactions.ofOwn(tombstones);
    const { number } = transaction;
    const pack = (): Buffer => packPartBatch({ part, tombstones, changes });
    const awaitsPeer = this.#out.begin(number, outcome, pack, this.#now);
    this.#store.commitRanked(transaction, part, changes, this.#completion(number, outcome));
    return awaitsPeer;
  }

  probe(): number | null {
    const { state } = this.#ofPair;
    const { facts } = state;
    if (facts.state !== 'active') return null;
    if (facts.promoted) return 0;
    if (!state.isInSync) return null;
    this.send({ kind: 'probe', epoch: facts.epoch, number: ++this.#lastProbe });
    return this.#lastProbe;
  }

  /** Records of the peer are in this store. */
  #merged({ opened, ended, parts }: NodeMerged): void {
    for (const merged of parts) {
      const { part, changed, ineffective, conflicts } = merged;
      const isNews = changed.length > 0 || ineffective.length > 0 || conflicts.length > 0;
      if (isNews) this.#partOf(part)?.merged(merged);
    }
    if (this.#ofPair.state.facts.state === 'active') this.#ofTitanic.merged(opened, ended);
  }

  #failed(text: string): void {
    this.#events.emit({ name: 'ha.failed', text });
    this.#ofPair.storeFailed();
  }

  // ---------------------------------------------------------------- the pair's inputs

  get holds(): Holding | null {
    return this.#transactions.holds;
  }

  get isConfirmed(): boolean {
    return this.#out.isConfirmed;
  }

  get isSending(): boolean {
    return this.#out.isSending;
  }

  get oldest(): number {
    return this.#out.oldest;
  }

  get dueAt(): number {
    return this.#out.dueAt;
  }

  setTime(now: number): void {
    this.#now = now;
  }

  run(): void {
    this.#out.catchUp?.run(this.#now);
  }

  connectionEnded(): void {
    this.#in.clear();
    this.#out.connectionEnded(this.#now);
    this.#ofTitanic.unprobed();
  }

  peerHolds(holds: PeerHolding | null): void {
    this.#out.peerHolds = holds;
  }

  peerJoined(holds: PeerHolding | null): void {
    // What it holds of this store is no conflict when it is merged, and needs no tombstones.
    const held = this.#transactions.readFrom(holds);
    if (held !== null) this.#transactions.peerHasUpTo(held.upTo);
    this.#out.peerJoined(holds);
  }

  start(epoch: number): void {
    this.#out.start(epoch);
  }

  release(): void {
    this.#out.release();
  }

  drop(): void {
    this.#out.drop();
    this.#in.clear();
    this.#ofTitanic.unprobed();
  }

  message(message: ReplicationMessage): void {
    const { state } = this.#ofPair;
    switch (message.kind) {
      case 'records':
        this.#in.records(message);
        return;
      case 'taken':
        this.#out.taken(message, this.#now);
        return;
      case 'update':
        this.#in.update(message);
        return;
      case 'confirm':
        this.#out.confirmedByPeer(message);
        return;
      case 'probe':
        if (state.follows(message.epoch)) this.send({ ...message, kind: 'probed' });
        return;
      case 'probed':
        if (isLed(state.facts, message.epoch) && state.isInSync) {
          this.#ofTitanic.probed(message.number);
        }
    }
  }

  /**
   * Writes `holds` to disk, if it has changed since it was last written: otherwise a restart forgets it, and the peer
   * sends its data again (D20).
   */
  writeHoldings(): void {
    const transaction = this.#transactions.ofHolding();
    if (transaction === null) return;
    const { number } = transaction;
    this.#store.commit(transaction, [], {
      done: () => this.#transactions.committed(number),
      // At worst the peer sends something again.
      failed: () => this.#transactions.failed(number),
    });
  }

  // ---------------------------------------------------------------- effects of `Outgoing`

  send(message: PeerMessage): void {
    this.#ofPair.send(message);
  }

  read(from: PeerHolding | null): void {
    this.#cursor = cursorFor(this.#transactions.readFrom(from));
    this.readOn();
  }

  readOn(): void {
    const place = this.#cursor;
    if (place === null) return;
    this.#reading = place;
    this.#store.read(place, CHUNK_REQUESTS, CHUNK_BYTES, {
      done: ({ records, holds, next }) => {
        // Another reading has begun.
        if (place !== this.#reading) return;
        this.#cursor = next;
        this.#out.chunk(records, holds, next === null, this.#now);
        this.#ofPair.applyState();
      },
      // Data from the peer may still be on its way to the disk.
      failed: ({ message }) => {
        if (place === this.#reading) this.#failed(message);
      },
    });
  }

  get isDoubtful(): boolean {
    return this.refusal !== null;
  }

  joined(figures: JoinFigures): void {
    this.writeHoldings();
    this.#events.emit({ name: 'ha.merged', ...figures });
  }
}
