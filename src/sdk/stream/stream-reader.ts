/** Connections to publishers, read one message after the other. */
import { monotonicMs } from '../../core/clock.js';
import { dialSubscriber } from '../dials.js';
import { sdkError } from '../errors.js';
import { Feed, type FeedOwner } from './feed.js';
import { SubscriberInbox } from './subscriber-inbox.js';
import type { MessageRun } from './message-run.js';
import type { StreamMessage } from './stream-message.js';
import type { ReaderSettings } from './subscriber-options.js';

interface ReaderEvents {
  connected(endpoint: string): void;
  disconnected(endpoint: string): void;
  /** The reader has ended with an error, which `next` rejects with after the messages that came before. */
  failed(error: Error): void;
}

interface Taker {
  readonly resolve: (result: IteratorResult<StreamMessage, undefined>) => void;
  readonly reject: (error: Error) => void;
}

/** How often in `maxDelayMs` it is looked at whether a message waits too long. */
const LOOKS_PER_DELAY = 4;
const LOOK_MS_MIN = 5;
const OVER = { done: true, value: undefined } as const;

export class StreamReader implements FeedOwner {
  readonly #settings: ReaderSettings;
  readonly #events: ReaderEvents;
  readonly #inbox: SubscriberInbox;
  readonly #feeds: Feed[] = [];
  readonly #takers: Taker[] = [];
  /** Why the reader ended; thrown once. */
  #error: Error | null = null;
  #isEnded = false;
  #isReading = true;
  #timer: NodeJS.Timeout | null = null;
  #closing: Promise<void> | null = null;

  /** Connects. @throws ERR_MDP_ENDPOINT */
  constructor(settings: ReaderSettings, events: ReaderEvents) {
    this.#settings = settings;
    this.#events = events;
    const { endpoints, topics, curve, maxDelayMs, bufferBytes, stamp, signal } = settings;
    this.#inbox = new SubscriberInbox({ bytesMax: bufferBytes, maxDelayMs });
    const dial = dialSubscriber(topics, curve);
    try {
      const isTimed = maxDelayMs !== null;
      for (const endpoint of endpoints) {
        this.#feeds.push(new Feed(endpoint, dial, stamp, isTimed, this));
      }
    } catch (error) {
      void this.close();
      throw error;
    }
    if (maxDelayMs !== null) {
      const everyMs = Math.max(LOOK_MS_MIN, maxDelayMs / LOOKS_PER_DELAY);
      this.#timer = setInterval(this.#look, everyMs).unref();
    }
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted === true) this.#abort();
  }

  /** The next message; done after `close()`, and after the error. */
  next(): Promise<IteratorResult<StreamMessage, undefined>> {
    const message = this.take();
    if (message !== null) return Promise.resolve({ done: false, value: message });
    if (!this.#isEnded) {
      return new Promise((resolve, reject) => {
        this.#takers.push({ resolve, reject });
      });
    }
    const why = this.#error;
    this.#error = null;
    return why === null ? Promise.resolve(OVER) : Promise.reject(why);
  }

  /** A message that has arrived; `null`: none, or it has ended. */
  take(): StreamMessage | null {
    const error = this.#isEnded ? null : this.#inbox.lateness(monotonicMs);
    if (error !== null) this.#end(error);
    const message = this.#inbox.take();
    if (message !== null && !this.#isReading && !this.#inbox.isFull) this.#setReading(true);
    return message;
  }

  /** Ends it: what was not taken is dropped. */
  close(): Promise<void> {
    if (!this.#isEnded) this.#stop();
    this.#error = null;
    this.#inbox.clear();
    for (const { resolve } of this.#takers.splice(0)) resolve(OVER);
    return this.#closing ?? Promise.resolve();
  }

  // ---------------------------------------------------------------- events of the connections

  connected({ endpoint }: Feed): void {
    this.#events.connected(endpoint);
  }

  disconnected({ endpoint }: Feed): void {
    this.#events.disconnected(endpoint);
    if (this.#settings.onGap === 'mark' || this.#isEnded) return;
    const text = `the connection to ${endpoint} was lost: messages may be missing`;
    this.failed(sdkError('ERR_STREAM_GAP', text, { details: { endpoint } }));
  }

  received(run: MessageRun): void {
    if (this.#isEnded) return;
    this.#inbox.push(run);
    for (let left = run.count; left > 0 && this.#takers.length > 0; left--) {
      const taker = this.#takers.shift();
      if (taker !== undefined) void this.next().then(taker.resolve, taker.reject);
    }
    if (this.#isReading && this.#inbox.isFull) this.#setReading(false);
  }

  failed(error: Error): void {
    if (this.#isEnded) return;
    this.#error = error;
    this.#stop();
    // Somebody who waits has taken all that came.
    const taker = this.#takers.shift();
    if (taker !== undefined) {
      this.#error = null;
      taker.reject(error);
    }
    for (const { resolve } of this.#takers.splice(0)) resolve(OVER);
    this.#events.failed(error);
  }

  // ---------------------------------------------------------------- its end

  /** Ends the reader, as `failed` does, but what waits is dropped. */
  #end(error: Error): void {
    this.#inbox.clear();
    this.failed(error);
  }

  #stop(): void {
    this.#isEnded = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#settings.signal?.removeEventListener('abort', this.#abort);
    this.#closing = Promise.all(this.#feeds.map((feed) => feed.close())).then(() => undefined);
  }

  readonly #abort = (): void => {
    const cause: unknown = this.#settings.signal?.reason;
    this.#end(sdkError('ERR_MDP_ABORTED', 'the subscriber was aborted', { cause }));
  };

  /** A reader that takes nothing cannot be told by what it takes. */
  readonly #look = (): void => {
    const error = this.#inbox.lateness(monotonicMs);
    if (error !== null) this.#end(error);
  };

  #setReading(isReading: boolean): void {
    this.#isReading = isReading;
    for (const feed of this.#feeds) feed.link.setReading?.(isReading);
  }
}
