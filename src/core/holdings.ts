/**
 * The memory that this process holds for its peers: one total for the node, one for each identity.
 * Each component that keeps bytes for a peer counts them here: transports count output that the
 * peer has not read (`output`) and incomplete messages (`input`), the broker its requests
 * (`requests`), Titanic what is on its way to the store (`stored`), publishers what is subscribed to
 * (`subscriptions`).
 */
// D77

export const HELD_KINDS = ['requests', 'output', 'input', 'stored', 'subscriptions'] as const;
export type HeldKind = (typeof HELD_KINDS)[number];

/** At this multiple of the limit nobody may hold more, however little they hold. */
const HARD_LIMIT = 1.125;

const NOBODY: Holder[] = [];
/** A peer that has not read for this long counts as stalled. */
const STALLED_MS = 1000;
const UNTIMED = -1;

/** What one identity holds, in bytes. */
export class Holder {
  readonly identity: string;
  requests = 0;
  output = 0;
  input = 0;
  stored = 0;
  subscriptions = 0;
  /** Limit on its unread output. */
  outputMax: number;
  /** Number of connections and clients that refer to it. */
  users = 0;
  readonly #all: Holdings;

  constructor(identity: string, all: Holdings) {
    this.identity = identity;
    this.outputMax = Infinity;
    this.#all = all;
  }

  get bytes(): number {
    return this.requests + this.output + this.input + this.stored + this.subscriptions;
  }

  /** @param change bytes; negative when they are released */
  add(kind: HeldKind, change: number): void {
    // Separate fields: access by a computed property name costs several times as much.
    if (kind === 'output') this.output += change;
    else if (kind === 'requests') this.requests += change;
    else if (kind === 'input') this.input += change;
    else if (kind === 'stored') this.stored += change;
    else this.subscriptions += change;
    this.#all.changed(this, change);
  }

  /** True if this identity may hold `bytes` more bytes. */
  mayHold(bytes: number): boolean {
    return this.#all.mayHold(this, bytes);
  }
}

/** All holders of one node. */
export class Holdings {
  /** `limits.memoryBytes`. */
  limit: number;
  #bytes = 0;
  readonly #holders = new Map<string, Holder>();
  /** Holders whose output is over its limit, and when that was first seen. */
  readonly #overQuota = new Map<Holder, number>();

  constructor(limit?: number) {
    this.limit = limit ?? Infinity;
  }

  /** Bytes held in total. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The same for each kind; read only now and then. */
  get byKind(): Readonly<Record<HeldKind, number>> {
    const held = { requests: 0, output: 0, input: 0, stored: 0, subscriptions: 0 };
    for (const holder of this.#holders.values()) {
      for (const kind of HELD_KINDS) held[kind] += holder[kind];
    }
    return held;
  }

  get isOver(): boolean {
    return this.#bytes > this.limit;
  }

  /**
   * Returns an identity's holder and counts one more user; call `release` when that user is gone.
   */
  use(identity: string): Holder {
    let holder = this.#holders.get(identity);
    if (holder === undefined) {
      holder = new Holder(identity, this);
      this.#holders.set(identity, holder);
    }
    holder.users++;
    return holder;
  }

  release(holder: Holder): void {
    holder.users--;
    this.#forgetIfUnused(holder);
  }

  /** Over the limit, a holder with more than an equal share may not hold more. */
  mayHold(holder: Holder, bytes: number): boolean {
    const after = this.#bytes + bytes;
    if (after <= this.limit) return true;
    if (after > this.limit * HARD_LIMIT) return false;
    return holder.bytes + bytes <= this.limit / this.#holders.size;
  }

  /**
   * Over the limit, the holder that is to lose a connection: the largest of those that hold more
   * than an equal share and hold something that a closed connection releases; `null`: none.
   */
  largest(): Holder | null {
    if (!this.isOver) return null;
    const part = this.limit / this.#holders.size;
    let largest: Holder | null = null;
    for (const holder of this.#holders.values()) {
      if (holder.bytes <= part || holder.output + holder.input <= 0) continue;
      if (largest === null || holder.bytes > largest.bytes) largest = holder;
    }
    return largest;
  }

  /**
   * Holders whose output has been over its limit for a second; a peer that reads is below it again
   * by then.
   * @param now monotonic milliseconds
   */
  stalled(now: number): Holder[] {
    if (this.#overQuota.size === 0) return NOBODY;
    const deaf: Holder[] = [];
    for (const [holder, since] of this.#overQuota) {
      if (holder.output <= holder.outputMax) this.#overQuota.delete(holder);
      else if (since === UNTIMED) this.#overQuota.set(holder, now);
      else if (now - since >= STALLED_MS) deaf.push(holder);
    }
    return deaf;
  }

  all(): IterableIterator<Holder> {
    return this.#holders.values();
  }

  /** Called by holders. */
  changed(holder: Holder, change: number): void {
    this.#bytes += change;
    if (holder.output > holder.outputMax && !this.#overQuota.has(holder)) {
      this.#overQuota.set(holder, UNTIMED);
    }
    if (change < 0) this.#forgetIfUnused(holder);
  }

  #forgetIfUnused(holder: Holder): void {
    if (holder.users > 0 || holder.bytes > 0) return;
    if (this.#holders.get(holder.identity) === holder) this.#holders.delete(holder.identity);
  }
}
