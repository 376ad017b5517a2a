/**
 * Who subscribed to which topics: finds those whose topic is a prefix of some bytes. Topics are found by a
 * hash, so that the cost of one does not depend on what else is subscribed to: of some bytes, every beginning
 * is looked up that is as long as a topic.
 */
import { KeyedHash } from '../core/keyed-hash.js';
import type { RandomFill } from '../core/random.js';
import { TOPIC_BYTES_MAX } from '../wire/stream.js';
import { FIELD, NONE, type Subscription, SubscriptionRecords, Topics } from './topic-records.js';

/** The list of a topic, and that of a member, of which each subscription is part. */
const OF_TOPIC = { next: FIELD.nextOfTopic, before: FIELD.beforeOfTopic } as const;
const OF_MEMBER = { next: FIELD.nextOfMember, before: FIELD.beforeOfMember } as const;

export class TopicIndex {
  readonly #topics = new Topics();
  readonly #subscriptions = new SubscriptionRecords(this.#topics);
  /** The latest subscription of each member. */
  readonly #latest: Subscription[] = [];
  /** How many topics there are of each size, and the largest size. */
  readonly #sizes = new Int32Array(TOPIC_BYTES_MAX + 1);
  #sizeMost = 0;
  readonly #hash: KeyedHash;

  /** @param random see `KeyedHash` */
  constructor(random: RandomFill) {
    this.#hash = new KeyedHash(random);
  }

  /** @param member a small number */
  find(member: number, topic: Uint8Array): Subscription {
    const of = this.#topics.find(topic, 0, topic.length, this.#hashOf(topic));
    return of === NONE ? NONE : this.#subscriptions.find(of, member);
  }

  /** @param topic that the member does not have, of at most `TOPIC_BYTES_MAX` bytes */
  add(member: number, topic: Uint8Array): Subscription {
    const hash = this.#hashOf(topic);
    let of = this.#topics.find(topic, 0, topic.length, hash);
    if (of === NONE) {
      of = this.#topics.add(topic, hash);
      this.#countSize(topic.length, 1);
    }
    const one = this.#subscriptions.add(of, member);
    this.#prepend(one, this.#topics.firstOf(of), OF_TOPIC);
    this.#topics.setFirst(of, one);
    this.#prepend(one, this.latestOf(member), OF_MEMBER);
    this.#latest[member] = one;
    return one;
  }

  /** Changes how often the member subscribed to it, less how often it cancelled. Returns that. */
  repeat(one: Subscription, change: 1 | -1): number {
    const times = this.#subscriptions.get(one, FIELD.times) + change;
    this.#subscriptions.put(one, FIELD.times, times);
    return times;
  }

  remove(one: Subscription): void {
    const topic = this.#subscriptions.get(one, FIELD.topic);
    const member = this.#subscriptions.get(one, FIELD.member);
    const [nextOfMember, nextOfTopic] = [
      this.#takeOut(one, OF_MEMBER),
      this.#takeOut(one, OF_TOPIC),
    ];
    if (one === this.latestOf(member)) this.#latest[member] = nextOfMember;
    if (one === this.#topics.firstOf(topic)) this.#topics.setFirst(topic, nextOfTopic);
    this.#subscriptions.remove(one);
    if (this.#topics.firstOf(topic) === NONE) {
      this.#countSize(this.#topics.sizeOf(topic), -1);
      this.#topics.remove(topic);
    }
  }

  latestOf(member: number): Subscription {
    return this.#latest[member] ?? NONE;
  }

  /** Bytes of its topic. */
  sizeOf(one: Subscription): number {
    return this.#topics.sizeOf(this.#subscriptions.get(one, FIELD.topic));
  }

  /**
   * Visits all topics that `[start, end)` of `bytes` begins with, shorter ones first. A visit must not change
   * the index, nor look for a topic.
   * @param visit is given the topic's first subscription; the others follow, see `next`
   */
  match(bytes: Uint8Array, start: number, end: number, visit: (first: Subscription) => void): void {
    const most = Math.min(end - start, this.#sizeMost);
    this.#hash.of(bytes, start, start);
    for (let size = 0; size <= most; size++) {
      if (this.#sizes[size] === 0) continue;
      const hash = this.#hash.ofLonger(bytes, start, start + size);
      const topic = this.#topics.find(bytes, start, size, hash);
      if (topic !== NONE) visit(this.#topics.firstOf(topic));
    }
  }

  /** The next subscription to the same topic. */
  next(one: Subscription): Subscription {
    return this.#subscriptions.get(one, FIELD.nextOfTopic);
  }

  memberOf(one: Subscription): number {
    return this.#subscriptions.get(one, FIELD.member);
  }

  #hashOf(topic: Uint8Array): number {
    return this.#hash.of(topic, 0, topic.length);
  }

  #countSize(size: number, change: 1 | -1): void {
    this.#sizes[size] = (this.#sizes[size] ?? 0) + change;
    this.#sizeMost = Math.max(this.#sizeMost, size);
    while (this.#sizeMost > 0 && this.#sizes[this.#sizeMost] === 0) this.#sizeMost--;
  }

  #prepend(one: Subscription, next: Subscription, list: typeof OF_TOPIC | typeof OF_MEMBER): void {
    this.#subscriptions.put(one, list.next, next);
    this.#subscriptions.put(one, list.before, NONE);
    if (next !== NONE) this.#subscriptions.put(next, list.before, one);
  }

  /** @returns the one behind it */
  #takeOut(one: Subscription, list: typeof OF_TOPIC | typeof OF_MEMBER): Subscription {
    const next = this.#subscriptions.get(one, list.next);
    const before = this.#subscriptions.get(one, list.before);
    if (next !== NONE) this.#subscriptions.put(next, list.before, before);
    if (before !== NONE) this.#subscriptions.put(before, list.next, next);
    return next;
  }
}
