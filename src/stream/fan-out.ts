/**
 * The publisher as a pure machine: it knows its subscribers and what they subscribed to, and copies
 * each message to those whose subscriptions match.
 *
 * It drops nothing for a connected subscriber: one that does not read is closed when the transport
 * reports its output as full, so that a gap comes only with a closed connection.
 */
import { Words } from '../core/bytes.js';
import type { Frames } from '../core/frames.js';
import { type Holder, Holdings } from '../core/holdings.js';
import { pack, packedBytes } from '../core/packed.js';
import { readSubscription, subscribedTopic, TOPIC_BYTES_MAX } from '../wire/stream.js';
import { type Place, TopicTrie } from './topic-trie.js';

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

/** Why a subscriber was closed: it did not read, or it subscribed beyond a limit. */
export type CloseReason = 'slow' | 'limit';

/** The effects. */
export interface FanOutSink {
  /** Sends the first `size` bytes of `message`: packed frames, valid during the call. */
  send(subscriber: SubscriberId, message: Words, size: number): void;
  /** Ends its connection. `disconnected` follows, never within the call. */
  close(subscriber: SubscriberId, info: SubscriberInfo, reason: CloseReason): void;
  /** Its subscription to a topic, or one more to the same, is in force. Valid during the call. */
  subscribed?(subscriber: SubscriberId, topic: Buffer): void;
}

/** @returns whether it may subscribe to this topic, and so to all that begin with it */
export type AuthoriseTopic = (subscriber: SubscriberInfo, topic: Buffer) => boolean;

export interface FanOutLimits {
  /** Distinct subscriptions of one connection. */
  readonly perSubscriber: number;
  /** Of all connections of one identity. */
  readonly perIdentity: number;
  /** Of all together. */
  readonly total: number;
}

const LIMITS: FanOutLimits = { perSubscriber: 10_000, perIdentity: 875_000, total: 1_000_000 }; // D41

/** Memory that a subscription takes besides its topic: entries of maps, a node for the topic. */
const SUBSCRIPTION_BYTES = 256;

/** Since it was created. */
export interface FanOutCounters {
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

/** One topic of one subscriber. */
interface Subscription {
  readonly place: Place<Subscriber>;
  /** How often it subscribed, less how often it cancelled. */
  count: number;
}

class Subscriber {
  readonly id: SubscriberId;
  readonly info: SubscriberInfo;
  /** Accounts for what it subscribes to. */
  readonly holder: Holder;
  /** By topic, as Latin-1. */
  readonly subscriptions = new Map<string, Subscription>();
  /** The latest message that matched it. */
  matched = 0;
  isClosed = false;

  constructor(id: SubscriberId, info: SubscriberInfo, holder: Holder) {
    this.id = id;
    this.info = info;
    this.holder = holder;
  }
}

/** Where the topic of a packed message is, after its short head. */
const TOPIC_AT = 2;
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
  readonly #trie = new TopicTrie<Subscriber>();
  /** Distinct subscriptions, by identity. */
  readonly #perIdentity = new Map<string, number>();
  #subscriptions = 0;
  readonly #scratch = new Words(Buffer.alloc(SCRATCH_BYTES));
  /** The message that is being matched; packed when the first subscriber is found. */
  #frames: Frames | null = null;
  #packed: Words | null = null;
  #size = 0;
  #message = 0;

  /**
   * @param authorise default: everyone may subscribe to everything
   * @param holdings default: of its own, without a limit
   */
  constructor(
    sink: FanOutSink,
    authorise: AuthoriseTopic | null = null,
    limits: FanOutLimits = LIMITS,
    holdings: Holdings = new Holdings(),
  ) {
    this.#sink = sink;
    this.#authorise = authorise;
    this.#limits = limits;
    this.#holdings = holdings;
  }

  /** Number of connected subscribers. */
  get subscribers(): number {
    return this.#subscribers.size;
  }

  /** Number of distinct subscriptions of each subscriber, together. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** Number of nodes that they take. */
  get nodes(): number {
    return this.#trie.nodes;
  }

  // ---------------------------------------------------------------- inputs

  connected(id: SubscriberId, info: SubscriberInfo): void {
    this.#subscribers.set(id, new Subscriber(id, info, this.#holdings.use(info.identity)));
  }

  /** A message of a subscriber. */
  message(id: SubscriberId, frames: Frames): void {
    const said = readSubscription(frames);
    if (said === null) this.counters.malformed++;
    else this.subscription(id, subscribedTopic(frames), said === 'subscribe');
  }

  /** It subscribes to a topic, or cancels that; the bytes are valid during the call. */
  subscription(id: SubscriberId, topic: Buffer, isOn: boolean): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber === undefined || subscriber.isClosed) return;
    if (topic.length > TOPIC_BYTES_MAX) this.#close(subscriber, 'limit');
    else if (isOn) this.#subscribe(subscriber, topic);
    else this.#cancel(subscriber, topic.toString('latin1'));
  }

  /** It sent a message that is too large for a subscription. */
  oversized(id: SubscriberId): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber !== undefined) this.#close(subscriber, 'limit');
  }

  /** Its output has reached the limit: it does not read. */
  full(id: SubscriberId): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber !== undefined) this.#close(subscriber, 'slow'); // D43
  }

  disconnected(id: SubscriberId): void {
    const subscriber = this.#subscribers.get(id);
    if (subscriber === undefined) return;
    this.#subscribers.delete(id);
    this.#forgetAll(subscriber);
    this.#holdings.release(subscriber.holder);
  }

  // ---------------------------------------------------------------- publishing

  /** Whether a message with this topic would be sent to anyone. */
  hasSubscribers(topic: Buffer): boolean {
    let isWanted = false;
    this.#trie.match(topic, 0, topic.length, () => {
      isWanted = true;
    });
    return isWanted;
  }

  /**
   * Sends a message to all whose subscriptions are a prefix of its first frame.
   * @param frames at least one; valid during the call
   * @returns bytes of one copy; 0: nobody subscribed
   */
  publish(frames: Frames): number {
    this.counters.published++;
    this.#message++;
    this.#frames = frames;
    this.#packed = null;
    this.#size = 0;
    this.#trie.match(frames.buffer(0), frames.start(0), frames.end(0), this.#copy);
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
   * As `publish`, of a message that is packed already, with a short topic.
   * @param message the first `size` bytes, valid during the call
   */
  publishPacked(message: Words, size: number): number {
    this.counters.published++;
    this.#message++;
    this.#packed = message;
    this.#size = size;
    const before = this.counters.copies;
    const { bytes } = message;
    this.#trie.match(bytes, TOPIC_AT, TOPIC_AT + (bytes[TOPIC_AT - 1] ?? 0), this.#copy);
    this.#packed = null;
    return this.counters.copies > before ? size : 0;
  }

  readonly #copy = (places: readonly Place<Subscriber>[]): void => {
    const packed = (this.#packed ??= this.#pack());
    for (let index = 0; index < places.length; index++) {
      const subscriber = places[index]?.member;
      // Overlapping subscriptions of one subscriber get it once.
      if (subscriber === undefined || subscriber.matched === this.#message) continue;
      subscriber.matched = this.#message;
      this.counters.copies++;
      this.#sink.send(subscriber.id, packed, this.#size);
    }
  };

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
    const name = topic.toString('latin1');
    const before = subscriber.subscriptions.get(name);
    if (before !== undefined) {
      before.count++;
      this.#sink.subscribed?.(subscriber.id, topic);
      return;
    }
    if (this.#isOver(subscriber) || !subscriber.holder.mayHold(bytesOf(name))) {
      this.#close(subscriber, 'limit');
      return;
    }
    if (this.#authorise?.(subscriber.info, topic) === false) {
      this.counters.refused++;
      return;
    }
    const place = this.#trie.add(name, subscriber);
    subscriber.subscriptions.set(name, { place, count: 1 });
    this.#count(subscriber, 1);
    subscriber.holder.add('subscriptions', bytesOf(name));
    this.#sink.subscribed?.(subscriber.id, topic);
  }

  #isOver({ subscriptions, info }: Subscriber): boolean {
    const { perSubscriber, perIdentity, total } = this.#limits;
    return (
      subscriptions.size >= perSubscriber ||
      (this.#perIdentity.get(info.identity) ?? 0) >= perIdentity ||
      this.#subscriptions >= total
    );
  }

  #cancel(subscriber: Subscriber, name: string): void {
    const subscription = subscriber.subscriptions.get(name);
    if (subscription === undefined || --subscription.count > 0) return;
    subscriber.subscriptions.delete(name);
    this.#trie.remove(subscription.place);
    this.#count(subscriber, -1);
    subscriber.holder.add('subscriptions', -bytesOf(name));
  }

  #count({ info: { identity } }: Subscriber, change: number): void {
    this.#subscriptions += change;
    const count = (this.#perIdentity.get(identity) ?? 0) + change;
    if (count > 0) this.#perIdentity.set(identity, count);
    else this.#perIdentity.delete(identity);
  }

  #close(subscriber: Subscriber, reason: CloseReason): void {
    if (subscriber.isClosed) return;
    subscriber.isClosed = true;
    this.counters.closed[reason]++;
    this.#forgetAll(subscriber);
    this.#sink.close(subscriber.id, subscriber.info, reason);
  }

  #forgetAll(subscriber: Subscriber): void {
    const { subscriptions, holder } = subscriber;
    let bytes = 0;
    for (const [name, { place }] of subscriptions) {
      this.#trie.remove(place);
      bytes += bytesOf(name);
    }
    holder.add('subscriptions', -bytes);
    if (subscriptions.size > 0) this.#count(subscriber, -subscriptions.size);
    subscriptions.clear();
  }
}

/** @param name the topic as Latin-1, a byte for each character */
function bytesOf(name: string): number {
  return SUBSCRIPTION_BYTES + name.length;
}
