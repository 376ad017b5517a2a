/** Identities of the peers, and how much of the shared resources each uses (D70, D75). */
import type { MemoryAccount, Holdings } from '../../core/holdings.js';
import { type Quotas, NO_QUOTAS } from '../quotas.js';

/** What all peers of one key, or of one source address, use together. */
export class Identity {
  readonly name: string;
  /** The name of its key; `null`: it connected without one. */
  readonly key: string | null;
  readonly memory: MemoryAccount;
  quotas: Quotas;
  /** The name of its quotas. */
  quota: string | null;
  peers = 0;
  /** Requests held for it, including those for internal services. */
  outstanding = 0;
  workers = 0;
  hellos = 0;
  /** Services that the broker knows because this identity named them. */
  services = 0;
  /** Held while it is not yet decided whether this node serves (`admission/held-messages.ts`). */
  heldMessages = 0;
  heldMessageBytes = 0;
  /** Requests that it may send now, and when this number was computed. */
  #allowance = 0;
  #countedAt = -Infinity;

  constructor(name: string, key: string | null, memory: MemoryAccount, quota: string | null) {
    this.name = name;
    this.key = key;
    this.memory = memory;
    this.quota = quota;
    this.quotas = NO_QUOTAS;
  }

  /** A token bucket that holds one second's worth of requests. */
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
    return this.peers + this.outstanding + this.services + this.heldMessages === 0;
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

  /** The identity of a new peer. */
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
    this.releaseIfUnused(identity);
  }

  /** Something that the identity used was released. */
  releaseIfUnused(identity: Identity): void {
    if (!identity.isUnused || this.#byName.get(identity.name) !== identity) return;
    this.#byName.delete(identity.name);
    this.#holdings.release(identity.memory);
  }

  /** Limits or the entry of a key changed. */
  refresh(identity: Identity, quota: string | null): void {
    identity.quota = quota;
    identity.quotas = this.#quotasOf(quota);
    identity.memory.outputMax = identity.quotas.outputBytes;
  }

  refreshAll(): void {
    for (const identity of this.#byName.values()) this.refresh(identity, identity.quota);
  }

  all(): IterableIterator<Identity> {
    return this.#byName.values();
  }
}
