/**
 * The publisher as a pure machine: it knows its subscribers and what they subscribed to, and copies
 * each message to those whose subscriptions match.
 *
 * It drops nothing for a connected subscriber: one that does not read is closed when the transport
 * reports its output as full, so that a gap comes only with a closed connection.
 *
 * The copies of one turn have a budget. Messages beyond it wait for later turns; if too much waits, the
 * identity with the most subscriptions loses its connections, and with them its part of the copies.
 */
import { copyBytes, Words } from '../core/bytes.js';
import type { CloseReason } from '../core/event-fields.js';
import type { Frames } from '../core/frames.js';
import { Holdings } from '../core/holdings.js';
import { OldestFirst } from '../core/oldest-first.js';
import { pack, PackedCursor, packedBytes, readPacked } from '../core/packed.js';
import type { RandomFill } from '../core/random.js';
import { readSubscription, subscribedTopic, TOPIC_BYTES_MAX } from '../wire/stream.js';
import {
  type Subscriber,
  type SubscriberId,
  type SubscriberInfo,
  type SubscriptionLimits,
  Subscriptions,
} from './subscriptions.js';
import { NONE, type Subscription } from './topic-records.js';

/** The effects. */
export interface FanOutSink {
  /** Sends the first `size` bytes of `message`: packed frames, valid during the call. */
  send(subscriber: SubscriberId, message: Words, size: number): void;
  /** Ends the connection of a subscriber. `disconnected` follows, never within the call. */
  close(subscriber: SubscriberId, info: SubscriberInfo, reason: CloseReason): void;
  /** Tells that a subscription to a topic, maybe one more to the same, is in force. Valid during the call. */
  subscribed?(subscriber: SubscriberId, topic: Buffer): void;
}

/** @returns whether it may subscribe to this topic, and so to all that begin with it */
export type AuthoriseTopic = (subscriber: SubscriberInfo, topic: Buffer) => boolean;

export interface FanOutLimits extends SubscriptionLimits {
  /** Cost of the copies of one turn. */
  readonly turnCost: number;
  /** Memory of messages that wait for a turn, in bytes. */
  readonly waitingBytes: number;
}

/** Cost of a copy in an empty buffer, which has to be written; behind others it costs 1. Each KiB costs 1 more. */
const WRITE_COST = 64;

/** Memory that a waiting message takes beside its bytes: its buffers and its place (measured). */
const KEPT_COST_BYTES = 960;

const LIMITS: FanOutLimits = {
  // Beyond it, its connection is closed (D41).
  perSubscriber: 10_000,
  perIdentity: 875_000,
  total: 1_000_000,
  // Some 10 ms: 512 writes, or 32,768 copies behind others.
  turnCost: 512 * WRITE_COST,
  waitingBytes: 16 * 2 ** 20,
};

/** Counts since the fan-out was created. */
interface FanOutCounters {
  /** Messages that were published, whether anyone subscribed or not. */
  published: number;
  /** Copies of them that were sent. */
  copies: number;
  /** Subscribers that were closed. */
  readonly closed: Record<CloseReason, number>;
  /** Subscriptions that `authorise` refused. */
  refused: number;
  /** Messages of subscribers that are no subscriptions. */
  malformed: number;
}

/** Messages up to this size are packed into one buffer that is used again. */
const SCRATCH_BYTES = 16 * 1024;

export class FanOut {
  readonly counters: FanOutCounters = {
    published: 0,
    copies: 0,
    closed: { slow: 0, limit: 0 },
    refused: 0,
    malformed: 0,
  };
  readonly #sink: FanOutSink;
  readonly #authorise: AuthoriseTopic | null;
  readonly #limits: FanOutLimits;
  readonly #holdings: Holdings;
  readonly #subscribers = new Map<SubscriberId, Subscriber>();
  readonly #subscriptions: Subscriptions;
  readonly #scratch = new Words(Buffer.alloc(SCRATCH_BYTES));
  /** The message that is being matched; packed when the first subscriber is found. */
  #frames: Frames | null = null;
  #packed: Words | null = null;
  #size = 0;
  #message = 1;
  /** What is left of the budget of this turn. */
  #left: number;
  /** Topics of the message that is being matched at which nothing was left for a subscriber. */
  #missed = 0;
  #write = 1;
  /** Packed messages, by number, that have not been copied for all. */
  readonly #waiting = new OldestFirst<number, Words>();
  #waitingBytes = 0;
  readonly #behind: Subscriber[] = [];
  readonly #cursor = new PackedCursor();

  /**
   * @param random see `KeyedHash`
   * @param authorise default: everyone may subscribe to everything
   * @param holdings default: of its own, without a limit
   */
  constructor(
    sink: FanOutSink,
    random: RandomFill,
    authorise: AuthoriseTopic | null = null,
    limits: Partial<FanOutLimits> = {},
    holdings: Holdings = new Holdings(),
  ) {
    this.#sink = sink;
    this.#authorise = authorise;
    this.#holdings = holdings;
    this.#limits = { ...LIMITS, ...limits };
    this.#subscriptions = new Subscriptions(this.#limits, random);
    this.#left = this.#limits.turnCost;
  }

  /** Number of connected subscribers. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Number of distinct subscriptions of each subscriber, together. */
  get subscriptions(): number {
    return this.#subscriptions.count;
  }

  // ---------------------------------------------------------------- inputs

  connected(id: SubscriberId, info: SubscriberInfo): void {
    const memory = this.#holdings.use(info.identity);
    this.#subscribers.set(id, this.#subscriptions.join(id, info, memory));
  }

  /** A message of a subscriber. */
  message(id: SubscriberId, frames: Frames): void {
    const said = readSubscription(frames);
    if (said === null) this.counters.malformed++;
    else this.subscription(id, subscribedTopic(frames), said === 'subscribe');
  }

  /** Makes or cancels a subscription to a topic, whose bytes are valid during the call. */
  subscription(id: SubscriberId, topic: Buffer, isOn: boolean): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber === undefined || subscriber.isClosed) return;
    if (topic.length > TOPIC_BYTES_MAX) this.#close(subscriber, 'limit');
    else if (isOn) this.#subscribe(subscriber, topic);
    else this.#subscriptions.cancel(subscriber, topic);
  }

  /** Closes a subscriber that sent a message too large for a subscription. */
  oversized(id: SubscriberId): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber !== undefined) this.#close(subscriber, 'limit');
  }

  /** Closes a subscriber whose output has reached the limit: it does not read. */
  outputFull(id: SubscriberId): void {
    const subscriber = this.#subscribers.get(id);
    // No gap without a closed connection (D43).
    if (subscriber !== undefined) this.#close(subscriber, 'slow');
  }

  disconnected(id: SubscriberId): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber === undefined) return;
    this.#subscribers.delete(id);
    this.#forget(subscriber);
    this.#holdings.release(subscriber.memory);
  }

  /** What was copied has been written: the next copy for a subscriber needs another write. */
  written(): void {
    this.#write++;
  }

  /** A turn begins: copies what waits. @returns false if there is more to do */
  run(): boolean {
    this.#left = this.#limits.turnCost;
    while (this.#left > 0) {
      const subscriber = this.#behind.pop();
      if (subscriber === undefined) break;
      this.#left -= WRITE_COST;
      this.#close(subscriber, 'slow');
    }
    for (let next = this.#waiting.oldest; next !== null && this.#left > 0;) {
      const { bytes } = next.value;
      this.#packed = next.value;
      this.#size = bytes.length;
      if (!this.#copyPacked(bytes)) break;
      this.#waitingBytes -= bytes.length + KEPT_COST_BYTES;
      this.#waiting.shift();
      next = this.#waiting.oldest;
    }
    this.#packed = null;
    const isTidy = this.#subscriptions.run();
    return isTidy && this.#waiting.size === 0 && this.#behind.length === 0;
  }

  // ---------------------------------------------------------------- publishing

  /** Whether a message with this topic would be sent to anyone. */
  hasSubscribers(topic: Buffer): boolean {
    let isWanted = false;
    const subscriptions = this.#subscriptions;
    const { index } = subscriptions;
    index.match(topic, 0, topic.length, (first) => {
      for (let one = first; one !== NONE && !isWanted; one = index.next(one)) {
        isWanted = subscriptions.subscriberOf(one) !== null;
      }
    });
    return isWanted;
  }

  /**
   * Sends a message to all whose subscriptions are a prefix of its first frame, some of them in later turns.
   * @param frames at least one; valid during the call
   * @returns bytes of one copy; 0: nobody subscribed
   */
  publish(frames: Frames): number {
    this.counters.published++;
    this.#frames = frames;
    this.#size = 0;
    const [bytes, start, end] = [frames.buffer(0), frames.start(0), frames.end(0)];
    if (this.#waiting.size > 0) {
      if (this.hasSubscribers(bytes.subarray(start, end))) this.#keep(this.#pack());
    } else if (!this.#match(bytes, start, end)) {
      this.#keep(this.#packed ?? this.#pack());
    }
    this.#frames = null;
    this.#packed = null;
    return this.#size;
  }

  /** Sends a message to this subscriber alone, whatever it subscribed to; valid during the call. */
  sendTo(id: SubscriberId, frames: Frames): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber === undefined || subscriber.isClosed) return;
    this.#frames = frames;
    const packed = this.#pack();
    this.#frames = null;
    this.#sink.send(id, packed, this.#size);
  }

  /**
   * Publishes a message that is packed already: see `publish`.
   * @param message the first `size` bytes, valid during the call
   */
  publishPacked(message: Words, size: number): number {
    this.counters.published++;
    this.#packed = message;
    this.#size = size;
    const before = this.counters.copies;
    const isWhole = this.#waiting.size === 0 && this.#copyPacked(message.bytes);
    if (!isWhole) this.#keep(message);
    this.#packed = null;
    return isWhole && this.counters.copies === before ? 0 : size;
  }

  /** Copies the packed message. @returns false if the budget did not suffice */
  #copyPacked(bytes: Buffer): boolean {
    const cursor = this.#cursor;
    readPacked(bytes, 0, cursor);
    return this.#match(bytes, cursor.start, cursor.end);
  }

  /** @returns false if the budget did not suffice: those who are left get it in a later turn */
  #match(bytes: Buffer, start: number, end: number): boolean {
    this.#missed = 0;
    this.#subscriptions.index.match(bytes, start, end, this.#copy);
    if (this.#missed > 0) return false;
    this.#message++;
    return true;
  }

  readonly #copy = (first: Subscription): void => {
    const subscriptions = this.#subscriptions;
    const { index } = subscriptions;
    for (let one = first; one !== NONE; one = index.next(one)) {
      const subscriber = subscriptions.subscriberOf(one);
      // Overlapping subscriptions of one subscriber get it once.
      if (subscriber === null || subscriber.matched === this.#message) continue;
      if (subscriber.isBehind) continue;
      if (this.#left <= 0) {
        this.#missed++;
        return;
      }
      const packed = (this.#packed ??= this.#pack());
      subscriber.matched = this.#message;
      this.#left -= (subscriber.write === this.#write ? 1 : WRITE_COST) + (this.#size >>> 10);
      subscriber.write = this.#write;
      this.counters.copies++;
      this.#sink.send(subscriber.id, packed, this.#size);
    }
  };

  /** The first `#size` bytes of this message wait for a later turn. */
  #keep({ bytes: packed }: Words): void {
    const bytes = this.#size + KEPT_COST_BYTES;
    if (this.#waiting.size > 0 && this.#waitingBytes + bytes > this.#limits.waitingBytes) {
      this.#shed();
    }
    const copy = Buffer.allocUnsafeSlow(this.#size);
    copyBytes(packed, 0, this.#size, copy, 0);
    this.#waiting.set(this.counters.published, new Words(copy));
    this.#waitingBytes += bytes;
  }

  /**
   * Too much waits. Whoever has most subscriptions loses its connections; if that has not helped before
   * twice as much waits, all do.
   */
  #shed(): void {
    if (this.#waitingBytes > 2 * this.#limits.waitingBytes) {
      this.#waiting.clear();
      this.#waitingBytes = 0;
      this.#message++;
      this.#fallBehind(() => true);
    } else if (this.#behind.length === 0) {
      const largest = this.#subscriptions.largest();
      this.#fallBehind(({ identity }) => identity === largest);
    }
  }

  #fallBehind(isMeant: (info: SubscriberInfo) => boolean): void {
    for (const subscriber of this.#subscribers.values()) {
      if (subscriber.isBehind || !isMeant(subscriber.info)) continue;
      subscriber.isBehind = true;
      this.#behind.push(subscriber);
    }
  }

  /** Encodes the message, once for all. */
  #pack(): Words {
    const frames = this.#frames;
    if (frames === null) return this.#scratch;
    this.#size = packedBytes(frames, 0, frames.count);
    const packed =
      this.#size > SCRATCH_BYTES ? new Words(Buffer.allocUnsafeSlow(this.#size)) : this.#scratch;
    pack(frames, 0, frames.count, packed.bytes, 0, false);
    return packed;
  }

  // ---------------------------------------------------------------- subscriptions

  #subscribe(subscriber: Subscriber, topic: Buffer): void {
    const subscriptions = this.#subscriptions;
    if (!subscriptions.repeat(subscriber, topic)) {
      if (subscriptions.isFull(subscriber, topic)) {
        this.#close(subscriber, 'limit');
        return;
      }
      if (this.#authorise?.(subscriber.info, topic) === false) {
        this.counters.refused++;
        return;
      }
      subscriptions.add(subscriber, topic);
    }
    this.#sink.subscribed?.(subscriber.id, topic);
  }

  #close(subscriber: Subscriber, reason: CloseReason): void {
    if (subscriber.isClosed) return;
    this.counters.closed[reason]++;
    this.#forget(subscriber);
    this.#sink.close(subscriber.id, subscriber.info, reason);
  }

  #forget(subscriber: Subscriber): void {
    if (subscriber.isClosed) return;
    subscriber.isClosed = true;
    this.#subscriptions.forget(subscriber);
  }
}
