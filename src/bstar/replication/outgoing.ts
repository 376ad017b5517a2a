/**
 * Sends this node's changes to the other store: first chunks of what that store lacks, then batch
 * by batch. It also decides which of this node's batches wait until the other node has them (D14,
 * D20).
 */
import { type Facts, isFollowed, isLed, type ReplicationMode } from '../facts.js';
import type { JoinFigures, PairState } from '../ports.js';
import type { PeerHolding, PeerMessage } from '../../wire/pair.js';
import { Acks, type Held } from './acks.js';
import { CatchUp } from './catch-up.js';
import type { Transactions } from './transactions.js';

/** `async`: how much may be sent and not confirmed before it is read from the store instead. */
const UNCONFIRMED_BYTES_MAX = 16 * 1024 * 1024;

type MessageOf<Kind extends PeerMessage['kind']> = Extract<PeerMessage, { readonly kind: Kind }>;

/** A batch that was given to the store while the end of a catch-up was being read. */
interface Batch {
  readonly number: number;
  readonly bytes: Buffer;
}

/** The effects of `Outgoing`. */
export interface OutgoingSink {
  send(message: PeerMessage): void;
  /** Reads what is above this position in the store; `chunk` follows. `null`: everything. */
  read(from: PeerHolding | null): void;
  /** Reads on after the last chunk; `chunk` follows. */
  readOn(): void;
  /** What is on this disk alone now was promised to both. */
  readonly isDoubtful: boolean;
  /** Both stores have the same content. */
  joined(figures: JoinFigures): void;
}

export class Outgoing {
  /** True if outcomes wait for the peer. */
  readonly #waits: boolean;
  readonly #state: PairState;
  readonly #transactions: Transactions;
  readonly #sink: OutgoingSink;
  readonly #acks = new Acks();
  catchUp: CatchUp | null = null;
  /** The number of the last chunk that was sent; none is reused on a connection. */
  #lastChunk = 0;
  #sinceRead: Batch[] = [];
  /** The stores are alike once the peer has this transaction: the last one sent with the last chunk. */
  #syncsAt = 0;
  /** Whether the peer has the last chunk of this join, but not yet that transaction. */
  #isLastTaken = false;
  /** What the peer said it holds of this store. */
  peerHolds: PeerHolding | null = null;
  /** The number of requests that came from the peer in this join. */
  #fromPeer = 0;
  #ranTwice = 0;

  constructor(
    mode: ReplicationMode,
    state: PairState,
    transactions: Transactions,
    sink: OutgoingSink,
  ) {
    this.#waits = mode !== 'async';
    this.#state = state;
    this.#transactions = transactions;
    this.#sink = sink;
  }

  get #facts(): Readonly<Facts> {
    return this.#state.facts;
  }

  /** True while what the peer lacks is being sent. */
  get isSending(): boolean {
    return this.catchUp !== null;
  }

  /** True if the peer has everything that was sent, or nothing waits for it. */
  get isConfirmed(): boolean {
    return this.#acks.isEmpty;
  }

  /** True if the peer has, or was sent, everything so far. */
  get isLive(): boolean {
    const { progress } = this.#facts;
    return progress === 'holding' || progress === 'in sync';
  }

  /** When the longest wait of a batch began; Infinity if none waits. */
  get oldest(): number {
    return this.#acks.oldest;
  }

  /** When `run` is next due if no input arrives. */
  get dueAt(): number {
    return this.catchUp?.dueAt ?? Infinity;
  }

  // ---------------------------------------------------------------- begin and end

  /** The peer has joined, and said what it holds. */
  peerJoined(holds: PeerHolding | null): void {
    this.peerHolds = holds;
    this.#stop();
    this.#fromPeer = 0;
    this.#ranTwice = 0;
  }

  /** Some of the peer's data is in this store. */
  came(joined: number, ranTwice: number): void {
    this.#fromPeer += joined;
    this.#ranTwice += ranTwice;
  }

  /**
   * Starts sending: on the active node once the peer's data is merged, on the joining node at once.
   */
  start(epoch: number): void {
    this.#forgetSinceRead();
    this.#stop();
    this.catchUp = new CatchUp(
      {
        read: (from) => this.#sink.read(from),
        readOn: () => {
          this.#forgetSinceRead();
          this.#sink.readOn();
        },
        send: (index, isLast, holds, records) => {
          this.#lastChunk = index;
          this.#sink.send({ kind: 'records', epoch, index, isLast, holds, records });
        },
      },
      this.peerHolds,
      this.#lastChunk,
    );
  }

  /** The connection ended. */
  connectionEnded(now: number): void {
    this.#stop();
    this.#forgetSinceRead();
    this.peerHolds = null;
    this.#acks.forgetSent(now);
  }

  /** Releases all batches: nothing waits for the peer any more. */
  release(): void {
    for (const held of this.#acks.takeAll()) held.released(this.#sink.isDoubtful);
  }

  /** Forgets all batches: this node no longer leads, and nobody needs their outcome. */
  drop(): void {
    this.#acks.takeAll();
    this.#sinceRead = [];
    this.#stop();
  }

  #stop(): void {
    this.catchUp = null;
    this.#isLastTaken = false;
  }

  // ---------------------------------------------------------------- what the peer lacks

  /**
   * Sends a chunk that `read` or `readOn` asked the store for.
   * @param isLast the store has no more that the peer lacks
   */
  chunk(records: Buffer, holds: PeerHolding, isLast: boolean, now: number): void {
    const catchUp = this.catchUp;
    if (catchUp?.isReading !== true) return;
    // There is more: later commits do not wait until the peer has taken this chunk.
    if (!isLast) this.#forgetSinceRead();
    catchUp.chunk(records, holds, isLast, now);
    if (isLast && this.#facts.state === 'active') this.catchUpEnds(holds.upTo, now);
  }

  /** From here on, changes are sent batch by batch, and commits wait for the peer. */
  catchUpEnds(upTo: number, now: number): void {
    this.#acks.add(upTo, 0, null, now);
    this.#state.shipped();
    const since = this.#sinceRead;
    this.#sinceRead = [];
    // The stores count as alike only when the peer has every batch of this read, too: one that was released meanwhile
    // may be acknowledged from then on.
    this.#syncsAt = Math.max(upTo, since.at(-1)?.number ?? 0);
    for (const { number, bytes } of since) this.#update(number, bytes, now);
  }

  taken({ epoch, index, number, joined, ranTwice }: MessageOf<'taken'>, now: number): void {
    const isMine = isLed(this.#facts, epoch);
    const catchUp = this.catchUp;
    if (catchUp === null || (!isMine && !isFollowed(this.#facts, epoch))) return;
    const chunk = catchUp.taken(index, joined, ranTwice, now);
    if (chunk === null) return;
    this.peerHolds = chunk.holds;
    this.#transactions.peerHasUpTo(chunk.holds.upTo);
    if (!isMine) return;
    this.#transactions.peerMade(number, 0);
    if (!chunk.isLast) return;
    this.#isLastTaken = true;
    this.#peerHas(chunk.holds.upTo);
  }

  /** The peer has everything up to this transaction. */
  #peerHas(upTo: number): void {
    const catchUp = this.#isLastTaken && upTo >= this.#syncsAt ? this.catchUp : null;
    const isFirst = catchUp !== null && this.#facts.progress === 'holding';
    if (catchUp !== null) {
      this.#isLastTaken = false;
      this.#state.confirmed();
    }
    for (const held of this.#acks.takeUpTo(upTo)) held.released(false);
    if (catchUp === null || !isFirst) return;
    this.#sink.joined({
      fromPeer: this.#fromPeer,
      toPeer: catchUp.joined,
      ranTwice: this.#ranTwice + catchUp.ranTwice,
    });
  }

  /** Whether the chunk being read may be the last of what the peer lacks. */
  get #isCatchingUp(): boolean {
    return this.#facts.state === 'active' && this.catchUp?.isReading === true;
  }

  /** Forgets batches that came during a chunk that was not the last: they are in the next one. */
  #forgetSinceRead(): void {
    const since = this.#sinceRead;
    this.#sinceRead = [];
    if (this.#state.holdsBack) return;
    for (const { number } of since) {
      this.#acks.take(number)?.released(this.#sink.isDoubtful);
    }
  }

  // ---------------------------------------------------------------- batch by batch

  /**
   * The store is given a batch of this node's own changes.
   * @param pack returns its bytes; called only if they are to be sent
   * @returns true if its outcome waits for the peer
   */
  begin(number: number, outcome: Held, pack: () => Buffer, now: number): boolean {
    this.catchUp?.serves(number);
    const isLive = this.isLive;
    const isHeld = this.#waits && (this.#state.holdsBack || this.#isCatchingUp);
    if (isHeld) this.#acks.add(number, 0, outcome, now);
    if (isLive) this.#update(number, pack(), now);
    else if (this.#isCatchingUp) this.#sinceRead.push({ number, bytes: pack() });
    return isHeld;
  }

  #update(number: number, batch: Buffer, now: number): void {
    const { epoch } = this.#facts;
    this.#acks.add(number, batch.length, null, now);
    const holdsUpTo = this.#transactions.holds?.upTo ?? 0;
    this.#sink.send({ kind: 'update', epoch, number, holdsUpTo, batch });
    if (this.#waits || this.#acks.bytes <= UNCONFIRMED_BYTES_MAX) return;
    this.#acks.takeAll();
    this.#stop();
    this.#state.fellBehind();
  }

  /** The store could not keep this batch. */
  rolledBack(number: number): void {
    this.#sinceRead = this.#sinceRead.filter((batch) => batch.number !== number);
    this.#acks.take(number);
  }

  /** The peer has this batch, and all before it. */
  confirmedByPeer({ epoch, number, became }: MessageOf<'confirm'>): void {
    if (!isLed(this.#facts, epoch)) return;
    this.#transactions.peerHasUpTo(number);
    this.#transactions.peerMade(became, number);
    if (this.peerHolds !== null) {
      this.peerHolds = { ...this.peerHolds, upTo: number, bodiesUpTo: number };
    }
    this.#peerHas(number);
  }
}
