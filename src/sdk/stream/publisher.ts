import { randomBytes } from 'node:crypto';

import { monotonicMs } from '../../core/clock.js';
import { type OpenedPublisher, PublisherSocket } from '../../stream/io/publisher-socket.js';
import { NumberedStream } from '../../stream/numbered.js';
import { PUBLISHER_ID_BYTES } from '../../wire/stream.js';
import { type Body, bodyFrames, isFrame } from '../body.js';
import { sdkError } from '../errors.js';
import { Listeners } from '../sdk-events.js';
import { type CloseOptions, closeGraceMs } from '../worker/worker-options.js';
import {
  type PublisherOptions,
  type PublisherSettings,
  publisherSettings,
} from './publisher-options.js';
import { PUBLISHER_EVENTS, type PublisherEvents } from './stream-events.js';
import { type Topic, TopicsInUse } from './topics.js';

/** Counters of a publisher, since it was opened. */
export interface PublisherCounters {
  /** Messages that were published, whether anyone subscribed to them or not. */
  readonly published: number;
  /** Copies of them that were sent. */
  readonly copies: number;
  /** Subscribers that are connected now. */
  readonly subscribers: number;
  /** Subscribers that the publisher closed, by reason: see `ClosedSubscriber`. */
  readonly closed: { readonly slow: number; readonly limit: number };
}

/** At most so many process warnings a second. */
const WARNING_EVERY_MS = 1000;

/**
 * Publishes messages to all who subscribed to the beginning of their topics: to `Subscriber`s, and to SUB sockets of
 * any ZeroMQ library. It keeps the process alive from `open()` until it is closed.
 *
 *     const publisher = new Publisher({ listen: 'tcp://127.0.0.1:5560' });
 *     await publisher.open();
 *     publisher.publish('trade.XAU', JSON.stringify({ price: 2401.5 }));
 *
 * Nothing is dropped for a connected subscriber: one that does not read is closed when `outputBytes` wait for it.
 */
export class Publisher {
  readonly #settings: PublisherSettings;
  readonly #listeners = new Listeners<PublisherEvents>(PUBLISHER_EVENTS);
  readonly #topics = new TopicsInUse();
  readonly #startUs = Date.now() * 1000;
  readonly #startMs = monotonicMs();
  #opening: Promise<OpenedPublisher> | null = null;
  #socket: PublisherSocket | null = null;
  #stream: NumberedStream | null = null;
  #isClosed = false;
  #warnedAt = -Infinity;

  /** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
  constructor(options: PublisherOptions) {
    this.#settings = publisherSettings(options);
  }

  /**
   * Listens. Resolves to the endpoints, with real ports, in the order of `listen`. A later call resolves to the same.
   *
   *     const [endpoint] = await publisher.open();
   *
   * Rejects with ERR_MDP_ENDPOINT_IN_USE, ERR_MDP_ENDPOINT, or ERR_MDP_CLOSED.
   */
  async open(): Promise<readonly string[]> {
    if (this.#isClosed) throw closed();
    this.#opening ??= this.#open();
    const { endpoints } = await this.#opening;
    return endpoints;
  }

  /**
   * Publishes a message to those who are connected now: before `open()` that is nobody. It is sent at the end of this
   * turn of the event loop.
   *
   * @param topic at most 255 bytes
   * @param body text, bytes, or an array of frames of either; copied at once. Well below `outputBytes`: a larger
   * message closes all subscribers that get it
   * @throws ERR_MDP_CLOSED, ERR_MDP_OPTION for the topic, ERR_MDP_BODY
   */
  publish(topic: Topic, body: Body): void {
    if (this.#isClosed) throw closed();
    const bytes = this.#topics.bytesOf(topic, 'topic');
    const frames = bodyFrames(body);
    const list = isFrame(frames) ? [bufferOf(frames)] : frames.map(bufferOf);
    const nowUs = this.#startUs + (monotonicMs() - this.#startMs) * 1000;
    this.#stream?.publish(bytes, list, nowUs);
  }

  /**
   * Whether anyone is connected who would get a message with this topic: so that a message nobody wants need not be
   * made.
   *
   *     if (publisher.hasSubscribers('stats')) publisher.publish('stats', JSON.stringify(collect()));
   *
   * @throws ERR_MDP_OPTION
   */
  hasSubscribers(topic: Topic): boolean {
    return this.#socket?.fanOut.hasSubscribers(this.#topics.bytesOf(topic, 'topic')) ?? false;
  }

  /** What has happened so far. */
  get counters(): PublisherCounters {
    const fanOut = this.#socket?.fanOut;
    if (fanOut === undefined) return NOTHING_YET;
    const { published, copies, closed: ended } = fanOut.counters;
    return { published, copies, subscribers: fanOut.subscribers, closed: { ...ended } };
  }

  /** Calls `listener` at each `event`. @throws ERR_MDP_OPTION if there is no such event */
  on<Name extends keyof PublisherEvents>(
    event: Name,
    listener: (event: PublisherEvents[Name]) => void,
  ): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Ends what `on` began. @throws ERR_MDP_OPTION if there is no such event */
  off<Name extends keyof PublisherEvents>(
    event: Name,
    listener: (event: PublisherEvents[Name]) => void,
  ): this {
    this.#listeners.delete(event, listener);
    return this;
  }

  /**
   * Closes the publisher: subscribers have `graceMs` to read what waits for them. Rejects with ERR_MDP_OPTION.
   *
   *     await publisher.close({ graceMs: 1000 });
   */
  async close(options?: CloseOptions): Promise<void> {
    const graceMs = closeGraceMs(options);
    this.#isClosed = true;
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.socket.listener.transport?.close(graceMs);
  }

  /** Closes the publisher, as `close()` does: for `await using publisher = new Publisher(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #open(): Promise<OpenedPublisher> {
    const { curve, outputBytesMax, connectionsMax, ...settings } = this.#settings;
    const opened = await PublisherSocket.open({
      ...settings,
      limits: { outputBytesMax, connectionsMax },
      ...(curve === null ? {} : { curve }),
      events: {
        closed: ({ address, key }, reason) => {
          const isHeard = this.#listeners.emit('closed', { address, key, reason });
          if (!isHeard) this.#warn(address, reason);
        },
        rejected: (kind, reason, { address }) => {
          this.#listeners.emit('rejected', { address, kind, reason });
        },
      },
    });
    this.#socket = opened.socket;
    this.#stream = new NumberedStream(opened.socket, randomBytes(PUBLISHER_ID_BYTES));
    return opened;
  }

  #warn(address: string, reason: string): void {
    const now = monotonicMs();
    if (now - this.#warnedAt < WARNING_EVERY_MS) return;
    this.#warnedAt = now;
    const why = reason === 'slow' ? 'too much waits for it' : 'it subscribed to too much';
    const text = `a subscriber at ${address} was closed: ${why}`;
    process.emitWarning(text, { code: 'MDP_SUBSCRIBER_CLOSED' });
  }
}

const NOTHING_YET: PublisherCounters = {
  published: 0,
  copies: 0,
  subscribers: 0,
  closed: { slow: 0, limit: 0 },
};

function bufferOf(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function closed(): Error {
  return sdkError('ERR_MDP_CLOSED', 'the publisher was closed');
}
