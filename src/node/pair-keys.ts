/**
 * Whether what clients know of the two nodes of a pair is the same at both: if not, a failover shuts
 * clients out.
 */

/** An operator changes one file after the other: they may differ for this long. */
const DIFFER_MS_MAX = 5000;

export class KeysCompared {
  readonly #own: () => Buffer;
  /** `null`: the peer has not reported it yet, or cannot. */
  #peer: Buffer | null = null;
  /** Monotonic milliseconds. */
  #since = Infinity;
  /** Whether they have differed for too long. */
  differ = false;

  constructor(own: () => Buffer) {
    this.#own = own;
  }

  get own(): Buffer {
    return this.#own();
  }

  peerSaid(digest: Buffer | null): void {
    this.#peer = digest;
  }

  /** Which of the parts of both, each of so many bytes, differ. */
  differing<Part>(parts: readonly Part[], bytes: number): readonly Part[] {
    const peer = this.#peer;
    if (peer === null || !this.differ) return [];
    const at = (digest: Buffer, index: number): Buffer =>
      digest.subarray(index * bytes, (index + 1) * bytes);
    return parts.filter((_part, index) => !at(peer, index).equals(at(this.own, index)));
  }

  /** Returns true once each time they have begun to differ for too long. */
  isNews(now: number): boolean {
    if (this.#peer === null || this.#peer.equals(this.own)) {
      this.#since = Infinity;
      this.differ = false;
      return false;
    }
    this.#since = Math.min(this.#since, now);
    if (this.differ || now - this.#since < DIFFER_MS_MAX) return false;
    this.differ = true;
    return true;
  }
}
