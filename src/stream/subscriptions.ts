/** Who subscribed to what, and how much of it one subscriber and one identity may have. */
import type { MemoryAccount } from '../core/holdings.js';
import type { RandomFill } from '../core/random.js';
import { TopicIndex } from './topic-index.js';
import { NONE, type Subscription } from './topic-records.js';

/** A connected subscriber, as the transport's number. */
export type SubscriberId = number;

/** What the transport knows about a subscriber. */
export interface SubscriberInfo {
  /** The identity that owns what it holds here (D70). */
  readonly identity: string;
  /** The name of the subscriber's key; `null`: it has none. */
  readonly key: string | null;
  /** The subscriber's key, in hexadecimal. */
  readonly publicKey?: string | null;
  /** The subscriber's source address, for people. */
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
 * Memory that a subscription takes besides its topic: its record and that of its topic, and their places in
 * what finds them.
 */
const SUBSCRIPTION_BYTES = 96;
/** Memory of a topic for each of its bytes: records are of few sizes. */
const PER_TOPIC_BYTE = 1.2;
/** How many subscriptions of subscribers that are gone a turn forgets. */
const FORGOTTEN_PER_TURN_MAX = 4096;

export class Subscriber {
  readonly id: SubscriberId;
  readonly info: SubscriberInfo;
  /** Accounts for what it subscribes to. */
  readonly memory: MemoryAccount;
  /** The subscriber's number among all whose subscriptions are known, also of those that are gone. */
  readonly member: number;
  /** The number of its distinct subscriptions. */
  count = 0;
  /** The latest message that matched it. */
  matched = 0;
  /** The latest write for which it has a copy. */
  write = 0;
  /** Whether the subscriber is to be closed, because too much waits. */
  isBehind = false;
  isClosed = false;

  constructor(id: SubscriberId, info: SubscriberInfo, memory: MemoryAccount, member: number) {
    this.id = id;
    this.info = info;
    this.memory = memory;
    this.member = member;
  }
}

export class Subscriptions {
  readonly index: TopicIndex;
  /** Distinct ones of each subscriber, together. */
  count = 0;
  readonly #limits: SubscriptionLimits;
  readonly #members: (Subscriber | undefined)[] = [];
  readonly #freeMembers: number[] = [];
  /** Distinct ones of each subscriber, by identity. */
  readonly #perIdentity = new Map<string, number>();
  /** Subscribers that are gone and have subscriptions: there may be hundreds of thousands. */
  readonly #leaving: Subscriber[] = [];
  #forgettable = FORGOTTEN_PER_TURN_MAX;

  /** @param random see `KeyedHash` */
  constructor(limits: SubscriptionLimits, random: RandomFill) {
    this.index = new TopicIndex(random);
    this.#limits = limits;
  }

  /** A subscriber, until `forget`. */
  join(id: SubscriberId, info: SubscriberInfo, memory: MemoryAccount): Subscriber {
    const member = this.#freeMembers.pop() ?? this.#members.length;
    const subscriber = new Subscriber(id, info, memory, member);
    this.#members[member] = subscriber;
    return subscriber;
  }

  /**
   * Subscribes once more to a topic that it has.
   * @returns false: it does not have it
   */
  repeat({ member }: Subscriber, topic: Buffer): boolean {
    const subscription = this.index.find(member, topic);
    if (subscription === NONE) return false;
    this.index.repeat(subscription, 1);
    return true;
  }

  /** @returns whether the subscriber may not have this further topic */
  isFull({ count, info, memory }: Subscriber, topic: Buffer): boolean {
    const { perSubscriber, perIdentity, total } = this.#limits;
    return (
      count >= perSubscriber ||
      (this.#perIdentity.get(info.identity) ?? 0) >= perIdentity ||
      this.count >= total ||
      !memory.mayHold(bytesOf(topic.length))
    );
  }

  /** @param topic that it does not have */
  add(subscriber: Subscriber, topic: Buffer): void {
    this.index.add(subscriber.member, topic);
    this.#change(subscriber, 1, topic.length);
  }

  cancel(subscriber: Subscriber, topic: Buffer): void {
    const subscription = this.index.find(subscriber.member, topic);
    if (subscription === NONE || this.index.repeat(subscription, -1) > 0) return;
    this.index.remove(subscription);
    this.#change(subscriber, -1, topic.length);
  }

  /** Cancels all of one that is gone, in this turn and later ones. */
  forget(subscriber: Subscriber): void {
    this.#leaving.push(subscriber);
    this.#forgetSome();
  }

  /** A turn begins. @returns false if there is more to forget */
  run(): boolean {
    this.#forgettable = FORGOTTEN_PER_TURN_MAX;
    this.#forgetSome();
    return this.#leaving.length === 0;
  }

  #forgetSome(): void {
    for (;;) {
      const subscriber = this.#leaving.at(-1);
      if (subscriber === undefined) return;
      const latest = this.index.latestOf(subscriber.member);
      if (latest === NONE) {
        this.#leaving.pop();
        this.#members[subscriber.member] = undefined;
        this.#freeMembers.push(subscriber.member);
        continue;
      }
      if (this.#forgettable-- <= 0) return;
      const size = this.index.sizeOf(latest);
      this.index.remove(latest);
      this.#change(subscriber, -1, size);
    }
  }

  /** Whose subscription it is; `null`: of one that is gone. */
  subscriberOf(one: Subscription): Subscriber | null {
    const subscriber = this.#members[this.index.memberOf(one)];
    return subscriber === undefined || subscriber.isClosed ? null : subscriber;
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

  #change(subscriber: Subscriber, by: 1 | -1, topicBytes: number): void {
    const { identity } = subscriber.info;
    subscriber.memory.add('subscriptions', by * bytesOf(topicBytes));
    subscriber.count += by;
    this.count += by;
    const count = (this.#perIdentity.get(identity) ?? 0) + by;
    if (count > 0) this.#perIdentity.set(identity, count);
    else this.#perIdentity.delete(identity);
  }
}

function bytesOf(topicBytes: number): number {
  return SUBSCRIPTION_BYTES + Math.ceil(topicBytes * PER_TOPIC_BYTE);
}
