/** Identities of the peers, and how much of the shared resources each uses (D70, D75). */
import type { MemoryAccount, Holdings } from '../../core/holdings.js';
import { OldestFirst } from '../../core/oldest-first.js';
import { type Quotas, NO_QUOTAS } from '../quotas.js';

/** The most identities without a peer whose requests of the last seconds are still told. */
const GONE_MAX = 1000;

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
  /** Sessions of its clients, connected or away (D116). */
  sessions = 0;
  /** The ids of its peers that have places of hellos: proxies. */
  readonly proxies: Set<number> = new Set();
  /** Services that the broker knows because this identity named them. */
  services = 0;
  /** Held while it is not yet decided whether this node serves (`admission/held-messages.ts`). */
  heldMessages = 0;
  heldMessageBytes = 0;
  /** Requests that arrived from it, refused ones included, and those that were refused at once. */
  received = 0;
  refused = 0;
  /** How many requests were received and refused at the last two marks. */
  #receivedNewer = 0;
  #receivedOlder = 0;
  #refusedNewer = 0;
  #refusedOlder = 0;
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

  /** Sets a mark, from which rates count. */
  mark(): void {
    this.#receivedOlder = this.#receivedNewer;
    this.#refusedOlder = this.#refusedNewer;
    this.#receivedNewer = this.received;
    this.#refusedNewer = this.refused;
  }

  /** The requests that arrived since the mark before the last one. */
  get receivedLately(): number {
    return this.received - this.#receivedOlder;
  }

  /** The requests among `receivedLately` that were refused at once. */
  get refusedLately(): number {
    return this.refused - this.#refusedOlder;
  }

  /** Goes on with what an earlier record of the same identity counted. */
  continue(earlier: Identity): void {
    this.received = earlier.received;
    this.refused = earlier.refused;
    this.#receivedNewer = earlier.#receivedNewer;
    this.#receivedOlder = earlier.#receivedOlder;
    this.#refusedNewer = earlier.#refusedNewer;
    this.#refusedOlder = earlier.#refusedOlder;
  }

  get isUnused(): boolean {
    const { peers, outstanding, services, heldMessages, sessions } = this;
    return peers + outstanding + services + heldMessages + sessions === 0;
  }
}

export class Identities {
  readonly #byName = new Map<string, Identity>();
  /**
   * Identities that nothing uses any more, but that sent requests since the mark before the last one: a client may
   * connect anew for each request. Bounded, because addresses are cheap.
   */
  readonly #gone = new OldestFirst<string, Identity>();
  /** When the last two marks were made, in monotonic milliseconds. */
  #newerAt = 0;
  #olderAt = 0;
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
      const earlier = this.#gone.get(name);
      if (earlier !== undefined) identity.continue(earlier);
      this.#gone.delete(name);
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
    if (identity.receivedLately > 0) this.#remember(identity);
  }

  /** Keeps an identity that has gone; above the maximum, it or the oldest is dropped: that with fewer requests. */
  #remember(identity: Identity): void {
    const { oldest } = this.#gone;
    if (this.#gone.size < GONE_MAX || oldest === null) {
      this.#gone.set(identity.name, identity);
      return;
    }
    this.#gone.delete(oldest.key);
    const isMore = identity.receivedLately > oldest.value.receivedLately;
    const kept = isMore ? identity : oldest.value;
    this.#gone.set(kept.name, kept);
  }

  /** Sets a mark, from which rates count. @param now monotonic milliseconds */
  mark(now: number): void {
    this.#olderAt = this.#newerAt;
    this.#newerAt = now;
    for (const identity of this.#byName.values()) identity.mark();
    for (const { key, value: identity } of this.#gone) {
      identity.mark();
      if (identity.receivedLately === 0) this.#gone.delete(key);
    }
  }

  /** Seconds since the mark before the last one. @param now monotonic milliseconds */
  secondsMarked(now: number): number {
    return (now - this.#olderAt) / 1000;
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

  /** The identities that something uses, then those that have gone and sent requests lately. */
  *all(): IterableIterator<Identity> {
    yield* this.#byName.values();
    for (const { value } of this.#gone) yield value;
  }
}
