/**
 * Sends what the peer lacks in chunks. At most two are unconfirmed at once, or one that is large,
 * so that a peer that is a million requests behind costs little memory. While clients store
 * requests, a chunk is unconfirmed only a quarter of the time, so that they keep more than half of
 * the machine, unless the peer then falls farther behind (D20).
 */
import type { PeerHolding } from '../../wire/pair.js';

const CHUNKS_OUT_MAX = 2;
/**
 * A request is sent whole, however large. Over a slow link, a large one would delay the last chunk,
 * for which commits wait.
 */
const BYTES_OUT_MAX = 2 * 1024 * 1024;
const REST_PER_CHUNK = 3;
/** After this many chunks, checks whether the peer is catching up. */
const CHUNKS_PER_LOOK = 50;
/** A chunk that takes longer waits for a link or a disk, which keeps nobody else from working. */
const REST_MS_MAX = 100;

interface Chunk {
  readonly sentAt: number;
  readonly bytes: number;
  readonly holds: PeerHolding;
  readonly isLast: boolean;
}

interface CatchUpSink {
  read(from: PeerHolding | null): void;
  readOn(): void;
  send(index: number, isLast: boolean, holds: PeerHolding, records: Buffer): void;
}

export class CatchUp {
  readonly #sink: CatchUpSink;
  readonly #out = new Map<number, Chunk>();
  #index: number;
  #bytesOut = 0;
  #isReading = false;
  #isLastRead = false;
  /** When the next chunk is read if no input arrives. Monotonic milliseconds. */
  #readAt = Infinity;
  /** Clients had requests stored since the last chunk. */
  #isBusy = false;
  /** The number of this node's own last transaction. */
  #number = 0;
  /** How many transactions the peer was behind at the last check. */
  #gap = Infinity;
  #chunks = 0;
  #comesNearer = true;
  joined = 0;
  ranTwice = 0;

  /** @param after the number of the chunk before its first one */
  constructor(sink: CatchUpSink, from: PeerHolding | null, after: number) {
    this.#sink = sink;
    this.#index = after;
    this.#isReading = true;
    sink.read(from);
  }

  /** Whatever goes into the store from now on is not in the chunk being read. */
  get isReading(): boolean {
    return this.#isReading;
  }

  get dueAt(): number {
    return this.#readAt;
  }

  run(now: number): void {
    if (now >= this.#readAt) this.#readOn();
  }

  /** Clients had changes stored, in the transaction of this number. */
  serves(number: number): void {
    this.#isBusy = true;
    this.#number = number;
  }

  chunk(records: Buffer, holds: PeerHolding, isLast: boolean, now: number): void {
    this.#isReading = false;
    this.#isLastRead = isLast;
    this.#bytesOut += records.length;
    this.#out.set(++this.#index, { sentAt: now, bytes: records.length, holds, isLast });
    this.#sink.send(this.#index, isLast, holds, records);
    if (!this.#isBusy || !this.#comesNearer) this.#readOn();
  }

  /**
   * The peer has the chunk on disk. Returns the chunk, or `null` if none of that number is
   * unconfirmed.
   */
  taken(index: number, joined: number, ranTwice: number, now: number): Chunk | null {
    const chunk = this.#out.get(index);
    if (chunk === undefined) return null;
    this.#out.delete(index);
    this.#bytesOut -= chunk.bytes;
    this.joined += joined;
    this.ranTwice += ranTwice;
    this.#look(chunk.holds.upTo);
    const restMs = this.#isBusy && this.#comesNearer ? REST_PER_CHUNK * (now - chunk.sentAt) : 0;
    this.#isBusy = false;
    if (restMs > 0) this.#readAt = now + Math.min(restMs, REST_MS_MAX);
    else this.#readOn();
    return chunk;
  }

  /**
   * Notes whether the peer comes nearer. If not, chunks follow without a rest: otherwise the peer of an active node that
   * is never idle might never catch up.
   */
  #look(upTo: number): void {
    if (++this.#chunks % CHUNKS_PER_LOOK > 0) return;
    const gap = this.#number - upTo;
    this.#comesNearer = gap < this.#gap;
    this.#gap = gap;
  }

  #readOn(): void {
    this.#readAt = Infinity;
    if (this.#isLastRead || this.#isReading) return;
    if (this.#out.size >= CHUNKS_OUT_MAX || this.#bytesOut > BYTES_OUT_MAX) return;
    this.#isReading = true;
    this.#sink.readOn();
  }
}
