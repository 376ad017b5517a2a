/**
 * The shell around the publisher: a PUB socket on this project's own ZMTP engine. What is copied in
 * one turn of the event loop is written once for each subscriber, at its end.
 */
import { copyWords, type Words } from '../../core/bytes.js';
import { IDENTITY_SHARE } from '../../core/defaults.js';
import type { Frames } from '../../core/frames.js';
import { PackedCursor, readPacked } from '../../core/packed.js';
import { secureRandom } from '../../core/random.js';
import type { PeerId, PeerInfo, Rejected, RouterLimits, Transport } from '../../zmtp/port.js';
import {
  type ListeningEvents,
  type ListeningOptions,
  ListeningSocket,
  QUESTION_LIMITS,
} from '../../zmtp/router/listening-socket.js';
import type { CloseReason, RejectionKind } from '../../core/event-fields.js';
import { type AuthoriseTopic, FanOut, type FanOutSink } from '../fan-out.js';
import type { SubscriberInfo } from '../subscriptions.js';

/**
 * After so many bytes of messages the output is written within the turn: it stays small enough for one
 * write, and a program that publishes without a pause does not pile it up. Not much less: a write that
 * wakes a sleeping subscriber costs 40 µs, however small it is.
 */
const UNWRITTEN_BYTES_MAX = 60 * 1024;
/** Messages of this size or more are not copied for each subscriber. */
const SHARED_BYTES_MIN = 64 * 1024;

export interface PublisherEvents {
  /** A subscriber was closed. */
  closed(info: SubscriberInfo, reason: CloseReason): void;
  /** What is subscribed to may have changed. */
  subscribed?(): void;
  /** A subscription to this topic is in force; the topic is valid during the call. */
  subscribedTo?(subscriber: PeerId, topic: Buffer): void;
  /** See `TransportEvents.rejected`. */
  rejected(kind: RejectionKind, reason: string, from: Rejected): void;
}

export interface PublisherLimits {
  /** Output waiting for one subscriber: one that reaches it is closed. */
  readonly outputBytesMax: number;
  /** Connections to each endpoint. */
  readonly connectionsMax: number;
  /** Connections of one address or key, at all endpoints. Default: 7/8 of `connectionsMax`. */
  readonly connectionsPerIdentityMax?: number;
  /** Connections of a key that has a limit of its own. */
  readonly connectionsPerKeyMax?: (listener: number, key: string) => number;
}

interface PublisherSocketOptions extends ListeningOptions<PublisherLimits> {
  /** Who may subscribe to what. Default: everyone to everything. */
  readonly authorise?: AuthoriseTopic;
  readonly events: PublisherEvents;
}

/** A publisher that listens. */
export interface OpenedPublisher {
  readonly socket: PublisherSocket;
  /** The endpoints with their actual ports, in the order of the options. */
  readonly endpoints: readonly string[];
}

export class PublisherSocket implements ListeningEvents, FanOutSink {
  readonly fanOut: FanOut;
  readonly listener = new ListeningSocket('PUB', limitsOf, this);
  readonly #events: PublisherEvents;
  readonly #cursor = new PackedCursor();
  #isFlushDue = false;
  #unwrittenBytes = 0;

  /**
   * Listens on all endpoints.
   * @throws ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT
   */
  static async open(options: PublisherSocketOptions): Promise<OpenedPublisher> {
    const socket = new PublisherSocket(options);
    return { socket, endpoints: await socket.listener.listen(options) };
  }

  private constructor({ authorise, events, holdings }: PublisherSocketOptions) {
    this.#events = events;
    this.fanOut = new FanOut(this, secureRandom, authorise ?? null, {}, holdings);
  }

  /** Sends a message to those who subscribed to it: see `FanOut.publish`. */
  publish(frames: Frames): void {
    this.#published(this.fanOut.publish(frames));
  }

  /** Sends a message that is packed already: see `FanOut.publishPacked`. */
  publishPacked(message: Words, size: number): void {
    this.#published(this.fanOut.publishPacked(message, size));
  }

  #published(bytes: number): void {
    if (bytes === 0) return;
    this.#unwrittenBytes += bytes;
    if (this.#unwrittenBytes >= UNWRITTEN_BYTES_MAX) this.#flush();
    else this.#flushSoon();
  }

  /** Sends a message to one subscriber, whatever it subscribed to. */
  sendTo(subscriber: PeerId, frames: Frames): void {
    this.fanOut.sendTo(subscriber, frames);
    this.#flushSoon();
  }

  // ---------------------------------------------------------------- effects of the machine

  send(subscriber: PeerId, message: Words, size: number): void {
    const { transport } = this.listener;
    if (transport === null) return;
    if (size >= SHARED_BYTES_MIN) {
      this.#sendLasting(transport, subscriber, message.bytes, size);
      return;
    }
    const room = transport.room(subscriber, size);
    if (room === null) transport.writePacked(subscriber, message.bytes, 0, size, false);
    else copyWords(message, 0, size, room.words, room.at);
  }

  /** A message of this size has a buffer of its own, which nobody changes. */
  #sendLasting(transport: Transport, subscriber: PeerId, packed: Buffer, size: number): void {
    const cursor = this.#cursor;
    for (let at = 0; at < size; at = cursor.end) {
      readPacked(packed, at, cursor);
      transport.writeLasting(subscriber, packed, cursor.start, cursor.end, cursor.more);
    }
  }

  close(subscriber: PeerId, info: SubscriberInfo, reason: CloseReason): void {
    this.listener.transport?.disconnect(subscriber);
    this.#events.closed(info, reason);
    // The subscriptions are forgotten in turns.
    this.#flushSoon();
  }

  subscribed(subscriber: PeerId, topic: Buffer): void {
    this.#events.subscribedTo?.(subscriber, topic);
  }

  // ---------------------------------------------------------------- what arrives

  connected(peer: PeerId, info: PeerInfo): void {
    this.fanOut.connected(peer, info);
  }

  message(peer: PeerId, frames: Frames): void {
    this.fanOut.message(peer, frames);
    this.#events.subscribed?.();
  }

  subscription(peer: PeerId, topic: Buffer, isOn: boolean): void {
    this.fanOut.subscription(peer, topic, isOn);
    this.#events.subscribed?.();
  }

  oversized(peer: PeerId): void {
    this.fanOut.oversized(peer);
  }

  outputFull(peer: PeerId): void {
    this.fanOut.outputFull(peer);
  }

  disconnected(peer: PeerId): void {
    this.fanOut.disconnected(peer);
    this.#events.subscribed?.();
    this.#flushSoon();
  }

  rejected(kind: RejectionKind, reason: string, from: Rejected): void {
    // The subscriber held most of the memory of all or of its identity, because it did not read.
    if (kind === 'memory' || kind === 'output') this.fanOut.counters.closed.slow++;
    this.#events.rejected(kind, reason, from);
  }

  // ---------------------------------------------------------------- output

  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.#flushDue);
  }

  readonly #flushDue = (): void => {
    this.#isFlushDue = false;
    const isDone = this.fanOut.run();
    this.#flush();
    if (!isDone) this.#flushSoon();
  };

  #flush(): void {
    this.#unwrittenBytes = 0;
    this.listener.transport?.flush();
    this.fanOut.written();
  }
}

function limitsOf({
  outputBytesMax,
  connectionsMax,
  connectionsPerIdentityMax = Math.ceil(connectionsMax * IDENTITY_SHARE),
  connectionsPerKeyMax,
}: PublisherLimits): RouterLimits {
  return {
    ...QUESTION_LIMITS,
    outputBytesMax,
    connectionsMax,
    connectionsPerIdentityMax,
    ...(connectionsPerKeyMax === undefined ? {} : { connectionsPerKeyMax }),
  };
}
