/**
 * What the peer lacks, sent in chunks: at most two are out at once, or one that is large, so that a
 * peer a million requests behind costs little memory. While clients store something one is out a
 * quarter of the time, so that they keep more than half of the machine, unless the peer then falls
 * farther behind (D20).
 */
import type { PeerHolding } from '../wire/peer.js';

const CHUNKS_OUT_MAX = 2;
/**
 * A request is sent whole, however large. Behind one the last chunk would be late over a slow link,
 * and what is committed waits for that.
 */
const BYTES_OUT_MAX = 2 * 1024 * 1024;
const REST_PER_CHUNK = 3;
/** After so many chunks it is looked at whether the peer comes nearer. */
const CHUNKS_PER_LOOK = 50;
/** A chunk that takes longer waits for a link or a disk, which nobody else is kept from. */
const REST_MS_MAX = 100;

interface Chunk {
  readonly sentAt: number;
  readonly bytes: number;
  readonly holds: PeerHolding;
  readonly isLast: boolean;
}

export interface StreamSink {
  read(from: PeerHolding | null): void;
  readOn(): void;
  send(index: number, isLast: boolean, holds: PeerHolding, records: Buffer): void;
}

export class Stream {
  readonly #sink: StreamSink;
  readonly #out = new Map<number, Chunk>();
  #index: number;
  #bytesOut = 0;
  #isReading = false;
  #isLastRead = false;
  /** When the next one is read although nothing comes. Monotonic milliseconds. */
  #readAt = Infinity;
  /** Clients had something stored since the last chunk. */
  #isBusy = false;
  /** Of the last transaction of this node's own. */
  #number = 0;
  /** How many transactions the peer was behind at the last look. */
  #gap = Infinity;
  #chunks = 0;
  #comesNearer = true;
  joined = 0;
  ranTwice = 0;

  /** @param after the number of the chunk before its first one */
  constructor(sink: StreamSink, from: PeerHolding | null, after: number) {
    this.#sink = sink;
    this.#index = after;
    this.#isReading = true;
    sink.read(from);
  }

  /** What goes into the store from now on is not in what is being read. */
  get isReading(): boolean {
    return this.#isReading;
  }

  get dueAt(): number {
    return this.#readAt;
  }

  run(now: number): void {
    if (now >= this.#readAt) this.#readOn();
  }

  /** Clients have something stored, in the transaction of that number. */
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

  /** The peer has it on disk. Returns what it was, or `null`: none that is out. */
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

  /** Else a peer of an active that is never idle might not catch up at all. */
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
