/**
 * The memory that this process holds for its peers (D77): one total for the node, one for each identity.
 * Each component that keeps bytes for a peer counts them here: transports count output that the
 * peer has not read (`output`; `dispatched` for peers that get requests) and incomplete messages
 * (`input`), the broker its requests (`requests`), Titanic what is on its way to the store
 * (`stored`), publishers what is subscribed to (`subscriptions`), the broker
 * what workers and clients announced (`contracts`), the HTTP server its connections, what they wait with, and
 * answers that nobody has read (`http`).
 *
 * Four things keep the total at the limit. Workers get copies of requests only as far as they read
 * them (`mayDispatch`). At the limit requests are refused (`mayHold`); connections that have stalled are
 * closed and, as soon as more of these arrives, those with the largest incomplete messages
 * (`needsReliefOfInput`). If all that has not helped, above the hard limit, those are closed that
 * hold most, stalled or not. What was accepted is never a reason to close a connection.
 */

export const HELD_KINDS = [
  'requests',
  'output',
  'dispatched',
  'input',
  'stored',
  'subscriptions',
  'contracts',
  'http',
] as const;
type HeldKind = (typeof HELD_KINDS)[number];

/** At this multiple of the limit nobody may hold more, however little they hold. */
const HARD_LIMIT = 1.125;
/** Closing stalled connections, and those with incomplete messages, ends at this part of the limit. */
const RELIEVED = 0.875;
/**
 * Up to this part of the limit in all, workers get copies of requests that wait to be read, and so much may wait for one
 * identity that reads.
 */
const DISPATCH_SHARE = 0.5;
/**
 * The part of the limit, or for one identity of its equal share, that is too little output and input to
 * close a connection for: peers that are served have some.
 */
const IN_TRANSIT_SHARE = 1 / 16;
/**
 * Held output is counted by the memory that it takes, which is more than its bytes. With this
 * factor, a single connection reaches `limits.outputBytes`, and is handled for that, before its
 * identity exceeds the same number.
 */
const OUTPUT_ROOM = 1.25;

/**
 * Above this part of the limit incomplete messages are a reason to close connections: what is left is for the requests
 * of others, of whom the first would be refused otherwise.
 */
const NEAR_LIMIT = 31 / 32;

const NOBODY: MemoryAccount[] = [];
/**
 * Memory of a request that only asks, as one that waits for a stored reply does: what a service of this process keeps
 * until it answers, and after that until its store has (measured; 470 to 1,070 bytes).
 */
export const QUERY_BYTES = 1024;
/** A peer that has not read for this long counts as stalled. */
export const STALLED_MS = 1000;
/** Whoever reads this part of its quota in that time is served, although more than the quota waits for it. */
const READING_SHARE = 1 / 16;
const UNTIMED = -1;
/** Milliseconds between two searches for stalled connections: each visits all connections. */
export const RELIEF_PAUSE_MS = 250;

/** What one identity holds, in bytes. */
export class MemoryAccount {
  readonly identity: string;
  requests = 0;
  output = 0;
  dispatched = 0;
  input = 0;
  stored = 0;
  subscriptions = 0;
  contracts = 0;
  http = 0;
  /** Quota of its unread output, in bytes. */
  outputMax: number;
  /** Bytes of output that it has read, or that were dropped. */
  readBytes = 0;
  /** Number of connections and clients that refer to it. */
  users = 0;
  readonly #all: Holdings;

  constructor(identity: string, all: Holdings) {
    this.identity = identity;
    this.outputMax = Infinity;
    this.#all = all;
  }

  get bytes(): number {
    return (
      this.requests +
      this.output +
      this.dispatched +
      this.input +
      this.stored +
      this.subscriptions +
      this.contracts +
      this.http
    );
  }

  /** What closing its connections, but not those of its workers, would release. */
  get closable(): number {
    return this.output + this.input;
  }

  get isOverOutput(): boolean {
    return this.output + this.dispatched > this.outputMax * OUTPUT_ROOM;
  }

  /** @param change bytes; negative when they are released */
  add(kind: HeldKind, change: number): void {
    // Separate fields: access by a computed property name costs several times as much.
    if (kind === 'output') this.#addOutput(change);
    else if (kind === 'requests') this.requests += change;
    else if (kind === 'input') this.#addInput(change);
    else if (kind === 'dispatched') this.dispatched += change;
    else if (kind === 'stored') this.stored += change;
    else if (kind === 'subscriptions') this.subscriptions += change;
    else if (kind === 'contracts') this.contracts += change;
    else this.http += change;
    this.#all.changed(this, change);
  }

  #addOutput(change: number): void {
    this.output += change;
    if (change < 0) this.readBytes -= change;
  }

  #addInput(change: number): void {
    this.input += change;
    this.#all.inputBytes += change;
  }

  /** True if this identity may hold `bytes` more bytes. */
  mayHold(bytes: number): boolean {
    return this.#all.mayHold(this, bytes);
  }

  /** True if a worker of this identity that has unread requests may get one of `bytes` more. */
  mayDispatch(bytes: number): boolean {
    if (this.output + this.dispatched + bytes > this.outputMax) return false;
    return this.#all.mayDispatch(bytes);
  }
}

/** All memory accounts of one node. */
export class Holdings {
  /** `limits.memoryBytes`. */
  limit: number;
  /** Incomplete messages of all. */
  inputBytes = 0;
  #bytes = 0;
  readonly accounts = new Map<string, MemoryAccount>();
  /** Accounts whose output is over its quota: since when they are watched, and what they had read then. */
  readonly #overQuota = new Map<MemoryAccount, { readonly at: number; readonly read: number }>();
  /** Someone was refused since `beginRelief` last looked, at `#relievedAt`. */
  #isRefusing = false;
  #relievedAt = -Infinity;

  constructor(limit?: number) {
    this.limit = limit ?? Infinity;
  }

  /** Bytes held in total. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes held of each kind; read only now and then. */
  get byKind(): Readonly<Record<HeldKind, number>> {
    const held = Object.fromEntries(HELD_KINDS.map((kind) => [kind, 0])) as Record<
      HeldKind,
      number
    >;
    for (const account of this.accounts.values()) {
      for (const kind of HELD_KINDS) held[kind] += account[kind];
    }
    return held;
  }

  get isOver(): boolean {
    return this.#bytes > this.limit;
  }

  /**
   * Returns an identity's account and counts one more user; call `release` when that user is gone.
   */
  use(identity: string): MemoryAccount {
    let account = this.accounts.get(identity);
    if (account === undefined) {
      account = new MemoryAccount(identity, this);
      this.accounts.set(identity, account);
    }
    account.users++;
    return account;
  }

  release(account: MemoryAccount): void {
    account.users--;
    this.#forgetIfUnused(account);
  }

  /** Over the limit, an identity with more than an equal share may not hold more. */
  mayHold(account: MemoryAccount, bytes: number): boolean {
    const after = this.#bytes + bytes;
    if (after <= this.limit) return true;
    const isSmall = account.bytes + bytes <= this.#equalShare;
    if (isSmall && after <= this.limit * HARD_LIMIT) return true;
    this.#isRefusing = true;
    return false;
  }

  mayDispatch(bytes: number): boolean {
    return this.#bytes + bytes <= this.limit * DISPATCH_SHARE;
  }

  // ---------------------------------------------------------------- who is to lose a connection

  /** Above this incomplete messages are a reason to close connections. */
  get isNearLimit(): boolean {
    return this.#bytes > this.limit * NEAR_LIMIT;
  }

  /**
   * Whether relief is needed, and incomplete messages hold enough to give it: near the limit, the loop closes
   * connections with incomplete messages, account by account as in `byInput`, until this is false.
   */
  get needsReliefOfInput(): boolean {
    return this.needsRelief && this.inputBytes > this.limit * IN_TRANSIT_SHARE;
  }

  /** Accounts with incomplete messages, those that have most of them first. */
  byInput(): MemoryAccount[] {
    return [...this.accounts.values()]
      .filter(({ input }) => input > 0)
      .sort((one, other) => other.input - one.input);
  }

  /** True above the hard limit: connections are to be closed now, whether their peers read or not. */
  get isOverHard(): boolean {
    return this.#bytes > this.limit * HARD_LIMIT;
  }

  /**
   * Whether stalled connections are to be closed now: someone was refused, or the total is over the limit, and relief is
   * needed. A call that finds one of the first two begins a pause of `RELIEF_PAUSE_MS`, in which the answer is false.
   * @param now monotonic milliseconds
   */
  beginRelief(now: number): boolean {
    if (!this.#isRefusing && !this.isOver) return false;
    if (now - this.#relievedAt < RELIEF_PAUSE_MS) return false;
    this.#relievedAt = now;
    this.#isRefusing = false;
    return this.needsRelief;
  }

  /** Whether the loop has to look again after `RELIEF_PAUSE_MS`, even if nothing arrives: peers may have stalled by then. */
  get mustLookAgain(): boolean {
    return this.isOver || this.#overQuota.size > 0;
  }

  get needsRelief(): boolean {
    return this.#bytes > this.limit * RELIEVED;
  }

  /**
   * Accounts whose output and input are worth closing connections for, the largest first. Below the
   * hard limit, only those that hold about an equal share or more of the whole.
   */
  worthClosing(): MemoryAccount[] {
    const bytesMin = this.isOverHard ? 0 : this.#equalShare / 2;
    return [...this.accounts.values()]
      .filter((account) => this.isWorthClosing(account) && account.bytes > bytesMin)
      .sort((one, other) => other.closable - one.closable);
  }

  /** True if its output and input are more than what a peer that is served has of them. */
  isWorthClosing({ closable }: MemoryAccount): boolean {
    return closable > this.#equalShare * IN_TRANSIT_SHARE;
  }

  get #equalShare(): number {
    return this.limit / this.accounts.size;
  }

  /** The account of the identity whose workers have most to read; `null`: none has anything. */
  mostDispatched(): MemoryAccount | null {
    let most: MemoryAccount | null = null;
    for (const account of this.accounts.values()) {
      if (account.dispatched > (most?.dispatched ?? 0)) most = account;
    }
    return most;
  }

  /**
   * Accounts whose output has been over its quota for a second in which they have read little; and those for which more
   * waits than one identity may have of the whole.
   * @param now monotonic milliseconds
   */
  stalled(now: number): MemoryAccount[] {
    if (this.#overQuota.size === 0) return NOBODY;
    const deaf: MemoryAccount[] = [];
    for (const [account, { at, read }] of this.#overQuota) {
      const { readBytes, outputMax, output, dispatched } = account;
      if (!account.isOverOutput) this.#overQuota.delete(account);
      else if (at === UNTIMED) this.#overQuota.set(account, { at: now, read: readBytes });
      else if (output + dispatched > this.limit * DISPATCH_SHARE) deaf.push(account);
      else if (now - at < STALLED_MS) continue;
      else if (readBytes - read < outputMax * READING_SHARE) deaf.push(account);
      else this.#overQuota.set(account, { at: now, read: readBytes });
    }
    return deaf;
  }

  /** Called by accounts. */
  changed(account: MemoryAccount, change: number): void {
    this.#bytes += change;
    if (account.isOverOutput && !this.#overQuota.has(account)) {
      this.#overQuota.set(account, { at: UNTIMED, read: 0 });
    }
    if (change < 0) this.#forgetIfUnused(account);
  }

  #forgetIfUnused(account: MemoryAccount): void {
    if (account.users > 0 || account.bytes > 0) return;
    if (this.accounts.get(account.identity) === account) this.accounts.delete(account.identity);
  }
}
