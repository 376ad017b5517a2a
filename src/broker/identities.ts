/** Who the peers are, and what each of them uses of what all share (D70, D75). */
import type { Holder, Holdings } from '../core/holdings.js';
import { type QuotaName, type Quotas, NO_QUOTAS } from './quotas.js';

/**
 * What is held counts the room that output takes, not its bytes alone. A single connection is to reach
 * `limits.outputBytes`, and be dealt with for that, before its identity is over the same number.
 */
const OUTPUT_ROOM = 1.25;

/** Everything that peers of one key, or of one source address, own together. */
export class Identity {
  readonly name: string;
  /** The name of its key; `null`: it came in by none. */
  readonly key: string | null;
  readonly holder: Holder;
  quotas: Quotas;
  /** The name of its quotas. */
  quota: string | null;
  peers = 0;
  /** Requests held for it, of internal services too. */
  outstanding = 0;
  workers = 0;
  hellos = 0;
  /** Services that are known because it named them. */
  services = 0;
  /** Held while the node is about to serve. */
  gateMessages = 0;
  gateBytes = 0;
  /** Requests that it may send at once, and when they were counted. */
  #allowance = 0;
  #countedAt = -Infinity;

  constructor(name: string, key: string | null, holder: Holder, quota: string | null) {
    this.name = name;
    this.key = key;
    this.holder = holder;
    this.quota = quota;
    this.quotas = NO_QUOTAS;
  }

  /** A token bucket that holds as much as comes in a second. */
  takesRequest(now: number): boolean {
    const { requestsPerSecond } = this.quotas;
    if (requestsPerSecond === Infinity) return true;
    const gained = ((now - this.#countedAt) / 1000) * requestsPerSecond;
    this.#allowance = Math.min(requestsPerSecond, this.#allowance + gained);
    this.#countedAt = now;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }

  get isUnused(): boolean {
    return this.peers + this.outstanding + this.services + this.gateMessages === 0;
  }
}

export class Identities {
  readonly #byName = new Map<string, Identity>();
  readonly #holdings: Holdings;
  readonly #quotasOf: (quota: string | null) => Quotas;

  constructor(holdings: Holdings, quotasOf: (quota: string | null) => Quotas) {
    this.#holdings = holdings;
    this.#quotasOf = quotasOf;
  }

  get count(): number {
    return this.#byName.size;
  }

  isConnected(name: string): boolean {
    return (this.#byName.get(name)?.peers ?? 0) > 0;
  }

  /** The identity of one more peer. */
  join(name: string, key: string | null, quota: string | null): Identity {
    let identity = this.#byName.get(name);
    if (identity === undefined) {
      identity = new Identity(name, key, this.#holdings.use(name), quota);
      this.refresh(identity, quota);
      this.#byName.set(name, identity);
    }
    identity.peers++;
    return identity;
  }

  leave(identity: Identity): void {
    identity.peers--;
    this.settled(identity);
  }

  /** Something that it used is free again. */
  settled(identity: Identity): void {
    if (!identity.isUnused || this.#byName.get(identity.name) !== identity) return;
    this.#byName.delete(identity.name);
    this.#holdings.release(identity.holder);
  }

  /** Limits, or the entry of a key, have changed. */
  refresh(identity: Identity, quota: string | null): void {
    identity.quota = quota;
    identity.quotas = this.#quotasOf(quota);
    identity.holder.outputMax = identity.quotas.outputBytes * OUTPUT_ROOM;
  }

  refreshAll(): void {
    for (const identity of this.#byName.values()) this.refresh(identity, identity.quota);
  }

  all(): IterableIterator<Identity> {
    return this.#byName.values();
  }
}

/** What a client is told whose identity has used up a quota. */
export function overQuota(name: QuotaName): string {
  return `the quota ${name} of this identity is used up`;
}
