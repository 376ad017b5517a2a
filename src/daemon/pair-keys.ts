/** Whether both nodes of a pair let the same keys in: else a failover takes away what clients may do. */

/** An operator changes one file after the other: so long they may differ. */
const DIFFER_MS_MAX = 5000;

export class KeysCompared {
  readonly #own: () => Buffer;
  /** `null`: it has not said yet, or cannot. */
  #peer: Buffer | null = null;
  /** Monotonic milliseconds. */
  #since = Infinity;
  /** They have differed for too long. */
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

  /** Returns true once for each time that they begin to differ for too long. */
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
