/**
 * Topics and subscriptions as records outside of V8's heap. A peer may have thousands of them, which come and
 * go with its connection: as objects, V8 would mark all that are there, and keep for long those that are not.
 */
import { Arena, type ArenaHandle } from '../core/arena.js';
import { Buckets, type Chained, NO_RECORD } from '../core/buckets.js';

/** A record, or no record. */
export type Topic = ArenaHandle;
export type Subscription = number;
export const NONE = NO_RECORD;

/** Fields of a topic, in bytes; its own bytes follow. */
const HASH = 0;
const CHAIN = 4;
const SIZE = 8;
const FIRST = 12;
const HEAD_BYTES = 16;

/** The topics; each has a run in an arena. */
export class Topics implements Chained {
  readonly #arena = new Arena();
  readonly #buckets = new Buckets(this);

  /** The topic `[start, start + size)` of `bytes`, which has this hash. */
  find(bytes: Uint8Array, start: number, size: number, hash: number): Topic {
    for (let topic = this.#buckets.first(hash); topic !== NONE;) {
      const { words, start: at } = this.#arena.find(topic);
      const { view, bytes: known } = words;
      if (
        view.getInt32(at + HASH) === hash &&
        view.getInt32(at + SIZE) === size &&
        isSame(known, at + HEAD_BYTES, bytes, start, size)
      ) {
        return topic;
      }
      topic = view.getInt32(at + CHAIN);
    }
    return NONE;
  }

  add(bytes: Uint8Array, hash: number): Topic {
    const topic = this.#arena.allocate(HEAD_BYTES + bytes.length);
    this.#put(topic, HASH, hash);
    this.#put(topic, SIZE, bytes.length);
    this.setFirst(topic, NONE);
    const { words, start: at } = this.#arena.find(topic);
    words.bytes.set(bytes, at + HEAD_BYTES);
    this.#buckets.add(topic);
    return topic;
  }

  remove(topic: Topic): void {
    this.#buckets.remove(topic);
    this.#arena.free(topic);
  }

  sizeOf(topic: Topic): number {
    return this.#get(topic, SIZE);
  }

  /** The latest of its subscriptions. */
  firstOf(topic: Topic): Subscription {
    return this.#get(topic, FIRST);
  }

  setFirst(topic: Topic, first: Subscription): void {
    this.#put(topic, FIRST, first);
  }

  hashOf(topic: Topic): number {
    return this.#get(topic, HASH);
  }

  nextInBucket(topic: Topic): Topic {
    return this.#get(topic, CHAIN);
  }

  linkInBucket(topic: Topic, next: Topic): void {
    this.#put(topic, CHAIN, next);
  }

  #get(topic: Topic, field: number): number {
    const { words, start: at } = this.#arena.find(topic);
    return words.view.getInt32(at + field);
  }

  #put(topic: Topic, field: number, value: number): void {
    const { words, start: at } = this.#arena.find(topic);
    words.view.setInt32(at + field, value);
  }
}

function isSame(
  known: Uint8Array,
  from: number,
  bytes: Uint8Array,
  start: number,
  size: number,
): boolean {
  for (let at = 0; at < size; at++) if (known[from + at] !== bytes[start + at]) return false;
  return true;
}

/** Fields of a subscription. A free record has the next free one in the place of the first. */
export const FIELD = {
  topic: 0,
  member: 1,
  chain: 2,
  /** How often its member subscribed, less how often it cancelled. */
  times: 3,
  nextOfTopic: 4,
  beforeOfTopic: 5,
  nextOfMember: 6,
  beforeOfMember: 7,
} as const;
export type Field = (typeof FIELD)[keyof typeof FIELD];

const FIELD_BITS = 3;
const PAGE_BITS = 11;
const PAGE_MASK = (1 << PAGE_BITS) - 1;

/** All have the same size. Their pages stay until none of them is used. */
export class SubscriptionRecords implements Chained {
  #pages: Int32Array[] = [];
  #free: Subscription = NONE;
  /** Records from this one on were never used. */
  #fresh = 0;
  #used = 0;
  readonly #buckets = new Buckets(this);
  readonly #topics: Topics;

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  find(topic: Topic, member: number): Subscription {
    let one = this.#buckets.first(this.#hashOfPair(topic, member));
    while (
      one !== NONE &&
      (this.get(one, FIELD.topic) !== topic || this.get(one, FIELD.member) !== member)
    ) {
      one = this.get(one, FIELD.chain);
    }
    return one;
  }

  add(topic: Topic, member: number): Subscription {
    let one = this.#free;
    if (one === NONE) {
      one = this.#fresh++;
      if ((one & PAGE_MASK) === 0) this.#pages.push(new Int32Array(1 << (PAGE_BITS + FIELD_BITS)));
    } else {
      this.#free = this.get(one, 0);
    }
    this.#used++;
    this.put(one, FIELD.topic, topic);
    this.put(one, FIELD.member, member);
    this.put(one, FIELD.times, 1);
    this.#buckets.add(one);
    return one;
  }

  remove(one: Subscription): void {
    this.#buckets.remove(one);
    this.put(one, 0, this.#free);
    this.#free = one;
    if (--this.#used > 0) return;
    this.#pages = [];
    this.#free = NONE;
    this.#fresh = 0;
  }

  get(one: Subscription, field: Field): number {
    return this.#pages[one >>> PAGE_BITS]?.[((one & PAGE_MASK) << FIELD_BITS) | field] ?? NONE;
  }

  put(one: Subscription, field: Field, value: number): void {
    const page = this.#pages[one >>> PAGE_BITS];
    if (page !== undefined) page[((one & PAGE_MASK) << FIELD_BITS) | field] = value;
  }

  hashOf(one: Subscription): number {
    return this.#hashOfPair(this.get(one, FIELD.topic), this.get(one, FIELD.member));
  }

  nextInBucket(one: Subscription): Subscription {
    return this.get(one, FIELD.chain);
  }

  linkInBucket(one: Subscription, next: Subscription): void {
    this.put(one, FIELD.chain, next);
  }

  /** Members of one topic are in buckets beside each other; where they begin cannot be guessed. */
  #hashOfPair(topic: Topic, member: number): number {
    return (this.#topics.hashOf(topic) + member) | 0;
  }
}
