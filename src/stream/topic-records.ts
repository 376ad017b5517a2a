/**
 * Topics and subscriptions as records outside of V8's heap. A peer may have thousands of them, which come and
 * go with its connection: as objects, V8 would mark all that are there, and keep for long those that are not.
 */
import { Arena, type ArenaHandle } from '../core/arena.js';
import { Buckets, NO_RECORD } from '../core/buckets.js';

/** A record, or no record. */
type Topic = ArenaHandle;
export type Subscription = number;
export const NONE = NO_RECORD;

/** Fields of a topic, in bytes; its own bytes follow. */
const SIZE = 0;
const FIRST = 4;
const HEAD_BYTES = 8;

/** The topics; each has a run in an arena. */
export class Topics {
  readonly #arena = new Arena();
  readonly buckets = new Buckets();

  /** The topic `[start, start + size)` of `bytes`, which has this hash. */
  find(bytes: Uint8Array, start: number, size: number, hash: number): Topic {
    const buckets = this.buckets;
    for (let topic = buckets.first(hash); topic !== NONE; topic = buckets.next(topic)) {
      if (buckets.hashOf(topic) !== hash) continue;
      const { words, start: at } = this.#arena.find(topic);
      const { view, bytes: known } = words;
      if (view.getInt32(at + SIZE) !== size) continue;
      if (isSame(known, at + HEAD_BYTES, bytes, start, size)) return topic;
    }
    return NONE;
  }

  add(bytes: Uint8Array, hash: number): Topic {
    const topic = this.#arena.allocate(HEAD_BYTES + bytes.length);
    this.#put(topic, SIZE, bytes.length);
    this.setFirst(topic, NONE);
    const { words, start: at } = this.#arena.find(topic);
    words.bytes.set(bytes, at + HEAD_BYTES);
    this.buckets.add(topic, hash);
    return topic;
  }

  remove(topic: Topic): void {
    this.buckets.remove(topic);
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
  /** How often its member subscribed, less how often it cancelled. */
  times: 2,
  nextOfTopic: 3,
  beforeOfTopic: 4,
  nextOfMember: 5,
  beforeOfMember: 6,
} as const;
type Field = (typeof FIELD)[keyof typeof FIELD];

const FIELD_BITS = 3;
const PAGE_BITS = 11;
const PAGE_MASK = (1 << PAGE_BITS) - 1;

/** All have the same size. Their pages stay until none of them is used. */
export class SubscriptionRecords {
  #pages: Int32Array[] = [];
  #free: Subscription = NONE;
  /** Records from this one on were never used. */
  #fresh = 0;
  #used = 0;
  readonly #buckets = new Buckets();
  readonly #topics: Topics;

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  find(topic: Topic, member: number): Subscription {
    const hash = this.#hashOfPair(topic, member);
    const buckets = this.#buckets;
    for (let one = buckets.first(hash); one !== NONE; one = buckets.next(one)) {
      if (buckets.hashOf(one) !== hash) continue;
      const isIt = this.get(one, FIELD.topic) === topic && this.get(one, FIELD.member) === member;
      if (isIt) return one;
    }
    return NONE;
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
    this.#buckets.add(one, this.#hashOfPair(topic, member));
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

  /** Members of one topic are in buckets beside each other; where they begin cannot be guessed. */
  #hashOfPair(topic: Topic, member: number): number {
    return (this.#topics.buckets.hashOf(topic) + member) | 0;
  }
}
