import { sdkError } from '../errors.js';
import { Listeners } from '../sdk-events.js';
import { type CloseOptions, closeGraceMs } from '../worker/worker-options.js';
import { ShardGroup } from './shards.js';
import { SUBSCRIBER_EVENTS, type SubscriberEvents } from './stream-events.js';
import type { StreamMessage } from './stream-message.js';
import { StreamReader } from './stream-reader.js';
import { type SubscriberOptions, subscriberSettings } from './subscriber-options.js';

/**
 * Receives what publishers publish: a `Publisher`, or with the option `stamp` PUB sockets of any ZeroMQ library. It
 * connects at once, connects again by itself, and keeps the process alive until it has ended.
 *
 *     const subscriber = new Subscriber({ endpoints: 'tcp://127.0.0.1:5560', topics: 'trade.' });
 *     for await (const message of subscriber) console.log(message.topic, message.json());
 *
 * Leaving the loop closes it. No message is missing between two others unless the connection was lost, and then the
 * first one after that has `afterGap`. With `shards`, threads read instead: see `run()`.
 */
export class Subscriber implements AsyncIterable<StreamMessage> {
  readonly #listeners = new Listeners<SubscriberEvents>(SUBSCRIBER_EVENTS);
  readonly #reader: StreamReader | null;
  readonly #shards: ShardGroup | null;

  /** @throws ERR_MDP_OPTION, ERR_MDP_ENDPOINT */
  constructor(options: SubscriberOptions) {
    const { reader, shards } = subscriberSettings(options);
    if (shards === null) {
      this.#shards = null;
      this.#reader = new StreamReader(reader, {
        connected: (endpoint) => this.#listeners.emit('connected', { endpoint, shard: null }),
        disconnected: (endpoint) => this.#listeners.emit('disconnected', { endpoint, shard: null }),
        failed: () => undefined,
      });
    } else {
      this.#reader = null;
      this.#shards = new ShardGroup(reader, shards, {
        connected: (endpoint, shard) => this.#listeners.emit('connected', { endpoint, shard }),
        disconnected: (endpoint, shard) =>
          this.#listeners.emit('disconnected', { endpoint, shard }),
      });
    }
  }

  /**
   * The messages, in the order in which each publisher published them. All loops over one subscriber share them.
   * Ends after `close()`. `next()` rejects with ERR_STREAM_TOO_SLOW, ERR_STREAM_GAP, ERR_STREAM_HEADER,
   * ERR_MDP_KEY_REFUSED, ERR_MDP_ABORTED, or ERR_MDP_OPTION if `stamp` fails.
   *
   * @throws ERR_MDP_OPTION if it has shards
   */
  [Symbol.asyncIterator](): AsyncIterator<StreamMessage, undefined> {
    const reader = this.#reader;
    if (reader === null) {
      const text = 'a subscriber with shards is not read: its handler module gets the messages';
      throw sdkError('ERR_MDP_OPTION', text, { details: { option: 'shards' } });
    }
    return {
      next: () => reader.next(),
      return: async () => {
        await reader.close();
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * Starts the shards, and resolves when all have ended after `close()`. A shard that fails or is too slow ends
   * all of them.
   *
   *     await new Subscriber({ endpoints, shards: [['a'], ['b']], handler }).run();
   *
   * Rejects with ERR_STREAM_SHARD, or the error of the shard, with `details.shard`; with ERR_MDP_OPTION without
   * shards.
   */
  async run(): Promise<void> {
    if (this.#shards === null) {
      const text = 'a subscriber without shards does not run: iterate over it';
      throw sdkError('ERR_MDP_OPTION', text, { details: { option: 'shards' } });
    }
    await this.#shards.run();
  }

  /** Calls `listener` at each `event`. @throws ERR_MDP_OPTION if there is no such event */
  on<Name extends keyof SubscriberEvents>(
    event: Name,
    listener: (event: SubscriberEvents[Name]) => void,
  ): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /** Ends what `on` began. @throws ERR_MDP_OPTION if there is no such event */
  off<Name extends keyof SubscriberEvents>(
    event: Name,
    listener: (event: SubscriberEvents[Name]) => void,
  ): this {
    this.#listeners.delete(event, listener);
    return this;
  }

  /**
   * Closes the connections. What was received and not read is dropped; a loop ends. Handlers of shards have `graceMs`
   * to finish the message that they are at. Rejects with ERR_MDP_OPTION.
   */
  async close(options?: CloseOptions): Promise<void> {
    const graceMs = closeGraceMs(options);
    await this.#reader?.close();
    await this.#shards?.close(graceMs);
  }

  /** Closes the subscriber, as `close()` does: for `await using subscriber = new Subscriber(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
