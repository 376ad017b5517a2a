/**
 * What peers make this process hold, and who holds it: one number for the node, one for each
 * identity (D77). Whoever keeps bytes for a peer counts them here: the transports what waits to be
 * read by it (`output`) and what has come of incomplete messages (`input`), the broker its requests
 * (`requests`), Titanic what is on its way to the store (`stored`).
 */

export type HeldKind = 'requests' | 'output' | 'input' | 'stored';

/** Beyond the limit by so much nobody may hold more, however little they hold. */
const HARD_LIMIT = 1.125;

const NOBODY: Holder[] = [];
/** Who has not read for so long is deaf. */
const STALLED_MS = 1000;
const UNTIMED = -1;

/** What one identity holds, in bytes. */
export class Holder {
  readonly identity: string;
  requests = 0;
  output = 0;
  input = 0;
  stored = 0;
  /** The quota of its unread output. */
  outputMax: number;
  /** Those that refer to it: connections, clients. */
  users = 0;
  readonly #all: Holdings;

  constructor(identity: string, all: Holdings) {
    this.identity = identity;
    this.outputMax = Infinity;
    this.#all = all;
  }

  get bytes(): number {
    return this.requests + this.output + this.input + this.stored;
  }

  /** @param change bytes; negative when they are let go */
  add(kind: HeldKind, change: number): void {
    // Each by its name: a property by a variable costs several times as much.
    if (kind === 'output') this.output += change;
    else if (kind === 'requests') this.requests += change;
    else if (kind === 'input') this.input += change;
    else this.stored += change;
    this.#all.changed(this, change);
  }

  /** True if so many bytes more may be held for this identity. */
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
  /** Whose output is over their quota, and when that was first seen. */
  readonly #overQuota = new Map<Holder, number>();

  constructor(limit?: number) {
    this.limit = limit ?? Infinity;
  }

  /** Bytes held in all. */
  get bytes(): number {
    return this.#bytes;
  }

  get isOver(): boolean {
    return this.#bytes > this.limit;
  }

  /** The holder of an identity, for one more user; `release` when that one is gone. */
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

  /** Over the limit, whoever holds more than an equal part of it holds no more. */
  mayHold(holder: Holder, bytes: number): boolean {
    const after = this.#bytes + bytes;
    if (after <= this.limit) return true;
    if (after > this.limit * HARD_LIMIT) return false;
    return holder.bytes + bytes <= this.limit / this.#holders.size;
  }

  /**
   * Over the limit: who is to lose a connection, which is whoever holds most of those that hold more
   * than an equal part and something that ends with a connection; `null`: nobody.
   */
  payer(): Holder | null {
    if (!this.isOver) return null;
    const part = this.limit / this.#holders.size;
    let payer: Holder | null = null;
    for (const holder of this.#holders.values()) {
      if (holder.bytes <= part || holder.output + holder.input <= 0) continue;
      if (payer === null || holder.bytes > payer.bytes) payer = holder;
    }
    return payer;
  }

  /**
   * Those whose output has been over their quota for a second: who reads is below it again by then.
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
