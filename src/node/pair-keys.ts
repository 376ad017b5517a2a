/**
 * Whether both nodes of a pair allow the same keys: if not, a failover takes rights away from
 * clients.
 */

/** An operator changes one file after the other: they may differ for this long. */
const DIFFER_MS_MAX = 5000;

export class KeysCompared {
  readonly #own: () => Buffer;
  /** `null`: the peer has not reported it yet, or cannot. */
  #peer: Buffer | null = null;
  /** Monotonic milliseconds. */
  #since = Infinity;
  /** Whether the keys have differed for too long. */
  differ = false;

  constructor(own: () => Buffer) {
    this.#own = own;
  }

  get own(): Buffer {
    return this.#own();
  }

  peerSaid(keys: Buffer | null): void {
    this.#peer = keys;
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
