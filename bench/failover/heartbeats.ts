/**
 * Reads the traffic on the link of a pair (docs/peer-protocol.md) and records when heartbeats
 * arrived.
 */
import { Frames } from '../../src/core/frames.js';
import { readPeer } from '../../src/wire/pair-codec.js';

const GREETING_BYTES = 64;
const MORE = 1;
const LONG = 2;
const COMMAND = 4;
const LONG_HEAD_BYTES = 9;
const SHORT_HEAD_BYTES = 2;

/** One direction of the link; a new connection begins with a new greeting. */
export class HeartbeatListener {
  /** Time between two status messages of the same connection, in milliseconds. */
  readonly gaps: number[] = [];
  bytes = 0;
  #rest: Buffer = Buffer.alloc(0);
  #isGreeted = false;
  #frames: Buffer[] = [];
  #at: number | null = null;

  greet(): void {
    this.#rest = Buffer.alloc(0);
    this.#isGreeted = false;
    this.#frames = [];
    this.#at = null;
  }

  take(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#isGreeted) {
      if (this.#rest.length < GREETING_BYTES) return;
      this.#rest = this.#rest.subarray(GREETING_BYTES);
      this.#isGreeted = true;
    }
    while (this.#frame());
  }

  /** Consumes one frame, if a whole one has arrived. */
  #frame(): boolean {
    const rest = this.#rest;
    const flags = rest[0];
    if (flags === undefined) return false;
    const isLong = (flags & LONG) !== 0;
    const head = isLong ? LONG_HEAD_BYTES : SHORT_HEAD_BYTES;
    if (rest.length < head) return false;
    const size = isLong ? Number(rest.readBigUInt64BE(1)) : (rest[1] ?? 0);
    if (rest.length < head + size) return false;
    const body = rest.subarray(head, head + size);
    this.#rest = rest.subarray(head + size);
    if ((flags & COMMAND) !== 0) return true;
    this.#frames.push(body);
    if ((flags & MORE) === 0) this.#message(this.#frames.splice(0));
    return true;
  }

  #message(frames: readonly Buffer[]): void {
    const read = readPeer(Frames.of(...frames));
    if (read === null || 'otherVersion' in read || read.message?.kind !== 'status') return;
    const now = performance.now();
    if (this.#at !== null) this.gaps.push(now - this.#at);
    this.#at = now;
  }
}
