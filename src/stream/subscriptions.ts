/** Who subscribed to what, and how much of it one subscriber and one identity may have. */
import type { MemoryAccount } from '../core/holdings.js';
import { type TrieEntry, TopicTrie } from './topic-trie.js';

/** A connected subscriber, as the transport's number. */
export type SubscriberId = number;

/** What the transport knows about a subscriber. */
export interface SubscriberInfo {
  /** The identity that owns what it holds here (D70). */
  readonly identity: string;
  /** The name of its key; `null`: it has none. */
  readonly key: string | null;
  /** That key, in hexadecimal. */
  readonly publicKey?: string | null;
  /** Its source address, for people. */
  readonly address: string;
}

export interface SubscriptionLimits {
  /** Distinct subscriptions of one connection. */
  readonly perSubscriber: number;
  /** The most of all connections of one identity. */
  readonly perIdentity: number;
  /** The most of all connections together. */
  readonly total: number;
}

/**
 * Memory that a subscription takes besides its topic: entries of maps, a node for the topic. Measured
 * with 80,000 subscriptions to topics of 240 bytes, each of which took 880 to 1,060 bytes in all.
 */
const SUBSCRIPTION_BYTES = 640;

/** One topic of one subscriber. */
interface Subscription {
  readonly entry: TrieEntry<Subscriber>;
  /** How often it subscribed, less how often it cancelled. */
  count: number;
}

export class Subscriber {
  readonly id: SubscriberId;
  readonly info: SubscriberInfo;
  /** Accounts for what it subscribes to. */
  readonly memory: MemoryAccount;
  /** By topic, as Latin-1. */
  readonly subscriptions = new Map<string, Subscription>();
  /** The latest message that matched it. */
  matched = 0;
  /** The latest write for which it has a copy. */
  write = 0;
  /** It is to be closed, because too much waits. */
  isBehind = false;
  isClosed = false;

  constructor(id: SubscriberId, info: SubscriberInfo, memory: MemoryAccount) {
    this.id = id;
    this.info = info;
    this.memory = memory;
  }
}

export class Subscriptions {
  readonly trie = new TopicTrie<Subscriber>();
  /** Distinct ones of each subscriber, together. */
  count = 0;
  readonly #limits: SubscriptionLimits;
  /** Distinct ones of each subscriber, by identity. */
  readonly #perIdentity = new Map<string, number>();

  constructor(limits: SubscriptionLimits) {
    this.#limits = limits;
  }

  /** @returns whether the subscriber may not have this further topic, as Latin-1 */
  isFull({ subscriptions, info, memory }: Subscriber, topic: string): boolean {
    const { perSubscriber, perIdentity, total } = this.#limits;
    return (
      subscriptions.size >= perSubscriber ||
      (this.#perIdentity.get(info.identity) ?? 0) >= perIdentity ||
      this.count >= total ||
      !memory.mayHold(bytesOf(topic))
    );
  }

  /** @param topic that it does not have, as Latin-1 */
  add(subscriber: Subscriber, topic: string): void {
    const entry = this.trie.add(topic, subscriber);
    subscriber.subscriptions.set(topic, { entry, count: 1 });
    this.#change(subscriber, 1, bytesOf(topic));
  }

  cancel(subscriber: Subscriber, topic: string): void {
    const subscription = subscriber.subscriptions.get(topic);
    if (subscription === undefined || --subscription.count > 0) return;
    subscriber.subscriptions.delete(topic);
    this.trie.remove(subscription.entry);
    this.#change(subscriber, -1, -bytesOf(topic));
  }

  /** Cancels all of them. */
  forget(subscriber: Subscriber): void {
    const { subscriptions } = subscriber;
    let bytes = 0;
    for (const [topic, { entry }] of subscriptions) {
      this.trie.remove(entry);
      bytes += bytesOf(topic);
    }
    if (subscriptions.size > 0) this.#change(subscriber, -subscriptions.size, -bytes);
    subscriptions.clear();
  }

  /** The identity that has most of them; `null`: there are none. */
  largest(): string | null {
    let largest: string | null = null;
    let most = 0;
    for (const [identity, count] of this.#perIdentity) {
      if (count > most) [largest, most] = [identity, count];
    }
    return largest;
  }

  #change({ info: { identity }, memory }: Subscriber, by: number, bytes: number): void {
    memory.add('subscriptions', bytes);
    this.count += by;
    const count = (this.#perIdentity.get(identity) ?? 0) + by;
    if (count > 0) this.#perIdentity.set(identity, count);
    else this.#perIdentity.delete(identity);
  }
}

/** @param topic as Latin-1, a character for each byte */
function bytesOf(topic: string): number {
  return SUBSCRIPTION_BYTES + topic.length;
}
