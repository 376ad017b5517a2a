/**
 * What the peer lacks, sent in chunks: at most two are out at once, or one that is large, so that a peer a million requests
 * behind costs little memory, and service goes on meanwhile (D20).
 */
import type { PeerHolding } from '../wire/peer.js';

const CHUNKS_OUT_MAX = 2;
/**
 * A request is sent whole, however large. Behind one the last chunk would be late over a slow link,
 * and what is committed waits for that.
 */
const BYTES_OUT_MAX = 2 * 1024 * 1024;

interface Chunk {
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

  chunk(records: Buffer, holds: PeerHolding, isLast: boolean): void {
    this.#isReading = false;
    this.#isLastRead = isLast;
    const bytes = records.length;
    this.#out.set(++this.#index, { bytes, holds, isLast });
    this.#bytesOut += bytes;
    this.#sink.send(this.#index, isLast, holds, records);
    this.#readOn();
  }

  /** The peer has it on disk. Returns what it was, or `null`: none that is out. */
  taken(index: number, joined: number, ranTwice: number): Chunk | null {
    const chunk = this.#out.get(index);
    if (chunk === undefined) return null;
    this.#out.delete(index);
    this.#bytesOut -= chunk.bytes;
    this.joined += joined;
    this.ranTwice += ranTwice;
    this.#readOn();
    return chunk;
  }

  #readOn(): void {
    if (this.#isLastRead || this.#isReading) return;
    if (this.#out.size >= CHUNKS_OUT_MAX || this.#bytesOut > BYTES_OUT_MAX) return;
    this.#isReading = true;
    this.#sink.readOn();
  }
}
