/**
 * The connections of each identity, and what they hold: incomplete messages and waiting output.
 * Every update takes constant time.
 */
import type { MemoryAccount, Holdings } from '../../core/holdings.js';

export interface HeldBytes {
  /** Incomplete messages, and messages that wait to be read. */
  readonly incomingBytes: number;
  /** Waiting output, including the memory of its buffers. */
  readonly outgoingBytes: number;
}

/** A connection, and what it held when it was last counted. */
export interface Counted<T> extends HeldBytes {
  readonly account: Account<T>;
  /** Whether the connection is a worker's: its output is requests. */
  readonly isWorker: boolean;
  incomingBytes: number;
  outgoingBytes: number;
}

/** The connections of one identity. */
export class Account<T> implements HeldBytes {
  readonly memory: MemoryAccount;
  readonly peers: Set<T> = new Set<T>();
  connections = 0;
  incomingBytes = 0;
  outgoingBytes = 0;

  constructor(memory: MemoryAccount) {
    this.memory = memory;
  }

  get identity(): string {
    return this.memory.identity;
  }
}

export class Accounts<T extends Counted<T>> {
  readonly #holdings: Holdings;
  readonly #all = new Map<string, Account<T>>();
  /** Over all accounts. */
  incomingBytes = 0;

  constructor(holdings: Holdings) {
    this.#holdings = holdings;
  }

  connectionsOf(identity: string): number {
    return this.#all.get(identity)?.connections ?? 0;
  }

  /** Counts one more connection of the identity, until `leave`. */
  join(identity: string): Account<T> {
    let account = this.#all.get(identity);
    if (account === undefined) {
      account = new Account(this.#holdings.use(identity));
      this.#all.set(identity, account);
    }
    account.connections++;
    return account;
  }

  leave(account: Account<T>): void {
    if (--account.connections > 0) return;
    this.#all.delete(account.identity);
    this.#holdings.release(account.memory);
  }

  /** Updates what a connection holds. */
  count(one: T, incomingBytes: number, outgoingBytes: number): void {
    const { account } = one;
    const incoming = incomingBytes - one.incomingBytes;
    if (incoming !== 0) {
      one.incomingBytes = incomingBytes;
      account.incomingBytes += incoming;
      account.memory.add('input', incoming);
      this.incomingBytes += incoming;
    }
    const outgoing = outgoingBytes - one.outgoingBytes;
    if (outgoing !== 0) {
      one.outgoingBytes = outgoingBytes;
      account.outgoingBytes += outgoing;
      account.memory.add(one.isWorker ? 'dispatched' : 'output', outgoing);
    }
  }

  /** The account that weighs most; `null` if none weighs anything. */
  largest(weigh: (of: HeldBytes) => number): Account<T> | null {
    return most(this.#all.values(), weigh);
  }

  /** The connection of an identity that weighs most; `null` if none weighs anything. */
  largestOf(identity: string, weigh: (of: T) => number): T | null {
    const account = this.#all.get(identity);
    return account === undefined ? null : most(account.peers, weigh);
  }
}

/** The first of those with the greatest weight; `null` if none weighs anything. */
function most<T>(all: Iterable<T>, weigh: (of: T) => number): T | null {
  let found: T | null = null;
  let weight = 0;
  for (const one of all) {
    const its = weigh(one);
    if (its <= weight) continue;
    found = one;
    weight = its;
  }
  return found;
}
